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
rm -rf $build/package
cmake --install $build --prefix $build/package/float8 >/dev/null
cp -rs "$root"/python/float8/. $build/package/float8/
# The editable installation finds float8 before PYTHONPATH does.
cat >$build/package/sitecustomize.py <<'PYTHON'
import sys

sys.meta_path = [finder for finder in sys.meta_path if "Editable" not in type(finder).__name__
                 and "Redirecting" not in type(finder).__name__]
PYTHON
export PYTHONPATH=$root/$build/package
export LD_PRELOAD="$(${CXX:-g++} -print-file-name=libasan.so) $(${CXX:-g++} -print-file-name=libubsan.so)"
export ASAN_OPTIONS=detect_leaks=0:strict_string_checks=1 UBSAN_OPTIONS=print_stacktrace=1
python -c "import float8, sys; sys.exit('asan_python' not in float8.cmake_prefix_path)" ||
  { echo "the tests would not load the instrumented library" >&2; exit 1; }
python -m pytest -q -p no:cacheprovider "$@"
