#!/usr/bin/env bash
# Installs @tensorflow/tfjs-node into the project in the current folder where the download of libtensorflow is closed: the
# library and its headers come out of PyPI's tensorflow-cpu, and the addon is compiled against them. For Linux on x86_64; needs
# npm, Python 3 with pip, and a C++ compiler. node_modules must be this project's own: files in it are written in place.
set -euo pipefail
tensorflow=2.12.1
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

npm install --no-save --save-dev --ignore-scripts --no-audit --no-fund @tensorflow/tfjs-node@4.22.0
python3 -m pip download --quiet --no-deps --only-binary :all: --python-version 3.11 --implementation cp \
  --platform manylinux2014_x86_64 --platform manylinux_2_17_x86_64 --dest "$scratch" "tensorflow-cpu==$tensorflow"

package=$PWD/node_modules/@tensorflow/tfjs-node
python3 - "$scratch"/*.whl "$package/deps" <<'PYTHON'
import os, shutil, sys, zipfile

wheel, target = zipfile.ZipFile(sys.argv[1]), sys.argv[2]
parts = ("tensorflow/c/", "tensorflow/core/platform/", "tensorflow/tsl/", "tsl/")
headers = tuple("tensorflow/include/" + part for part in parts)
for name in wheel.namelist():
    if name.startswith("tensorflow/libtensorflow"):
        path = os.path.join(target, "lib", os.path.basename(name))
    elif name.startswith(headers) and name.endswith(".h"):
        path = os.path.join(target, "include", name[len("tensorflow/include/"):])
    else:
        continue
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with wheel.open(name) as source, open(path, "wb") as copy:
        shutil.copyfileobj(source, copy)
PYTHON
ln -sf libtensorflow_cc.so.2 "$package/deps/lib/libtensorflow.so"
ln -sf libtensorflow_framework.so.2 "$package/deps/lib/libtensorflow_framework.so"

# npm brings node-gyp, and the Node that runs brings its own headers.
gyp=$(dirname "$(readlink -f "$(command -v npm)")")/../node_modules/node-gyp/bin/node-gyp.js
node_folder=$(dirname "$(dirname "$(readlink -f "$(command -v node)")")")
(cd "$package" && node "$gyp" rebuild --nodedir="$node_folder" -- \
  -Dmodule_name=tfjs_binding -Dmodule_path=./lib/napi-v8 -Dnapi_build_version=8)
rm -r "$package/build"
[ -e "$package/lib/napi-v8/tfjs_binding.node" ]
