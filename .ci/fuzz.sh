#!/usr/bin/env bash
# Builds the fuzz targets in build/fuzz and runs each for some seconds: fuzz.sh SECONDS
set -euo pipefail

seconds=$1
root=$PWD
export PATH=$root/.venv/bin:$PATH  # cmake and ninja
mkdir -p build/fuzz
cmake -S tests/fuzz -B build/fuzz -G Ninja -DCMAKE_CXX_COMPILER=clang++ \
  -DPython_EXECUTABLE="$root/.venv/bin/python" >build/fuzz.log 2>&1 || { cat build/fuzz.log >&2; exit 1; }
cmake --build build/fuzz

cd build/fuzz
run() {
  local target=$1 limit=$2
  shift 2
  mkdir -p "corpus/$target"
  echo "$target: $seconds seconds"
  # The first folder receives what is new. A stored input of every kind is run first.
  "./${target}_fuzz" -max_total_time="$seconds" -max_len="$limit" -timeout=5 -rss_limit_mb=2048 -print_final_stats=1 \
    "$@" "corpus/$target" "$root/tests/fuzz/corpus/$target" >"$target.log" 2>&1 || { tail -40 "$target.log" >&2; exit 1; }
  grep -E "stat::number_of_executed_units" "$target.log"
}
run yaml 4096 -dict="$root/tests/fuzz/yaml.dict"
run glob 256
