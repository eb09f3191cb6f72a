"""What Pillow and ONNX Runtime make of one drawn image: python reference.py > reference.json

Needs Pillow, numpy and onnxruntime (bench/peer/requirements.txt has them). The image is drawn by test/image/drawing.ts too.
"""

import hashlib
import json
import pathlib

import numpy as np
import onnxruntime as ort
from PIL import Image

root = pathlib.Path(__file__).parents[3]


def drawn(width: int, height: int) -> Image.Image:
    """A picture of waves and edges, in whole numbers alone."""
    y, x, c = np.meshgrid(np.arange(height), np.arange(width), np.arange(3), indexing="ij")
    return Image.fromarray((((x * (7 + c) + y * (11 - c) + ((x * y) >> 3)) ^ ((x * x) >> 4)) & 255).astype(np.uint8))


def pixels(image: Image.Image) -> dict:
    """All pixels by their hash."""
    return {"width": image.width, "height": image.height, "sha256": hashlib.sha256(image.tobytes()).hexdigest()}


def edge_and_crop(image: Image.Image, edge: int, side: int) -> Image.Image:
    """As torchvision's Resize(edge) and CenterCrop(side)."""
    w, h = image.size
    size = (edge, int(edge * h / w)) if w <= h else (int(edge * w / h), edge)
    resized = image.resize(size, Image.Resampling.BICUBIC)
    left, top = int(round((size[0] - side) / 2.0)), int(round((size[1] - side) / 2.0))
    return resized.crop((left, top, left + side, top + side))


session = ort.InferenceSession(root / "models/cifar10-compact/encoder.onnx", providers=["CPUExecutionProvider"])


def embedding(image: Image.Image) -> list[float]:
    (values,) = session.run(["embeddings"], {"pixels": np.asarray(image)[None]})
    return [round(float(value), 6) for value in values[0]]


kernels = {
    "nearest": Image.Resampling.NEAREST,
    "linear": Image.Resampling.BILINEAR,
    "cubic": Image.Resampling.BICUBIC,
    "lanczos3": Image.Resampling.LANCZOS,
}
image = drawn(301, 203)
print(
    json.dumps(
        {
            "resized": [
                {"kernel": name, **pixels(image.resize(size, kernel))}
                for name, kernel in kernels.items()
                for size in [(32, 32), (150, 203), (301, 40), (470, 333), (7, 1)]
            ],
            "exact": {**pixels(image.resize((32, 32), Image.Resampling.BICUBIC)),
                      "embedding": embedding(image.resize((32, 32), Image.Resampling.BICUBIC))},
            "edgeAndCrop": {**pixels(edge_and_crop(image, 41, 32)), "embedding": embedding(edge_and_crop(image, 41, 32))},
        },
        indent=1,
    )
)
