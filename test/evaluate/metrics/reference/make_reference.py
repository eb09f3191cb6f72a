"""Writes reference.json, what scikit-learn, statsmodels, scipy and numpy say of random answers and of odd ones.

    pip install scikit-learn statsmodels scipy numpy && python make_reference.py

Versions are in the file. Ties are made by rounding; labels are numbers here and in the test.
"""

import json
import warnings
from pathlib import Path

import numpy as np
import scipy
import sklearn
import statsmodels
from scipy.stats import binomtest
from sklearn.cluster import KMeans
from sklearn.metrics import (
    adjusted_mutual_info_score,
    average_precision_score,
    log_loss,
    normalized_mutual_info_score,
    precision_recall_fscore_support,
    roc_auc_score,
    roc_curve,
)
from statsmodels.stats.proportion import proportion_confint

warnings.filterwarnings("ignore")
rng = np.random.default_rng(7)
out = {
    "versions": {
        "scikit-learn": sklearn.__version__,
        "statsmodels": statsmodels.__version__,
        "scipy": scipy.__version__,
        "numpy": np.__version__,
    }
}


def ints(values):
    return [int(value) for value in values]


# --- clusters
cases = []
for n, classes, clusters in [(40, 3, 3), (60, 5, 9), (200, 20, 7), (25, 25, 25), (30, 1, 4), (30, 4, 1), (12, 1, 1), (9, 9, 3)]:
    truth = rng.permutation(np.arange(n) % classes)
    found = np.where(rng.random(n) < 0.5, truth % clusters, rng.integers(0, clusters, n))
    cases.append((truth, found))
cases.append((np.array([0, 0, 0, 0, 0, 0, 0, 1]), np.array([0, 0, 0, 0, 1, 1, 1, 1])))
cases.append((np.array([0]), np.array([3])))
out["clusters"] = [
    {
        "labels": ints(t),
        "clusters": ints(c),
        "nmi": normalized_mutual_info_score(t, c),
        "ami": adjusted_mutual_info_score(t, c),
    }
    for t, c in cases
]

# --- known and unknown images
cases = []
for known, unknown, decimals in [(50, 30, 1), (200, 100, 2), (7, 90, 6), (40, 40, 0), (1, 1, 3), (3, 60, 1)]:
    cases.append((np.round(rng.normal(0.6, 0.4, known), decimals), np.round(rng.normal(0.2, 0.4, unknown), decimals)))
cases.append((np.full(5, 0.5), np.full(9, 0.5)))
cases.append((np.array([0.9, 0.8]), np.array([0.1, 0.2, 0.3])))
cases.append((np.array([0.1, 0.2]), np.array([0.8, 0.9, 0.95])))
detection = []
for known, unknown in cases:
    y = np.r_[np.ones(len(known)), np.zeros(len(unknown))]
    s = np.r_[known, unknown]
    fpr, tpr, thresholds = roc_curve(y, s, drop_intermediate=False)
    at = int(np.argmax(tpr >= 0.95))
    detection.append(
        {
            "known": known.tolist(),
            "unknown": unknown.tolist(),
            "auroc": roc_auc_score(y, s),
            "averagePrecision": average_precision_score(y, s),
            "falsePositives": fpr[at],
            "threshold": thresholds[at],
        }
    )
out["detection"] = detection

# --- precision, recall and F1: some labels are never a truth, some are never given
scores = []
for n, labels, given in [(30, 3, 3), (80, 6, 9), (80, 9, 4), (20, 1, 1), (20, 1, 3), (1, 1, 1), (6, 3, 3)]:
    t = rng.integers(0, labels, n)
    p = np.where(rng.random(n) < 0.6, t % given, rng.integers(0, given, n))
    if n == 6:
        p = (t + 1) % 3  # nothing right at all
    names = sorted({str(x) for x in np.r_[t, p]})
    each = precision_recall_fscore_support([str(x) for x in t], [str(x) for x in p], labels=names, zero_division=0)
    macro = precision_recall_fscore_support(
        [str(x) for x in t], [str(x) for x in p], labels=names, average="macro", zero_division=0
    )
    scores.append(
        {
            "truth": ints(t),
            "given": ints(p),
            "labels": names,
            "precision": each[0].tolist(),
            "recall": each[1].tolist(),
            "f1": each[2].tolist(),
            "count": ints(each[3]),
            "macro": [float(x) for x in macro[:3]],
        }
    )
