#!/usr/bin/env bash
# Builds and runs the C++ tests of a preset in build/PRESET: cpp_tests.sh release|debug|asan|tsan
set -euo pipefail

preset=$1
export PATH=$PWD/.venv/bin:$PATH  # cmake, ninja and ctest
cmake --preset "$preset" -DPython_EXECUTABLE="$PWD/.venv/bin/python" >"build/$preset.log" 2>&1 ||
  { cat "build/$preset.log" >&2; exit 1; }
cmake --build --preset "$preset"
ctest --preset "$preset"
