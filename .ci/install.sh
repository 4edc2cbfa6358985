#!/usr/bin/env bash
# Builds the package in build/release and installs it into .venv: what is compiled is copied, Python files stay where
# they are, so that an edited one counts at once.
set -euo pipefail

export PATH=$PWD/.venv/bin:$PATH  # cmake and ninja
uv pip install --quiet --python .venv/bin/python --no-build-isolation --no-deps --editable . \
  --config-settings build-dir=build/release
