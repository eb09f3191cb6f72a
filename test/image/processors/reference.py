"""What image processors of transformers make of drawn images: python reference.py > reference.json

Needs transformers below 5, Pillow below 13 (which resizes some tall images in another order, so that their samples differ by
one) and numpy; no PyTorch. The images are drawn by processors.test.ts too.
"""

import hashlib
import json

import numpy as np
from PIL import Image
from transformers import BitImageProcessor, CLIPImageProcessor, SiglipImageProcessor

linear, cubic = Image.Resampling.BILINEAR, Image.Resampling.BICUBIC


def drawn(width: int, height: int) -> Image.Image:
    """A picture of waves and edges, in whole numbers alone."""
    y, x, c = np.meshgrid(np.arange(height), np.arange(width), np.arange(3), indexing="ij")
    return Image.fromarray((((x * (7 + c) + y * (11 - c) + ((x * y) >> 3)) ^ ((x * x) >> 4)) & 255).astype(np.uint8))


def edge_and_crop(made, edge: int, side: int, kernel):
    return made(
        size={"shortest_edge": edge},
        crop_size={"height": side, "width": side},
        resample=kernel,
        do_rescale=False,
        do_normalize=False,
    )


def exact(side: int, kernel):
    size = {"height": side, "width": side}
    return SiglipImageProcessor(size=size, resample=kernel, do_rescale=False, do_normalize=False)


processors = {
    "dinov2": edge_and_crop(BitImageProcessor, 64, 56, cubic),
    "clip": edge_and_crop(CLIPImageProcessor, 56, 56, cubic),
    "siglip": exact(56, cubic),
    "siglip2": exact(56, linear),
}
# Of what the longer edge becomes at 64 and 56, some leave 1, 2 and 3 of 4 over: both ways to halve an odd number.
sizes = [(301, 203), (203, 301), (299, 224), (150, 97), (97, 150), (80, 77), (83, 50), (57, 56), (640, 427)]
print(
    json.dumps(
        [
            {
                "processor": name,
                "width": width,
                "height": height,
                "sha256": hashlib.sha256(
                    processor(drawn(width, height), return_tensors="np")["pixel_values"][0]
                    .transpose(1, 2, 0)
                    .astype(np.uint8)
                    .tobytes()
                ).hexdigest(),
            }
            for name, processor in processors.items()
            for width, height in sizes
        ],
        indent=1,
    )
)
