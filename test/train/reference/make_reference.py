"""Records what PyTorch computes for small networks, for test/train/reference.test.ts:

    /usr/bin/python3 test/train/reference/make_reference.py > test/train/reference/reference.json

and, with a file's name and a number of views, the gradient of the full-size compact network, in float32 and then in
float64 (rounded to float32), for bench/train-gradient.ts.

Parameters, pixels and labels come from the formulas below, which the test repeats, so the file holds results only:
of each case two projections of the gradient by each parameter (numbers weighted by cosines), and loss, gradient norm, a checksum of the parameters and running
statistics after each of three steps. Architectures and loss are those of bench/train_step_torch.py; a second
implementation of neither is needed there.
"""
import json, os, sys
import torch
import torch.nn as nn
import torch.nn.functional as F

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "../../../bench"))
from train_step_torch import compact, resnet, supcon_loss  # noqa: E402

VIEWS, CLASSES, SIZE = 12, 3, 9
MEAN, STD = torch.tensor([.5, .4, .3]), torch.tensor([.25, .2, .3])


def draw(count, seed):
    """mulberry32, as src/domain/seeded-random.ts"""
    state, values = seed & 0xffffffff, []
    imul = lambda a, b: (a * b) & 0xffffffff
    for _ in range(count):
        state = (state + 0x6d2b79f5) & 0xffffffff
        mixed = imul(state ^ (state >> 15), state | 1)
        mixed ^= (mixed + imul(mixed ^ (mixed >> 7), mixed | 61)) & 0xffffffff
        values.append((mixed ^ (mixed >> 14)) / 4294967296)
    return values


def parts(encoder, head):
    """Parameters in the order they are declared, those that decay first."""
    every = list(encoder.parameters()) + list(head.parameters())
    return [p for p in every if p.dim() > 1] + [p for p in every if p.dim() == 1]


def flat(tensors):
    return torch.cat([t.detach().reshape(-1) for t in tensors])


def sketch(t):
    i = torch.arange(t.numel(), dtype=torch.float64)
    return [float(f"{(t.detach().reshape(-1).double() * torch.cos(i * (k + 1) + k)).sum().item():.7g}") for k in range(2)]


def statistics(encoder):
    return flat([t for m in encoder.modules() if isinstance(m, nn.BatchNorm2d) for t in (m.running_mean, m.running_var)])


def start(build, views, size):
    encoder, dim = build()
    head = nn.Sequential(nn.Linear(dim, dim), nn.ReLU(), nn.Linear(dim, 128))
    params = parts(encoder, head)
    # In float64 until the last, as in JavaScript: float32 would round a number in 100,000 to another pixel.
    values = torch.tensor(draw(sum(p.numel() for p in params), 7), dtype=torch.float64)
    offset = 0
    for p in params:
        # weights within 0.5, norms and biases within 0.5 of 1
        p.data = (values[offset:offset + p.numel()] - .5 + (0 if p.dim() > 1 else 1)).float().reshape(p.shape)
        offset += p.numel()
    pixels = torch.tensor([int(v * 256) for v in draw(views * size * size * 3, 8)]).float().reshape(views, size, size, 3)
    return encoder, head, params, ((pixels / 255 - MEAN) / STD).permute(0, 3, 1, 2)


def case(build, optimizer, clip):
    encoder, head, params, x = start(build, VIEWS, SIZE)
    labels = torch.arange(VIEWS) % CLASSES
    decays, rest = [p for p in params if p.dim() > 1], [p for p in params if p.dim() == 1]
    groups = [{"params": decays, "weight_decay": .05}, {"params": rest, "weight_decay": 0}]
    opt = {"sgd": lambda: torch.optim.SGD(groups, lr=.1, momentum=.9, nesterov=True),
           "adamw": lambda: torch.optim.AdamW(groups, lr=.01, betas=(.9, .99), eps=1e-8)}[optimizer]()
    average, stats_average, steps, gradient = flat(params), statistics(encoder), [], None
    for t in range(1, 4):
        loss = supcon_loss(F.normalize(head(encoder(x)), dim=1), labels, .2)
        opt.zero_grad()
        loss.backward()
        if gradient is None: gradient = [sketch(p.grad) for p in params]
        norm = nn.utils.clip_grad_norm_(params, clip).item()
        opt.step()
        decay = min(.999, (1 + t) / (10 + t))
        average, stats_average = average.lerp(flat(params), 1 - decay), stats_average.lerp(statistics(encoder), 1 - decay)
        weights = torch.cos(torch.arange(len(average), dtype=torch.float64))
        steps.append({"loss": loss.item(), "gradientNorm": norm, "parameters": (flat(params).double() * weights).sum().item(),
                      "average": (average.double() * weights).sum().item()})
    encoder.eval()
    return {"gradient": gradient, "steps": steps,
            "statistics": [float(f"{s:.7g}") for s in statistics(encoder).tolist()],
            "statisticsAverage": [float(f"{s:.7g}") for s in stats_average.tolist()],
            "embeddings": [float(f"{e:.7g}") for e in F.normalize(encoder(x), dim=1)[:3].reshape(-1).tolist()],
            "projections": [float(f"{e:.7g}") for e in F.normalize(head(encoder(x)), dim=1)[:1].reshape(-1).tolist()]}


def full(path, views):
    encoder, head, params, x = start(lambda: compact((64, 256, 256)), views, 32)
    both = []
    for kind in (torch.float32, torch.float64):
        encoder.to(kind), head.to(kind)
        loss = supcon_loss(F.normalize(head(encoder(x.to(kind))), dim=1), torch.arange(views) % CLASSES, .2)
        both.append(flat(torch.autograd.grad(loss, params)).float())
    torch.cat(both).numpy().tofile(path)


if len(sys.argv) > 1:
    full(sys.argv[1], int(sys.argv[2]))
else:
    torch.set_num_threads(1)
    json.dump({"compact": case(lambda: compact((4, 6, 6)), "sgd", 1e9),
               "resnet20": case(lambda: resnet(2, (3, 3, 3)), "sgd", 1.0),
               "resnet18": case(lambda: resnet(2, (2, 2, 2, 2)), "adamw", 1e9)}, sys.stdout)
