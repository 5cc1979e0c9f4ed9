// The Mersenne Twister's words, and what is made of them without transcendental functions. Plain loops that the
// compiler vectorises; built with contraction off, each fused multiply-add is written out, so that every instruction
// set gives the same bits.
#include <cstring>

#include "cpu/bits.h"
#include "kernels.h"

namespace fastnn {
namespace FASTNN_ISA {
namespace {
constexpr int kWords = 624, kShift = 397;

inline uint32_t twisted(uint32_t upper, uint32_t lower) {
  uint32_t y = (upper & 0x80000000u) | (lower & 0x7fffffffu);
  return (y >> 1) ^ (0x9908b0dfu & -(lower & 1u));
}

// The next 624 words of the recurrence. The loops are independent over 397 and 227 words: far more than any vector.
void twist(uint32_t* key) {
  for (int k = 0; k < kWords - kShift; ++k) key[k] = key[k + kShift] ^ twisted(key[k], key[k + 1]);
  for (int k = kWords - kShift; k < kWords - 1; ++k) key[k] = key[k - (kWords - kShift)] ^ twisted(key[k], key[k + 1]);
  key[kWords - 1] = key[kShift - 1] ^ twisted(key[kWords - 1], key[0]);
}

// The low 53 bits of a pair of words whose first is the high one. Read as one little-endian uint64, the halves are
// swapped.
inline int64_t low53(const uint32_t* pair) {
  uint64_t x;
  std::memcpy(&x, pair, 8);
  return static_cast<int64_t>(((x & 0x1fffff) << 32) | (x >> 32));
}

// k · 2^-53 for 0 <= k < 2^53, exactly, from bit patterns (AVX2 has no conversion from int64): the low 32 bits sit in
// the mantissa of 2^52, the others in that of 2^84.
inline double unit53(int64_t k) {
  uint64_t low = (static_cast<uint64_t>(k) & 0xffffffffu) | 0x4330000000000000u;
  uint64_t high = (static_cast<uint64_t>(k) >> 32) | 0x4530000000000000u;
  double l, h;
  std::memcpy(&l, &low, 8);
  std::memcpy(&h, &high, 8);
  return ((h - 19342813118337666422669312.0) + l) * 0x1p-53;  // 2^84 + 2^52
}

inline float unit24(uint32_t word) { return static_cast<float>(static_cast<int32_t>(word & 0xffffff)) * 0x1p-24f; }

template <class T>
inline void below(const uint32_t* words, T* out, int64_t n, uint64_t threshold) {
  int64_t t = static_cast<int64_t>(threshold);
  for (int64_t i = 0; i < n; ++i) out[i] = low53(words + 2 * i) < t ? T(1) : T(0);
}
}  // namespace

void rng_words(uint32_t* key, int* pos, uint32_t* out, int64_t n) {
  while (n > 0) {
    if (*pos == kWords) {
      twist(key);
      *pos = 0;
    }
    const uint32_t* from = key + *pos;
    int64_t m = kWords - *pos < n ? kWords - *pos : n;
    for (int64_t i = 0; i < m; ++i) {
      uint32_t y = from[i];
      y ^= y >> 11;
      y ^= (y << 7) & 0x9d2c5680u;
      y ^= (y << 15) & 0xefc60000u;
      out[i] = y ^ (y >> 18);
    }
    *pos += static_cast<int>(m);
    out += m;
    n -= m;
  }
}

// [0, 1) apart: there the multiply-add changes nothing, and without an instruction for it it is a call.
void rng_uniform_f32(const uint32_t* words, float* out, int64_t n, float low, float span) {
  if (low == 0 && span == 1)
    for (int64_t i = 0; i < n; ++i) out[i] = unit24(words[i]);
  else
    for (int64_t i = 0; i < n; ++i) out[i] = __builtin_fmaf(unit24(words[i]), span, low);
}

void rng_uniform_f64(const uint32_t* words, double* out, int64_t n, double low, double span) {
  if (low == 0 && span == 1)
    for (int64_t i = 0; i < n; ++i) out[i] = unit53(low53(words + 2 * i));
  else
    for (int64_t i = 0; i < n; ++i) out[i] = __builtin_fma(unit53(low53(words + 2 * i)), span, low);
}

void rng_below_f32(const uint32_t* words, float* out, int64_t n, uint64_t threshold) {
  below(words, out, n, threshold);
}
void rng_below_f64(const uint32_t* words, double* out, int64_t n, uint64_t threshold) {
  below(words, out, n, threshold);
}
void rng_below_u8(const uint32_t* words, uint8_t* out, int64_t n, uint64_t threshold) {
  below(words, out, n, threshold);
}

namespace {
template <class T>
void mask_scale(const T* x, const uint8_t* mask, T scale, T* out, int64_t n) {
  constexpr int L = Vec<T>::size;
  const Vec<T> kept(scale), zero = Vec<T>::zero();
  int64_t i = 0;
  for (; i + L <= n; i += L) (Vec<T>::load(x + i) * select(bits_at<T>(mask, i), kept, zero)).store(out + i);
  for (; i < n; ++i) out[i] = x[i] * (mask[i / 8] >> i % 8 & 1 ? scale : T(0));
}
}  // namespace
void mask_scale_f32(const float* x, const uint8_t* mask, float scale, float* out, int64_t n) {
  mask_scale(x, mask, scale, out, n);
}
void mask_scale_f64(const double* x, const uint8_t* mask, double scale, double* out, int64_t n) {
  mask_scale(x, mask, scale, out, n);
}

}  // namespace FASTNN_ISA
}  // namespace fastnn
