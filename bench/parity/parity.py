"""Photos as Python's libraries preprocess and embed them: python parity.py ASK.json OUT_FOLDER

ASK.json holds `photos`, paths, and `encoders`: {name, processor, edge, side, kernel, model, input, output, token, mean, std}.
Writes for each NAME.pixels, uint8 [n, side, side, 3], and NAME.embeddings, unit float32 [n, dimension]; prints what was used.
With `transformers` installed its image processors (those on Pillow and numpy) make the pixels of its encoders; otherwise,
and for torchvision's transforms, which need PyTorch, the same steps are written out here.
"""

import json
import pathlib
import sys

import numpy as np
import onnxruntime as ort
from PIL import Image, ImageOps

try:
    import transformers
except ImportError:
    transformers = None

kernels = {"linear": Image.Resampling.BILINEAR, "cubic": Image.Resampling.BICUBIC}


def resized(image: Image.Image, edge: int, kernel: str) -> Image.Image:
    """The shorter edge to a length; the other is cut off to a whole number by torchvision and transformers alike."""
    w, h = image.size
    size = (edge, int(edge * h / w)) if w <= h else (int(edge * w / h), edge)
    return image.resize(size, kernels[kernel])


def torchvision_pixels(image: Image.Image, ask: dict) -> np.ndarray:
    """Resize and CenterCrop on a Pillow image, as timm builds them: the crop begins at Python's round."""
    image, side = resized(image, ask["edge"], ask["kernel"]), ask["side"]
    left, top = int(round((image.width - side) / 2.0)), int(round((image.height - side) / 2.0))
    return np.asarray(image.crop((left, top, left + side, top + side)))


def written_out(image: Image.Image, ask: dict) -> np.ndarray:
    """What transformers' processors do: the crop begins at whole halves."""
    side = ask["side"]
    if ask["edge"] is None:
        return np.asarray(image.resize((side, side), kernels[ask["kernel"]]))
    image = resized(image, ask["edge"], ask["kernel"])
    left, top = (image.width - side) // 2, (image.height - side) // 2
    return np.asarray(image.crop((left, top, left + side, top + side)))


def processor_of(ask: dict):
    """Pixels, and the values that the model takes, of a Pillow image."""
    mean, std = np.float32(ask["mean"]), np.float32(ask["std"])

    def normalised(pixels: np.ndarray) -> np.ndarray:
        return ((pixels.astype(np.float32) / 255 - mean) / std).transpose(2, 0, 1)

    def plain(make):
        def both(image: Image.Image):
            pixels = make(image, ask)
            return pixels, normalised(pixels)

        return both

    if ask["processor"] == "torchvision":
        return "torchvision's transforms, written out", plain(torchvision_pixels)
    if transformers is None:
        return f"{ask['processor']}, written out", plain(written_out)
    made = getattr(transformers, ask["processor"])
    size = {"shortest_edge": ask["edge"]} if ask["edge"] else {"height": ask["side"], "width": ask["side"]}
    common = {"size": size, "resample": kernels[ask["kernel"]], "image_mean": ask["mean"], "image_std": ask["std"]}
    if ask["edge"]:
        common["crop_size"] = {"height": ask["side"], "width": ask["side"]}
    processor, raw = made(**common), made(**common, do_rescale=False, do_normalize=False)

    def both(image: Image.Image):
        pixels = raw(image, return_tensors="np")["pixel_values"][0]
        return pixels.transpose(1, 2, 0).astype(np.uint8), processor(image, return_tensors="np")["pixel_values"][0]

    return f"{ask['processor']} of transformers {transformers.__version__}", both


ask_file, out = sys.argv[1:]
asked = json.loads(pathlib.Path(ask_file).read_text())
images = [ImageOps.exif_transpose(Image.open(path)).convert("RGB") for path in asked["photos"]]
used = {}
for ask in asked["encoders"]:
    used[ask["name"]], process = processor_of(ask)
    session = ort.InferenceSession(ask["model"], providers=["CPUExecutionProvider"])
    with open(f"{out}/{ask['name']}.pixels", "wb") as pixels, open(f"{out}/{ask['name']}.embeddings", "wb") as embeddings:
        for image in images:
            made, values = process(image)
            (features,) = session.run([ask["output"]], {ask["input"]: values[None].astype(np.float32)})
            feature = features[0] if ask["token"] is None else features[0][0]
            pixels.write(np.ascontiguousarray(made).tobytes())
            embeddings.write((feature / np.linalg.norm(feature)).astype(np.float32).tobytes())
print(json.dumps({"used": used, "pillow": Image.__version__, "onnxruntime": ort.__version__}))
