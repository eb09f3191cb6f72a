"""Train a SupCon encoder on CIFAR with PyTorch, for machines that have a GPU (also runs, slowly, on a CPU).

    python3 train_supcon_torch.py --data DIR --dataset cifar10 --arch resnet18 --epochs 200 --out OUT [--budget-s 540]

DIR holds the official CIFAR binary files (data_batch_{1..5}.bin + test_batch.bin, or train.bin + test.bin).
Writes OUT/encoder.onnx (uint8 [n,32,32,3] RGB -> float32 [n,dim] unit embeddings, projection head removed) and
OUT/encoder.json beside it, the folder that nearvote serves, OUT/checkpoint.pt (resumed from if it is there) and
OUT/metrics.json (accuracy on the official test split).
The schedule is a fraction of work done, epochs or seconds, whichever runs out first, so a time budget still anneals.

Loss: L_out of Khosla et al. 2020, eq. 2 (https://arxiv.org/abs/2004.11362), no temperature rescaling.
"""
import argparse, copy, hashlib, json, math, os, time
import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F

STATS = {"cifar10": ([0.4914, 0.4822, 0.4465], [0.2470, 0.2435, 0.2616]),
         "cifar100": ([0.5071, 0.4865, 0.4409], [0.2673, 0.2564, 0.2762])}


def read_split(folder, dataset, split):
    """-> uint8 pixels [n,3,32,32], int64 labels [n]"""
    if dataset == "cifar10":
        names = [f"data_batch_{i}.bin" for i in range(1, 6)] if split == "train" else ["test_batch.bin"]
        head = 1
    else:
        names, head = [f"{split}.bin"], 2  # coarse label, fine label
    raw = np.concatenate([np.fromfile(os.path.join(folder, n), np.uint8) for n in names]).reshape(-1, head + 3072)
    return torch.from_numpy(raw[:, head:].reshape(-1, 3, 32, 32).copy()), torch.from_numpy(raw[:, head - 1].astype(np.int64))


class BasicBlock(nn.Module):
    def __init__(self, cin, cout, stride):
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(cin, cout, 3, stride, 1, bias=False), nn.BatchNorm2d(cout)
        self.conv2, self.bn2 = nn.Conv2d(cout, cout, 3, 1, 1, bias=False), nn.BatchNorm2d(cout)
        self.shortcut = nn.Identity() if stride == 1 and cin == cout else nn.Sequential(
            nn.Conv2d(cin, cout, 1, stride, bias=False), nn.BatchNorm2d(cout))

    def forward(self, x):
        y = F.relu(self.bn1(self.conv1(x)), inplace=True)
        return F.relu(self.bn2(self.conv2(y)) + self.shortcut(x), inplace=True)


def resnet(width, depths):
    layers, cin = [nn.Conv2d(3, width, 3, 1, 1, bias=False), nn.BatchNorm2d(width), nn.ReLU()], width
    for stage, depth in enumerate(depths):
        cout = width * 2 ** stage
        for i in range(depth):
            layers.append(BasicBlock(cin, cout, 2 if stage and i == 0 else 1))
            cin = cout
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten()), cin


class PooledPair(nn.Module):
    """conv-pool-bn-relu, conv-bn-relu: few FLOPs for its accuracy, made for serving on a CPU."""
    def __init__(self, cin, cout):
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(cin, cout, 3, padding=1, bias=False), nn.BatchNorm2d(cout)
        self.conv2, self.bn2 = nn.Conv2d(cout, cout, 3, padding=1, bias=False), nn.BatchNorm2d(cout)

    def forward(self, x):
        x = F.relu(self.bn1(F.max_pool2d(self.conv1(x), 2)), inplace=True)
        return F.relu(self.bn2(self.conv2(x)), inplace=True)


def compact(widths):
    cin, layers = 24, [nn.Conv2d(3, 24, 2), nn.ReLU()]
    for cout in widths:
        layers.append(PooledPair(cin, cout))
        cin = cout
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten()), cin


