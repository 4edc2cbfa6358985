#include "src/ops/cpu/loops/loops.h"

namespace float8::cpu {

extern const Loops kBaselineLoops;
#if defined(__x86_64__)
extern const Loops kAvx2Loops;
extern const Loops kAvx512Loops;
#endif

namespace {

const Loops& select() {
#if defined(__x86_64__)
  __builtin_cpu_init();
  if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
      __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl")) {
    return kAvx512Loops;
  }
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") &&
      __builtin_cpu_supports("f16c")) {
    return kAvx2Loops;
  }
#endif
  return kBaselineLoops;
}

}  // namespace

const Loops& loops() {
  static const Loops& selected = select();
  return selected;
}

}  // namespace float8::cpu
