#!/usr/bin/env bash
# Puts Python packages into .venv, which it makes first if need be: environment.sh build|test|lint
# The lists are pyproject.toml's. uv installs them, several times as fast as pip.
set -euo pipefail

group=$1
export UV_SYSTEM_CERTS=true  # like pip: a company's proxy may have a certificate of its own
python=.venv/bin/python

if [[ ! -x .venv/bin/uv ]]; then
  "${PYTHON:-python3}" -m venv --clear .venv
  $python -m pip install --quiet --disable-pip-version-check uv
fi
arguments=(--group "$group")
if [[ -n ${TORCH:-} ]]; then  # another version than pyproject.toml's, to try it
  echo "torch==$TORCH" > .venv/torch-override.txt
  arguments+=(--override .venv/torch-override.txt)
fi
if [[ $group == build ]]; then
  arguments+=(-r pyproject.toml --extra train)
fi
.venv/bin/uv pip install --quiet --python $python "${arguments[@]}"