out["classScores"] = scores

# --- calibration error in 15 bins, (low, high], 0 in the first; on the edges too
calibration = []
for n, kind in [(500, "any"), (300, "fifteenths"), (300, "twentieths"), (1, "any"), (40, "certain")]:
    if kind == "any":
        c = rng.random(n)
    elif kind == "certain":
        c = np.ones(n)
    else:
        parts = 15 if kind == "fifteenths" else 20
        c = rng.integers(0, parts + 1, n) / parts
    right = rng.random(n) < 0.8 * c
    # In whole numbers where that is what was drawn: an edge is an edge, whatever its rounding.
    bins = np.maximum(np.ceil(np.round(c * 15, 9)) - 1, 0).astype(int)
    ece = sum(
        abs(right[bins == b].mean() - c[bins == b].mean()) * (bins == b).mean() for b in range(15) if (bins == b).any()
    )
    two = np.c_[1 - c, c]
    calibration.append(
        {
            "confidence": c.tolist(),
            "correct": [bool(x) for x in right],
            "ece": float(ece),
            "brier": float(np.mean((c - right) ** 2)),
            "nll": float(-np.mean(np.log(np.maximum(two[np.arange(n), right.astype(int)], 1e-15)))),
        }
    )
out["calibration"] = calibration

# --- scores of all labels
n, k = 60, 5
p = rng.dirichlet(np.ones(k) * 0.4, n)
p[p < 1e-3] = 0
p /= p.sum(1, keepdims=True)
t = np.array([rng.choice(k, p=row) for row in p])
out["scored"] = {
    "scores": p.tolist(),
    "truth": ints(t),
    "brier": float(np.mean(((p - np.eye(k)[t]) ** 2).sum(1))),
    "nll": float(log_loss(t, p, labels=list(range(k)))),
}

# --- Wilson
out["wilson"] = [
    [f, n, *(float(x) for x in proportion_confint(f, n, alpha=0.05, method="wilson"))]
    for f, n in [(0, 1), (1, 1), (0, 50), (50, 50), (7, 30), (500, 1000), (9236, 10000), (1, 10000), (3, 4)]
]

# --- McNemar
out["mcnemar"] = [
    [a, b, float(binomtest(a, a + b, 0.5).pvalue)] for a, b in [(3, 9), (10, 10), (0, 7), (1, 0), (412, 355), (2000, 2100)]
]

# --- retrieval: by the definitions, in numpy, on ties too
retrieval = []
for refs, labels in [(12, 3), (30, 4), (5, 5), (40, 2)]:
    ranked = ints(rng.integers(0, labels, refs))
    label = 0
    r = ranked.count(label)
    hits = np.array(ranked[:r]) == label
    at = np.cumsum(hits) / np.arange(1, r + 1) if r else np.array([])
    retrieval.append(
        {
            "ranked": ranked,
            "sameLabel": r,
            "precisionAt1": float(ranked[0] == label),
            "rPrecision": float(hits.mean()) if r else None,
            "mapAtR": float((at * hits).sum() / r) if r else None,
        }
    )
out["retrieval"] = retrieval

# --- k-means: 100 points in the plane, ten clusters; the tightest of each of 30 runs of ten starts, and of 1,000 starts
i = np.arange(100)
points = np.c_[(7 * i * i) % 101, (13 * i * i + 5 * i) % 97].astype(float)
runs = [KMeans(10, n_init=10, random_state=s, algorithm="lloyd").fit(points).inertia_ for s in range(30)]
best = KMeans(10, n_init=1000, random_state=0, algorithm="lloyd").fit(points).inertia_
out["kmeans"] = {"worstOf30": float(max(runs)), "meanOf30": float(np.mean(runs)), "best": float(best)}

Path(__file__).with_name("reference.json").write_text(json.dumps(out) + "\n")
