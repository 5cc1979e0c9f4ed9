#include "runtime/cpu_features.h"

#if defined(__x86_64__)
#include <cpuid.h>
#endif

namespace fastnn {
#if defined(__x86_64__)
namespace {
// Half-precision conversion: older compilers' __builtin_cpu_supports does not know its name.
bool f16c() {
  unsigned a = 0, b = 0, c = 0, d = 0;
  return __get_cpuid(1, &a, &b, &c, &d) && (c & (1u << 29));
}
}  // namespace
#endif

const CpuFeatures& cpu_features() {
  static const CpuFeatures f = [] {
    CpuFeatures c{false, false, false};
#if defined(__x86_64__)
    __builtin_cpu_init();  // asks XGETBV too: a feature the system does not save on a context switch is not reported
    c.avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && f16c();
    c.avx512 = c.avx2 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
               __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");
    c.avx512_bf16 = c.avx512 && __builtin_cpu_supports("avx512bf16");
#endif
    return c;
  }();
  return f;
}
}  // namespace fastnn
