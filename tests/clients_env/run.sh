#!/usr/bin/env bash
# Makes build/clients (an environment of gigabytes, once) and runs the programs of this folder in it, in BF16, with
# torchao's layers and with ours: a line of JSON each, collected in build/clients/results.txt. Needs `make build`.
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
cd "$here/../.."
root=$PWD
clients=$root/build/clients
uv=$root/.venv/bin/uv
python=$clients/env/bin/python
export UV_SYSTEM_CERTS=true OMP_NUM_THREADS=1 TOKENIZERS_PARALLELISM=false

if [[ ! -e $clients/ready ]]; then
  mkdir -p "$clients"
  "$uv" venv --quiet --clear --python "$root/.venv/bin/python" "$clients/env"
  "$uv" pip install --quiet --python "$python" nemo-automodel==0.7.0 'torch==2.11.*' 'torchao==0.18.*' 'accelerate==1.15.*'
  touch "$clients/ready"
fi
# The wheel of this tree, with what is built in build/release.
(export PATH=$root/.venv/bin:$PATH
 python -c 'import scikit_build_core.build as backend; backend.build_wheel("build/clients", {"build-dir": "build/release"})') \
  >"$clients/wheel.log" 2>&1 || { cat "$clients/wheel.log" >&2; exit 1; }
"$uv" pip install --quiet --python "$python" --no-deps --reinstall-package float8 "$clients"/float8-*.whl

cd "$clients"
cp "$here/automodel.yaml" .
"$python" - <<'PYTHON'
import torch
from transformers import LlamaConfig, LlamaForCausalLM

torch.manual_seed(0)
shape = {"hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 2}
heads = {"num_attention_heads": 4, "num_key_value_heads": 2}
LlamaForCausalLM(LlamaConfig(vocab_size=112, **shape, **heads)).bfloat16().save_pretrained("model")
PYTHON

: >results.txt
show() {  # what it is, and the command
  local name=$1
  shift
  echo "running $name"
  "$@" 2>"log-${name// /-}.txt" >"out-${name// /-}.txt" || { tail -n 20 "log-${name// /-}.txt" >&2; exit 1; }
  sed -n "s/^RESULT/$name:/p" "out-${name// /-}.txt" >>results.txt
}
ours=("$python" -m float8.as_torchao --)
many=("$clients/env/bin/torchrun" --nproc-per-node 2)
gather=(--fp8.enable_fsdp_float8_all_gather=true --fp8.precompute_float8_dynamic_scale_for_fsdp=true)
automodel=("$here/automodel.py" automodel.yaml)

for kind in bf16 fp8; do
  show "accelerate $kind" "$python" "$here/accelerate_fp8.py" $kind
done
show "accelerate fp8 ours" "${ours[@]}" "$python" "$here/accelerate_fp8.py" fp8
show "automodel bf16" "$python" "${automodel[@]}" --fp8.enabled=false
show "automodel torchao" "$python" "${automodel[@]}"
show "automodel ours" "${ours[@]}" "$python" "${automodel[@]}"
show "automodel 2 processes bf16" "${many[@]}" "${automodel[@]}" --fp8.enabled=false
show "automodel 2 processes torchao" "${many[@]}" "${automodel[@]}"
show "automodel 2 processes ours" "${ours[@]}" "${many[@]}" "${automodel[@]}"
show "automodel 2 processes ours all-gather" "${ours[@]}" "${many[@]}" "${automodel[@]}" "${gather[@]}"
cat results.txt
