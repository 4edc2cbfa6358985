#!/usr/bin/env bash
# Makes build/clients (an environment of gigabytes, once; the wheel of this tree; models) and runs the programs of this
# folder there, see runs.py: `make clients`, or run.sh 'automodel-2' for those whose names match.
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
cd "$here/../.."
clients=$PWD/build/clients
uv=$PWD/.venv/bin/uv
python=$clients/env/bin/python
packages=(nemo-automodel==0.7.0 'torch==2.11.*' 'torchao==0.18.*' 'accelerate==1.15.*')
export UV_SYSTEM_CERTS=true OMP_NUM_THREADS=1 TOKENIZERS_PARALLELISM=false HF_HUB_OFFLINE=1

[[ -x $uv ]] || { echo "[clients] the package must be built first, got no .venv; run make clients" >&2; exit 1; }
if [[ $(cat "$clients/ready" 2>/dev/null) != "${packages[*]}" ]]; then
  echo "Making build/clients/env: nemo-automodel and what it needs (gigabytes, the first time)"
  mkdir -p "$clients"
  "$uv" venv --quiet --clear --python .venv/bin/python "$clients/env"
  "$uv" pip install --quiet --python "$python" "${packages[@]}"
  echo "${packages[*]}" >"$clients/ready"
fi
# The wheel of this tree, with what is built in build/release.
rm -f "$clients"/float8-*.whl
(export PATH=$PWD/.venv/bin:$PATH
 python -c 'import scikit_build_core.build as backend; backend.build_wheel("build/clients", {"build-dir": "build/release"})') \
  >"$clients/wheel.log" 2>&1 || { cat "$clients/wheel.log" >&2; exit 1; }
"$uv" pip install --quiet --python "$python" --no-deps --reinstall-package float8 "$clients"/float8-*.whl

exec .venv/bin/python "$here/runs.py" "$@"
