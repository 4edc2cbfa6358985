#!/usr/bin/env bash
# Makes BUILD/package/float8 of what is built in BUILD: the compiled part copied, the Python files linked to.
# With BUILD/package in PYTHONPATH it goes before the editable installation: build_package.sh BUILD
# PRELOAD names libraries that python must load before any other.
set -euo pipefail

build=$1
rm -rf "$build/package"
cmake --install "$build" --prefix "$build/package/float8" >/dev/null
cp -rs "$PWD"/python/float8/. "$build/package/float8/"
# The editable installation would find float8 before PYTHONPATH does.
cat >"$build/package/sitecustomize.py" <<'PYTHON'
import sys

sys.meta_path = [finder for finder in sys.meta_path if "Editable" not in type(finder).__name__
                 and "Redirecting" not in type(finder).__name__]
PYTHON
LD_PRELOAD=${PRELOAD:-} PYTHONPATH=$build/package python - "$build" <<'PYTHON'
import pathlib, sys

import float8

if pathlib.Path(sys.argv[1]).resolve() not in pathlib.Path(float8.cmake_prefix_path).resolve().parents:
    sys.exit(f"the tests would load {float8.cmake_prefix_path}, not the library in {sys.argv[1]}")
PYTHON
