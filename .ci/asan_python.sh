#!/usr/bin/env bash
# Runs Python tests on a library that AddressSanitizer and UndefinedBehaviorSanitizer watch: asan_python.sh [TESTS...]
# torch itself is not instrumented; what it allocates is watched all the same.
set -euo pipefail

root=$PWD
build=build/asan_python
export PATH=$root/.venv/bin:$PATH  # cmake and ninja
cmake --preset asan -B $build -DPython_EXECUTABLE="$root/.venv/bin/python" -DFLOAT8_PYTHON=ON -DFLOAT8_TESTS=OFF \
  >$build.log 2>&1 || { cat $build.log >&2; exit 1; }
cmake --build $build --target float8 _C
preload="$(${CXX:-g++} -print-file-name=libasan.so) $(${CXX:-g++} -print-file-name=libubsan.so)"
export ASAN_OPTIONS=detect_leaks=0:strict_string_checks=1 UBSAN_OPTIONS=print_stacktrace=1
PRELOAD=$preload .ci/build_package.sh $build
LD_PRELOAD=$preload PYTHONPATH=$root/$build/package python -m pytest -q -p no:cacheprovider "$@"
