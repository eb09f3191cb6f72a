"""Photos as Python's pipeline decodes them: pipeline.py OUT FILES..., uint8 [n, 224, 224, 3] and [n, 32, 32, 3]."""

import sys

import numpy as np
from PIL import Image, ImageOps

out, *files = sys.argv[1:]


def edge_and_crop(image: Image.Image, edge: int, side: int) -> Image.Image:
    """As torchvision's Resize(edge) and CenterCrop(side)."""
    w, h = image.size
    size = (edge, int(edge * h / w)) if w <= h else (int(edge * w / h), edge)
    left, top = int(round((size[0] - side) / 2.0)), int(round((size[1] - side) / 2.0))
    return image.resize(size, Image.Resampling.BICUBIC).crop((left, top, left + side, top + side))


images = [ImageOps.exif_transpose(Image.open(file)).convert("RGB") for file in files]
with open(out, "wb") as pixels:
    for image in images:
        pixels.write(np.asarray(edge_and_crop(image, 256, 224)).tobytes())
        pixels.write(np.asarray(image.resize((32, 32), Image.Resampling.BICUBIC)).tobytes())
