"""One SupCon training step in PyTorch, fp32: what bench/train-step.ts measures against.

    python3 bench/train_step_torch.py ARCHITECTURE IMAGES SIZE THREADS

Builds the network, then answers every line on standard input with one line of JSON: `step` with the milliseconds of a
whole step (forward, loss, backward, SGD) and the loss, `peak` with the kB of VmHWM. Architectures and loss are those of
the training recipe; the layout is PyTorch's fastest here, channels last if "channels_last" is a fifth argument.
"""
import json, sys, time
import torch
import torch.nn as nn
import torch.nn.functional as F


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


def supcon_loss(z, labels, temperature):
    self_mask = torch.eye(len(z), dtype=torch.bool)
    logits = (z @ z.t() / temperature).masked_fill(self_mask, float("-inf"))
    log_prob = logits - torch.logsumexp(logits, 1, keepdim=True)
    positive = (labels[:, None] == labels[None]) & ~self_mask
    return -(log_prob.masked_fill(~positive, 0).sum(1) / positive.sum(1).clamp(min=1)).mean()


def main():
    arch, images, size, threads = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4])
    layout = torch.channels_last if "channels_last" in sys.argv else torch.contiguous_format
    torch.set_num_threads(threads)
    torch.manual_seed(1)
    encoder, dim = {"compact": lambda: compact((64, 256, 256)), "resnet20": lambda: resnet(16, (3, 3, 3)),
                    "resnet18": lambda: resnet(64, (2, 2, 2, 2)), "resnet34": lambda: resnet(64, (3, 4, 6, 3))}[arch]()
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
