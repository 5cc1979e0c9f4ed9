// bfloat16 as bits, and its conversions: widening is exact, narrowing rounds to nearest even and keeps NaN a NaN.
#pragma once
#include "cpu/vec.h"

namespace fastnn {
namespace FASTNN_ISA {
namespace {
struct Bf16 {
  uint16_t bits;
};
FASTNN_INLINE float bf16_to_float(Bf16 x) {
  const uint32_t u = static_cast<uint32_t>(x.bits) << 16;
  float f;
  __builtin_memcpy(&f, &u, 4);
  return f;
}
FASTNN_INLINE Bf16 float_to_bf16(float f) {
  uint32_t u;
  __builtin_memcpy(&u, &f, 4);
  if (f != f) return {static_cast<uint16_t>((u >> 16) | 0x40)};
  return {static_cast<uint16_t>((u + 0x7fff + ((u >> 16) & 1)) >> 16)};
}
}  // namespace
}  // namespace FASTNN_ISA
}  // namespace fastnn