ARCHS = {"resnet18": lambda: resnet(64, (2, 2, 2, 2)), "resnet34": lambda: resnet(64, (3, 4, 6, 3)),
         "resnet18-w128": lambda: resnet(128, (2, 2, 2, 2)), "resnet20": lambda: resnet(16, (3, 3, 3)),
         "compact": lambda: compact((64, 256, 256)), "compact-wide": lambda: compact((128, 384, 512))}


def augment(pixels, mean, std, scale_min, jitter):
    """uint8 [n,3,32,32] -> normalised float [n,3,32,32]: random resized crop, flip, colour jitter, grey; one draw per image."""
    n, dev = len(pixels), pixels.device
    x = pixels.float() / 255
    rand = lambda lo, hi: torch.empty(n, device=dev).uniform_(lo, hi)
    area, ratio = rand(scale_min, 1), torch.exp(rand(math.log(3 / 4), math.log(4 / 3)))
    w, h = torch.sqrt(area * ratio).clamp(max=1), torch.sqrt(area / ratio).clamp(max=1)
    theta = torch.zeros(n, 2, 3, device=dev)
    theta[:, 0, 0], theta[:, 1, 1] = w * torch.where(rand(0, 1) < .5, -1., 1.), h
    theta[:, 0, 2], theta[:, 1, 2] = rand(-1, 1) * (1 - w), rand(-1, 1) * (1 - h)
    x = F.grid_sample(x, F.affine_grid(theta, list(x.shape), align_corners=False), mode="bilinear",
                      padding_mode="reflection", align_corners=False)
    on = (rand(0, 1) < .8).float().view(-1, 1, 1, 1)
    gain = lambda s: 1 + on * rand(-s, s).view(-1, 1, 1, 1)
    luma = torch.tensor([.299, .587, .114], device=dev).view(1, 3, 1, 1)
    x = x * gain(jitter)                                                     # brightness
    m = (x * luma).sum(1, keepdim=True).mean((2, 3), keepdim=True)
    x = (x - m) * gain(jitter) + m                                           # contrast
    g = (x * luma).sum(1, keepdim=True)
    x = (x - g) * gain(jitter) + g                                           # saturation
    x = x + on * rand(-.1, .1).view(-1, 1, 1, 1) * (x.roll(1, 1) - x.roll(2, 1))   # small hue turn
    grey = (rand(0, 1) < .2).float().view(-1, 1, 1, 1)
    x = x * (1 - grey) + (x * luma).sum(1, keepdim=True) * grey
    return (x.clamp(0, 1) - mean) / std


def supcon_loss(z, labels, temperature):
    """z: unit rows [m,d]; labels [m]; every row is an anchor, its positives are the other rows of its label."""
    self_mask = torch.eye(len(z), dtype=torch.bool, device=z.device)
    logits = (z @ z.t() / temperature).masked_fill(self_mask, float("-inf"))
    log_prob = logits - torch.logsumexp(logits, 1, keepdim=True)
    positive = (labels[:, None] == labels[None]) & ~self_mask
    return -(log_prob.masked_fill(~positive, 0).sum(1) / positive.sum(1).clamp(min=1)).mean()


class Served(nn.Module):
    """uint8 RGB [n,32,32,3] -> unit embeddings [n,dim]"""
    def __init__(self, encoder, mean, std):
        super().__init__()
        self.encoder = encoder
        self.register_buffer("mean", mean); self.register_buffer("std", std)

    def forward(self, pixels):
        x = pixels.permute(0, 3, 1, 2).float() / 255
        return F.normalize(self.encoder((x - self.mean) / self.std), dim=1)


class HalfStoredConv(nn.Module):
    """A convolution whose weights are kept in half precision in the file and widened when it is loaded: half the size."""
    def __init__(self, conv):
        super().__init__()
        self.stride, self.padding = conv.stride, conv.padding
        self.register_buffer("weight", conv.weight.detach().half())
        self.register_buffer("bias", None if conv.bias is None else conv.bias.detach())

    def forward(self, x):
        return F.conv2d(x, self.weight.float(), self.bias, self.stride, self.padding)


def half_stored(module):
    for name, child in module.named_children():
        if isinstance(child, nn.Conv2d): setattr(module, name, HalfStoredConv(child))
        else: half_stored(child)
    return module


