// 16-bit floats as bits: to the nearest, ties to even, NaN stays NaN.
#include <cstring>

#define FASTNN_EMU 1
#include "cuda/prim.h"

namespace fastnn {
namespace cuda {
namespace {
uint32_t bits_of(float x) {
  uint32_t u;
  std::memcpy(&u, &x, 4);
  return u;
}
float float_of(uint32_t u) {
  float x;
  std::memcpy(&x, &u, 4);
  return x;
}
}  // namespace

float widen(bf16 x) { return float_of(uint32_t(x.bits) << 16); }

bf16 narrow_bf16(float x) {
  uint32_t u = bits_of(x);
  if ((u & 0x7fffffffu) > 0x7f800000u) return {static_cast<uint16_t>(u >> 16 | 0x40)};
  return {static_cast<uint16_t>((u + 0x7fff + (u >> 16 & 1)) >> 16)};
}

float widen(f16 x) {
  uint32_t sign = uint32_t(x.bits & 0x8000) << 16, e = x.bits >> 10 & 31, m = x.bits & 1023;
  if (e == 31) return float_of(sign | 0x7f800000u | m << 13);
  if (e) return float_of(sign | (e + 112) << 23 | m << 13);
  float tiny = static_cast<float>(m) * 5.9604644775390625e-8f;  // 2^-24
  return sign ? -tiny : tiny;
}

f16 narrow_f16(float x) {
  uint32_t u = bits_of(x), sign = u >> 16 & 0x8000, a = u & 0x7fffffffu;
  if (a > 0x7f800000u) return {static_cast<uint16_t>(sign | 0x7e00)};
  if (a >= 0x477ff000u) return {static_cast<uint16_t>(sign | 0x7c00)};  // 65520 and above round to infinity
  if (a >= 0x38800000u) {                                               // normal: 2^-14 and above
    uint32_t r = a - (112u << 23);
    return {static_cast<uint16_t>(sign | (r + 0xfff + (r >> 13 & 1)) >> 13)};
  }
  // Subnormal: adding 0.5 leaves the wanted bits, rounded by the addition itself, at the bottom of the sum.
  float sum = float_of(a) + 0.5f;
  return {static_cast<uint16_t>(sign | (bits_of(sum) - 0x3f000000u))};
}

}  // namespace cuda
}  // namespace fastnn
