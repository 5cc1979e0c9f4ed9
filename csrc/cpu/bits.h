// Masks kept as bits: an eighth of what bytes take.
#pragma once
#include "cpu/vec.h"

namespace fastnn {
namespace FASTNN_ISA {

// The lanes whose bit is set: lane j is bit (i + j) % 8 of byte (i + j) / 8, i a multiple of the lanes.
template <class T>
FASTNN_INLINE Mask<T> bits_at(const uint8_t* bits, int64_t i) {
  constexpr int L = Vec<T>::size;
#if defined(__AVX512F__)
  typename Native<T>::mask m;
  static_assert(L == 8 * sizeof m, "a bit a lane");
  std::memcpy(&m, bits + i / 8, sizeof m);
  return {m};
#else
  static_assert(L <= 8, "within a byte");
  using I = typename Native<T>::ints;
  I lane;
  for (int j = 0; j < L; ++j) lane[j] = 1 << j;
  const I byte = I{} + static_cast<typename Native<T>::int_t>(bits[i / 8] >> i % 8);
  return {(byte & lane) != 0};
#endif
}

}  // namespace FASTNN_ISA
}  // namespace fastnn
