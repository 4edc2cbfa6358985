#!/usr/bin/env bash
# Formats C++, CUDA and Python, or with --check says what is not formatted and fails.
set -euo pipefail

export PATH=$PWD/.venv/bin:$PATH
sources() { git ls-files -z --cached --others --exclude-standard -- '*.h' '*.cpp' '*.cu'; }
if [[ ${1:-} == --check ]]; then
  sources | xargs -0 clang-format --dry-run --Werror
  ruff format --check
else
  sources | xargs -0 clang-format -i
  ruff format
fi
