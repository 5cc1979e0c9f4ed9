// The im2col matrix of images that fit into a few registers: the columns of a tap are picked from the image by a table
// of indices, [tap][output pixel], -1 where the tap lies in the padding. One permutation and one store for each tap and
// vector of pixels, where staging (conv2d.h) moves every image row of every residue of the stride, and again each tap.
#pragma once
#include "cpu/conv2d.h"

namespace fastnn {
namespace FASTNN_ISA {
namespace {

constexpr int64_t kIndexedPlane = 64;  // elements of an image at most: four registers of AVX-512

template <class T>
FASTNN_INLINE bool indexed_fits(const Stage& st, const Axis& h, const Axis& w) {
  return !st.in_place && h.size * w.size <= kIndexedPlane && st.p_block == h.out && st.q_block == w.out &&
         h.taps * w.taps <= GemmTile<T>::kKc;
}

// Elements from one tap's indices to the next: a whole vector may be read from any pixel on.
template <class T>
FASTNN_INLINE int64_t indexed_pitch(int64_t pixels) {
  return pixels + Vec<T>::size;
}

template <class T>
void make_index(const Axis& h, const Axis& w, int32_t* index) {
  const int64_t slack = indexed_pitch<T>(0);
  for (int64_t r = 0; r < h.taps; r++) {
    for (int64_t s = 0; s < w.taps; s++) {
      for (int64_t p = 0; p < h.out; p++) {
        for (int64_t q = 0; q < w.out; q++) {
          const int64_t y = p * h.step + h.first + r * h.gap, x = q * w.step + w.first + s * w.gap;
          const bool inside = y >= 0 && y < h.size && x >= 0 && x < w.size;
          *index++ = inside ? static_cast<int32_t>(y * w.size + x) : -1;
        }
      }
      for (int64_t i = 0; i < slack; i++) *index++ = -1;
    }
  }
}

// out[tap * width + i] = image[index[tap * pitch + i]] for i < count, 0 where the index is -1 or the image null. Of a
// row at most `room` elements may be written, also beyond the count.
template <class T>
FASTNN_INLINE void pick(const T* image, int64_t plane, const int32_t* index, int64_t pitch, int64_t taps, int64_t count,
                        int64_t room, T* out, int64_t width) {
  (void)plane;
  (void)room;
  if (!image) {
    for (int64_t k = 0; k < taps; k++, out += width)
      for (int64_t i = 0; i < count; i++) out[i] = T(0);
    return;
  }
#if defined(__AVX512F__)
  if constexpr (sizeof(T) == 4) {
    constexpr int W = Vec<T>::size;
    __m512 v[4];
    unroll<4>([&](auto i) __attribute__((always_inline)) {
      const int64_t left = plane - i * W;
      v[i] = left <= 0 ? _mm512_setzero_ps() : (__m512)load_lanes(image + i * W, 0, static_cast<int>(min_i(left, W))).v;
    });
    const bool wide = plane > 2 * W;
    for (int64_t k = 0; k < taps; k++, index += pitch, out += width) {
      for (int64_t i = 0; i < count; i += W) {
        const __m512i at = _mm512_loadu_si512(index + i);
        const __mmask16 inside = _mm512_movepi32_mask(at) ^ 0xffff;
        __m512 r = _mm512_maskz_permutex2var_ps(inside, v[0], at, v[1]);
        if (wide) {
          const __mmask16 high = _mm512_mask_test_epi32_mask(inside, at, _mm512_set1_epi32(2 * W));
          r = _mm512_mask_mov_ps(r, high, _mm512_permutex2var_ps(v[2], at, v[3]));
        }
        if (room - i >= W) {
          _mm512_storeu_ps(out + i, r);
        } else {
          Vec<T>((typename Vec<T>::V)r).store(out + i, static_cast<int>(room - i));
        }
      }
    }
    return;
  }
#endif
  for (int64_t k = 0; k < taps; k++, index += pitch, out += width)
    for (int64_t i = 0; i < count; i++) out[i] = index[i] < 0 ? T(0) : image[index[i]];
}

}  // namespace
}  // namespace FASTNN_ISA
}  // namespace fastnn
