// Single-precision normals by Box and Muller, with the bits of torch's AVX2 build: the logarithm, sine and cosine are
// Cephes' polynomials, every multiply-add that is fused there is written as one, and contraction is off for this file.
#include <cstring>

#include "kernels.h"

namespace fastnn {
namespace FASTNN_ISA {
namespace {
constexpr int kLanes = 64;  // eight blocks of 8 radii and 8 angles at a time, for vectors of any width

inline float fma(float a, float b, float c) { return __builtin_fmaf(a, b, c); }
inline uint32_t bits(float x) {
  uint32_t u;
  std::memcpy(&u, &x, 4);
  return u;
}
inline float from_bits(uint32_t u) {
  float x;
  std::memcpy(&x, &u, 4);
  return x;
}

// log v for v in [2^-24, 1]: v = m · 2^e with m brought to [sqrt(1/2), sqrt(2)), less one.
inline float log_unit(float v) {
  uint32_t u = bits(v);
  float m = from_bits((u & 0x007fffffu) | 0x3f000000u);
  bool small = m < 0.707106781186547524f;
  float e = static_cast<float>(static_cast<int32_t>(u >> 23) - (small ? 127 : 126));
  m = (m - 1.0f) + (small ? m : 0.0f);
  float z = m * m;
  float y = 7.0376836292e-2f;
  y = fma(y, m, -1.1514610310e-1f);
  y = fma(y, m, 1.1676998740e-1f);
  y = fma(y, m, -1.2420140846e-1f);
  y = fma(y, m, 1.4249322787e-1f);
  y = fma(y, m, -1.6668057665e-1f);
  y = fma(y, m, 2.0000714765e-1f);
  y = fma(y, m, -2.4999993993e-1f);
  y = fma(y, m, 3.3333331174e-1f);
  y = y * m;
  y = fma(y, z, e * -2.12194440e-4f);
  y = fma(-z, 0.5f, y);
  return fma(e, 0.693359375f, m + y);
}

// Sine and cosine of t in [0, 2 pi): t less j quarters of pi in three steps, the octant picks polynomial and sign.
inline void sincos_turn(float t, float* sine, float* cosine) {
  int32_t j = (static_cast<int32_t>(t * 1.27323954473516f) + 1) & ~1;
  float jf = static_cast<float>(j);
  float r = fma(jf, -0.78515625f, t);
  r = fma(jf, -2.4187564849853515625e-4f, r);
  r = fma(jf, -3.77489497744594108e-8f, r);
  float z = r * r;
  float c = fma(2.443315711809948e-5f, z, -1.388731625493765e-3f);
  c = fma(c, z, 4.166664568298827e-2f);
  c = fma(c * z, z, -(z * 0.5f)) + 1.0f;
  float s = fma(-1.9515295891e-4f, z, 8.3321608736e-3f);
  s = fma(s, z, -1.6666654611e-1f);
  s = fma(s * z, r, r);
  bool swap = (j & 2) != 0;
  uint32_t sine_sign = (static_cast<uint32_t>(j) & 4u) << 29;
  uint32_t cosine_sign = (~static_cast<uint32_t>(j - 2) & 4u) << 29;
  *sine = from_bits(bits(swap ? c : s) ^ sine_sign);
  *cosine = from_bits(bits(swap ? s : c) ^ cosine_sign);
}

// blocks <= kLanes / 8, in place.
inline void transform(float* u, int blocks, float mean, float std) {
  alignas(64) float first[kLanes], second[kLanes];
  for (int i = 8 * blocks; i < kLanes; ++i) first[i] = second[i] = 0.0f;
  for (int b = 0; b < blocks; ++b) {
    std::memcpy(first + 8 * b, u + 16 * b, 32);
    std::memcpy(second + 8 * b, u + 16 * b + 8, 32);
  }
  for (int i = 0; i < kLanes; ++i) {
    float radius = __builtin_sqrtf(-2.0f * log_unit(1.0f - first[i]));
    float sine, cosine;
    sincos_turn(6.283185307179586f * second[i], &sine, &cosine);
    first[i] = fma(radius * cosine, std, mean);
    second[i] = fma(radius * sine, std, mean);
  }
  for (int b = 0; b < blocks; ++b) {
    std::memcpy(u + 16 * b, first + 8 * b, 32);
    std::memcpy(u + 16 * b + 8, second + 8 * b, 32);
  }
}
}  // namespace

void rng_normal_f32(float* u, int64_t blocks, float mean, float std) {
  constexpr int kBlocks = kLanes / 8;
  for (; blocks >= kBlocks; blocks -= kBlocks, u += 16 * kBlocks) transform(u, kBlocks, mean, std);
  if (blocks) transform(u, static_cast<int>(blocks), mean, std);
}

}  // namespace FASTNN_ISA
}  // namespace fastnn
