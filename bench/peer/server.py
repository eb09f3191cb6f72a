"""The server that a Python user would write: no batching, one image after another in each process."""

import io
import json
import os

import hnswlib
import numpy as np
import onnxruntime as ort
from fastapi import FastAPI, Request
from PIL import Image

index_dir, encoder, threads = os.environ["PEER_INDEX"], os.environ["PEER_ENCODER"], os.environ["PEER_THREADS"]

options = ort.SessionOptions()
options.intra_op_num_threads = int(threads)
session = ort.InferenceSession(encoder, options, providers=["CPUExecutionProvider"])

with open(f"{index_dir}/examples.jsonl") as lines:
    labels = [json.loads(line)["label"] for line in lines]
rows = np.fromfile(f"{index_dir}/embeddings.f32", dtype="<f4").reshape(len(labels), -1)
index = hnswlib.Index("ip", rows.shape[1])
index.init_index(len(rows), ef_construction=200, M=16, random_seed=1)
index.add_items(rows)
index.set_ef(64)
index.set_num_threads(1)

app = FastAPI()


@app.post("/classify")
async def classify(request: Request):
    image = Image.open(io.BytesIO(await request.body())).convert("RGB")
    if image.size != (32, 32):
        image = image.resize((32, 32), Image.Resampling.BICUBIC)
    (embedding,) = session.run(["embeddings"], {"pixels": np.asarray(image)[None]})
    found, distances = index.knn_query(embedding, k=20)
    weights = np.exp((distances[0].min() - distances[0]) / 0.07)
    scores: dict[str, float] = {}
    for row, weight in zip(found[0], weights / weights.sum()):
        scores[labels[row]] = scores.get(labels[row], 0.0) + float(weight)
    label = max(scores, key=lambda name: scores[name])
    return {"label": label, "confidence": scores[label], "scores": scores}