@torch.no_grad()
def embed_served(served, pixels, batch=2000):
    return torch.cat([served(pixels[i:i + batch].permute(0, 2, 3, 1)) for i in range(0, len(pixels), batch)])


def knn_accuracy(ref, ref_y, query, query_y, classes, ks=(1, 20, 200), t=0.07):
    """Softmax-weighted vote exp(cos/T), as in DINO's eval_knn; k=1 is precision@1."""
    right = {k: 0 for k in ks}
    for i in range(0, len(query), 500):
        sim, idx = (query[i:i + 500] @ ref.t()).topk(max(ks)); lab = ref_y[idx]
        for k in ks:
            score = torch.zeros(len(lab), classes, device=ref.device).scatter_add_(1, lab[:, :k], torch.exp(sim[:, :k] / t))
            right[k] += (score.argmax(1) == query_y[i:i + 500]).sum().item()
    return {f"knn@{k}": round(right[k] / len(query), 4) for k in ks}


def write_manifest(folder, name, dataset, dim, metrics, licence):
    """encoder.json as src/encoder/manifest.ts has it: what is needed to serve the encoder.onnx beside it."""
    with open(os.path.join(folder, "encoder.onnx"), "rb") as f: digest = hashlib.sha256(f.read()).hexdigest()
    manifest = {"name": name, "version": "1.0.0", "format": "onnx", "file": "encoder.onnx", "sha256": digest,
                "input": {"name": "pixels", "width": 32, "height": 32, "fit": "fill", "kernel": "cubic"},
                "output": {"name": "embeddings", "dimension": dim}, "trainedOn": [f"{dataset} (train)"],
                "metrics": metrics, "licence": licence}
    with open(os.path.join(folder, "encoder.json"), "w") as f: json.dump(manifest, f, indent=2); f.write("\n")


