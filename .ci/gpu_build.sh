#!/usr/bin/env bash
# Builds library, Python package and tests for the GPU that is here, without a network: gpu_build.sh unpack|build|package
# Everything goes to build/gpu. PYTHON names the interpreter that has torch; CUDA_ARCHITECTURE builds for another GPU.
set -euo pipefail

cd "$(dirname "$0")/.."
python=${PYTHON:-python3}
folder=$PWD/build/gpu
export PYTHONPATH=$folder/site${PYTHONPATH:+:$PYTHONPATH}

unpack() {
  [[ -d .gpu/wheels ]] || { echo "gpu_build: no .gpu/ here; run make gpu-stage where there is a network" >&2; exit 1; }
  mkdir -p "$folder"
  "$python" -m pip install --quiet --disable-pip-version-check --no-index --no-deps --no-compile --no-cache-dir \
    --upgrade --root-user-action=ignore --target "$folder/site" .gpu/wheels/*.whl
  cmake -S .gpu/googletest -B "$folder/googletest" -G Ninja -DCMAKE_BUILD_TYPE=Release -DCMAKE_INSTALL_LIBDIR=lib \
    -DCMAKE_INSTALL_PREFIX="$folder/prefix" -DCMAKE_POSITION_INDEPENDENT_CODE=ON >"$folder/googletest.log" 2>&1 &&
    cmake --build "$folder/googletest" --target install >>"$folder/googletest.log" 2>&1 ||
    { cat "$folder/googletest.log" >&2; exit 1; }
}

build() {
  local architecture=${CUDA_ARCHITECTURE:-}
  if [[ -z $architecture ]]; then
    architecture=$("$python" -c 'import torch; print("%d.%d" % torch.cuda.get_device_capability())')
  fi
  # A toolkit without cuBLAS's headers: torch's packages have them.
  local nvcc headers
  if nvcc=$(command -v nvcc) && [[ ! -e $(dirname "$(readlink -f "$nvcc")")/../include/cublasLt.h ]]; then
    headers=$("$python" -c 'import pathlib, sys
print(next((f.parent for p in sys.path for f in pathlib.Path(p, "nvidia").glob("cu*/include/cublasLt.h")), ""))')
    export CPATH=$headers${CPATH:+:$CPATH}
  fi
  # A newer compiler's new warnings are no reason to lose a GPU's time.
  cmake -S . -B "$folder/build" -G Ninja -DCMAKE_BUILD_TYPE=Release -DFLOAT8_PYTHON=ON -DFLOAT8_TESTS=ON \
    -DFLOAT8_WERROR=OFF -DPython_EXECUTABLE="$(command -v "$python")" -DTORCH_CUDA_ARCH_LIST="$architecture" \
    -DCMAKE_PREFIX_PATH="$folder/prefix" >"$folder/configure.log" 2>&1 || { cat "$folder/configure.log" >&2; exit 1; }
  grep 'float8 .* for torch' "$folder/configure.log"
  echo "CUDA architecture: $architecture"
  # Tests that do not compile must not keep the library from being measured.
  cmake --build "$folder/build" --target float8 _C float8_torch_tests -- -k 0
}

# What is compiled, and the Python files, in one folder for PYTHONPATH.
package() {
  rm -rf "$folder/package"
  mkdir -p "$folder/package"
  cp -r python/float8 "$folder/package/float8"
  cmake --install "$folder/build" --prefix "$folder/package/float8" >"$folder/install.log" ||
    { cat "$folder/install.log" >&2; exit 1; }
}

case ${1:-} in
  unpack | build | package) "$1" ;;
  *) echo "usage: gpu_build.sh unpack|build|package" >&2; exit 2 ;;
esac
