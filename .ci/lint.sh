#!/usr/bin/env bash
# Static checks: ruff and mypy over Python, clang-tidy over our C++ sources (the compile database names them).
set -euo pipefail

export PATH=$PWD/.venv/bin:$PATH
ruff check
mypy
run-clang-tidy -quiet -p build/release -j "$(nproc)" "^$PWD/(src|python|kernels)/.*\.cpp$"