def main():
    p = argparse.ArgumentParser()
    p.add_argument("--data", required=True); p.add_argument("--dataset", default="cifar10", choices=STATS)
    p.add_argument("--arch", default="resnet18", choices=ARCHS); p.add_argument("--out", required=True)
    p.add_argument("--epochs", type=int, default=200); p.add_argument("--budget-s", type=float, default=1e9)
    p.add_argument("--batch", type=int, default=1024); p.add_argument("--lr", type=float, default=0.5)
    p.add_argument("--temperature", type=float, default=0.1); p.add_argument("--weight-decay", type=float, default=5e-4)
    p.add_argument("--scale-min", type=float, default=0.2); p.add_argument("--jitter", type=float, default=0.4)
    p.add_argument("--seed", type=int, default=42); p.add_argument("--limit", type=int, default=0, help="first N training images, for a smoke run")
    p.add_argument("--name", help="of the encoder; DATASET-ARCH unless told"); p.add_argument("--licence", default="not stated")
    a = p.parse_args()
    os.makedirs(a.out, exist_ok=True); torch.manual_seed(a.seed)
    cuda = torch.cuda.is_available(); dev = torch.device("cuda" if cuda else "cpu")
    autocast = lambda: torch.autocast(dev.type, dtype=torch.bfloat16)
    if cuda:
        torch.backends.cudnn.benchmark = True; torch.backends.cuda.matmul.allow_tf32 = True
    mean, std = (torch.tensor(v, device=dev).view(1, 3, 1, 1) for v in STATS[a.dataset])
    (xtr, ytr), (xte, yte) = ([t.to(dev) for t in read_split(a.data, a.dataset, s)] for s in ("train", "test"))
    if a.limit: xtr, ytr = xtr[:a.limit], ytr[:a.limit]
    classes = int(ytr.max()) + 1
    encoder, dim = ARCHS[a.arch](); encoder = encoder.to(dev, memory_format=torch.channels_last)
    head = nn.Sequential(nn.Linear(dim, dim), nn.ReLU(), nn.Linear(dim, 128)).to(dev)
    params = list(encoder.parameters()) + list(head.parameters())
    opt = torch.optim.SGD([{"params": [q for q in params if q.dim() > 1], "weight_decay": a.weight_decay},
                           {"params": [q for q in params if q.dim() <= 1]}], lr=a.lr, momentum=.9, nesterov=True)
    ema, steps_per_epoch = copy.deepcopy(encoder), max(1, len(xtr) // a.batch)
    total, step, spent, ckpt = a.epochs * steps_per_epoch, 0, 0.0, os.path.join(a.out, "checkpoint.pt")
    if os.path.exists(ckpt):
        c = torch.load(ckpt, map_location=dev)
        encoder.load_state_dict(c["encoder"]); head.load_state_dict(c["head"]); ema.load_state_dict(c["ema"])
        opt.load_state_dict(c["opt"]); step, spent = c["step"], c["spent"]
    start, frac = time.time() - spent, 0.0
    while frac < 1:
        order = torch.randperm(len(xtr), device=dev); losses = []
        for k in range(steps_per_epoch):
            frac = max(step / total, (time.time() - start) / a.budget_s)
            if frac >= 1: break
            lr = a.lr * (frac / .05 if frac < .05 else .5 * (1 + math.cos(math.pi * (frac - .05) / .95)))
            for g in opt.param_groups: g["lr"] = max(lr, 1e-4)
            idx = order[k * a.batch:(k + 1) * a.batch]; x, y = xtr[idx], ytr[idx]
            views = torch.cat([augment(x, mean, std, a.scale_min, a.jitter) for _ in range(2)]).contiguous(memory_format=torch.channels_last)
            with autocast(): features = encoder(views)
            loss = supcon_loss(F.normalize(head(features.float()), dim=1), torch.cat([y, y]), a.temperature)
            opt.zero_grad(set_to_none=True); loss.backward(); opt.step(); step += 1
            with torch.no_grad():
                decay = min(.999, (1 + step) / (10 + step))
                for e, q in zip(ema.state_dict().values(), encoder.state_dict().values()):
                    e.lerp_(q, 1 - decay) if e.dtype.is_floating_point else e.copy_(q)
            losses.append(loss.detach())
        epoch = step // steps_per_epoch
        if losses and (epoch % 10 == 0 or frac >= 1):
            print(f"epoch {epoch} loss {torch.stack(losses).mean():.4f} seconds {time.time() - start:.0f}", flush=True)
    torch.save({"encoder": encoder.state_dict(), "head": head.state_dict(), "ema": ema.state_dict(), "opt": opt.state_dict(),
                "step": step, "spent": time.time() - start}, ckpt)
    served = Served(half_stored(copy.deepcopy(ema)), mean, std).to(dev).eval()  # what is measured is what is served
    ref, query = (embed_served(served, x) for x in (xtr, xte))
    results = knn_accuracy(ref, ytr, query, yte, classes)
    metrics = {"dataset": a.dataset, "arch": a.arch, "dim": dim, "steps": step, "seconds": round(time.time() - start), "args": vars(a),
               "test": results, "weights": "ema", "torch": torch.__version__, "device": str(dev)}
    json.dump(metrics, open(os.path.join(a.out, "metrics.json"), "w"), indent=1); print(json.dumps(metrics["test"]), flush=True)
    served = served.to("cpu", memory_format=torch.contiguous_format)
    kwargs = dict(do_constant_folding=False, input_names=["pixels"], output_names=["embeddings"], opset_version=17,
                  dynamic_axes={"pixels": {0: "n"}, "embeddings": {0: "n"}})
    path, sample = os.path.join(a.out, "encoder.onnx"), torch.zeros(2, 32, 32, 3, dtype=torch.uint8)
    try: torch.onnx.export(served, sample, path, dynamo=False, **kwargs)
    except TypeError: torch.onnx.export(served, sample, path, **{**kwargs, "opset_version": 16})
    print("wrote", path, os.path.getsize(path), flush=True)
    figures = {f"{a.dataset} test {key}": value for key, value in results.items()}
    write_manifest(a.out, a.name or f"{a.dataset}-{a.arch}", a.dataset, dim,
                   {**figures, "parameters": sum(q.numel() for q in encoder.parameters())}, a.licence)


if __name__ == "__main__":
    main()
