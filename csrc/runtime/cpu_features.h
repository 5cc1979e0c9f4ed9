// What this CPU and operating system can run (CPUID and XGETBV).
#pragma once
namespace fastnn {
struct CpuFeatures {
  bool avx2, avx512, avx512_bf16;  // avx2 includes FMA; avx512 = F, BW, DQ, VL
};
const CpuFeatures& cpu_features();
}  // namespace fastnn
