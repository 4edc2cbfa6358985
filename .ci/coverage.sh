#!/usr/bin/env bash
# Runs all tests on a build that counts lines, and reports which of ours none of them reached: C++ in
# build/coverage/cpp.txt, Python in build/coverage/python.txt. C++ counts what Python tests reach, too.
set -euo pipefail

build=$PWD/build/coverage
export PATH=$PWD/.venv/bin:$PATH
find "$build" -name '*.gcda' -delete 2>/dev/null || true
.ci/cpp_tests.sh coverage
.ci/build_package.sh "$build"

export COVERAGE_FILE=$build/reached/data
rm -rf "$build/reached" && mkdir "$build/reached"
status=0
# The one test left out builds against an installation, which has torch beside it.
OMP_WAIT_POLICY=passive PYTHONPATH=$build/package python -m coverage run -m pytest -q -p no:cacheprovider \
  --numprocesses 2 --dist loadfile \
  --deselect tests/python/test_readme.py::test_cpp_example_builds_and_trains || status=$?
python -m coverage combine --quiet "$build/reached"
python -m coverage report --show-missing --skip-covered >"$build/python.txt"

# Kernels count as C++: the tests compile them for the host.
gcovr --root . --filter 'include/' --filter 'src/' --filter 'kernels/' --filter 'python/bindings/' \
  --gcov-ignore-parse-errors=all --merge-lines --merge-mode-functions=merge-use-line-0 --txt "$build/cpp.txt" --txt-metric line "$build"
tail -n 2 "$build/cpp.txt"
tail -n 1 "$build/python.txt"
echo "the lines that no test reaches: $build/cpp.txt, $build/python.txt"
exit $status
