#!/usr/bin/env bash
# Makes build/clients (an environment of gigabytes, once) and runs the programs of this folder in it, in BF16, with
# torchao's layers and with ours: a line of JSON each, kept in build/clients/results. With an argument only the programs
# whose names match it (a regular expression), beside the results of those that ran before. Needs `make build`.
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

mkdir -p results
only=${1:-.}
show() {  # what it is, and the command
  local name=$1 file=${1// /-}
  shift
  [[ $name =~ $only ]] || return 0
  echo "running $name"
  rm -f "results/$file"
  "$@" 2>"log-$file.txt" >"out-$file.txt" || { tail -n 20 "log-$file.txt" >&2; exit 1; }
  sed -n "s/^RESULT/$name:/p" "out-$file.txt" >"results/$file"
}
ours=("$python" -m float8.as_torchao --)
many=("$clients/env/bin/torchrun" --nproc-per-node 2)
gather=(--fp8.enable_fsdp_float8_all_gather=true --fp8.precompute_float8_dynamic_scale_for_fsdp=true)
automodel=("$here/automodel.py" automodel.yaml)
accelerate=("$here/accelerate_fp8.py")

show "accelerate bf16" "$python" "${accelerate[@]}" bf16
show "accelerate torchao" "$python" "${accelerate[@]}" fp8
show "accelerate ours" "${ours[@]}" "$python" "${accelerate[@]}" fp8
show "accelerate 2 processes bf16" "${many[@]}" "${accelerate[@]}" bf16
show "accelerate 2 processes torchao" "${many[@]}" "${accelerate[@]}" fp8
show "accelerate 2 processes ours" "${ours[@]}" "${many[@]}" "${accelerate[@]}" fp8
for seed in 7 8; do
  show "automodel seed $seed bf16" "$python" "${automodel[@]}" --seed=$seed --fp8.enabled=false
  for recipe in tensorwise rowwise; do
    words=("${automodel[@]}" --seed=$seed --fp8.recipe_name=$recipe)
    show "automodel seed $seed $recipe torchao" "$python" "${words[@]}"
    show "automodel seed $seed $recipe ours" "${ours[@]}" "$python" "${words[@]}"
  done
done
show "automodel 2 processes bf16" "${many[@]}" "${automodel[@]}" --fp8.enabled=false
show "automodel 2 processes torchao" "${many[@]}" "${automodel[@]}"
show "automodel 2 processes ours" "${ours[@]}" "${many[@]}" "${automodel[@]}"
show "automodel 2 processes ours all-gather" "${ours[@]}" "${many[@]}" "${automodel[@]}" "${gather[@]}"
cat results/*
