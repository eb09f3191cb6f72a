"""One SupCon training step in PyTorch, fp32: what bench/train-step.ts measures against.

    python3 bench/train_step_torch.py ARCHITECTURE IMAGES SIZE THREADS

Builds the network, then answers every line on standard input with one line of JSON: `step` with the milliseconds of a
whole step (forward, loss, backward, SGD) and the loss, `peak` with the kB of VmHWM. Architectures and loss are those of
the training recipe; the layout is PyTorch's fastest here, channels last if "channels_last" is a fifth argument.
"""
import json, pathlib, sys, time
import torch
import torch.nn as nn
import torch.nn.functional as F

sys.path.insert(0, str(pathlib.Path(__file__).parent.parent / "recipes"))
from train_supcon_torch import ARCHS, supcon_loss  # noqa: E402


def main():
    arch, images, size, threads = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4])
    layout = torch.channels_last if "channels_last" in sys.argv else torch.contiguous_format
    torch.set_num_threads(threads)
    torch.manual_seed(1)
    encoder, dim = ARCHS[arch]()
    encoder = encoder.to(memory_format=layout)
    head = nn.Sequential(nn.Linear(dim, dim), nn.ReLU(), nn.Linear(dim, 128))
    params = list(encoder.parameters()) + list(head.parameters())
    opt = torch.optim.SGD([{"params": [q for q in params if q.dim() > 1], "weight_decay": 5e-4},
                           {"params": [q for q in params if q.dim() <= 1]}], lr=.05, momentum=.9, nesterov=True)
    pixels = torch.randint(0, 256, (2 * images, size, size, 3), dtype=torch.uint8)
    labels = torch.arange(images).repeat(2) % 10
    mean, std = torch.tensor([.4914, .4822, .4465]), torch.tensor([.2470, .2435, .2616])

    def step():
        x = ((pixels.float() / 255 - mean) / std).permute(0, 3, 1, 2).contiguous(memory_format=layout)
        loss = supcon_loss(F.normalize(head(encoder(x)), dim=1), labels, .1)
        opt.zero_grad(set_to_none=True)
        loss.backward()
        opt.step()
        return loss.item()

    for line in sys.stdin:
        if line.strip() == "step":
            start = time.perf_counter()
            loss = step()
            print(json.dumps({"ms": (time.perf_counter() - start) * 1000, "loss": loss}), flush=True)
        else:
            with open("/proc/self/status") as status:
                peak = next(int(row.split()[1]) for row in status if row.startswith("VmHWM"))
            print(json.dumps({"peakKb": peak}), flush=True)


if __name__ == "__main__":
    main()
