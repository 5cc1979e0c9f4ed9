// What the two directions of fused attention share: blocks, packed operands, masks, and the products of gemm_core.h's
// micro-kernels on them.
//
// Limit: the multiply-adds. 16 scores and what they add to the result cost E + Ev of them (of a 16-lane vector): 128 at
// E = Ev = 64, 64 cycles where a core has two such pipes, 128 where it has one. Their largest value, exponential and
// sum take some 18 instructions on the same pipes: 9 or 18 cycles, an eighth of forward; half of that at E = 128.
// Backward has five products of that size and one exponential.
#pragma once
#include "cpu/gemm_pack.h"
#include "cpu/softmax_row.h"

namespace fastnn {
namespace FASTNN_ISA {
namespace {

constexpr int64_t kQueryBlock = 96;  // queries of a task: 16 tiles of 6 rows

// Keys of a block: K and V of them in `bytes` (a quarter of L2 forward, an eighth backward, which holds three copies
// and the scores), in whole panels.
template <class T>
FASTNN_INLINE int64_t key_block(const AttentionArgs& a, int64_t bytes) {
  constexpr int64_t NR = GemmTile<T>::kNr;
  const int64_t fit = bytes / (static_cast<int64_t>(sizeof(T)) * max_i(a.E + a.Ev, 1)) / NR * NR;
  return min_i(max_i(fit, NR), max_i(64 * 8 / NR, 1) * NR);
}
// Rows in scratch memory: whole vectors.
template <class T>
FASTNN_INLINE int64_t padded(int64_t n) {
  return round_up(max_i(n, 1), Vec<T>::size);
}
// Scores of a query: one vector more, so that rows do not lie a power of two apart.
template <class T>
FASTNN_INLINE int64_t score_row(int64_t keys) {
  return padded<T>(keys) + 64 / static_cast<int64_t>(sizeof(T));
}

template <class T>
FASTNN_INLINE T* at(const AttentionArray& x, int64_t b, int64_t h, int64_t row) {
  return static_cast<T*>(x.p) + b * x.batch + h * x.head + row * x.row;
}

// Whether rows of x can be read where they lie, as whole vectors; a power of two apart they would share cache sets.
template <class T>
FASTNN_INLINE bool read_direct(const AttentionArray& x, int64_t width) {
  return width % Vec<T>::size == 0 && x.row * static_cast<int64_t>(sizeof(T)) % 2048 != 0;
}
// x in the lanes before `seen`, which may be negative or beyond the vector; 0, or `other`, in the rest.
template <class T>
FASTNN_INLINE Vec<T> first_seen(Vec<T> x, int64_t seen, Vec<T> other = Vec<T>::zero()) {
  return first(x, static_cast<int>(max_i(-1, min_i(seen, Vec<T>::size))), other);
}

// dst[r][c] = src[r][c] * scale, rows of ld elements filled up with 0.
template <class T>
FASTNN_INLINE void pack_rows(const T* src, int64_t stride, int64_t rows, int64_t width, T scale, T* dst, int64_t ld) {
  const Vec<T> s(scale);
  for (int64_t r = 0; r < rows; ++r, src += stride, dst += ld) {
    across<T>(width, [&](int64_t i, auto w) __attribute__((always_inline)) { (get(src + i, w) * s).store(dst + i); });
  }
}
// The panels of `rows` rows of x transposed: panel p at dst + p * depth * kNr.
template <class T>
FASTNN_INLINE void pack_panels(const T* src, int64_t stride, int64_t rows, int64_t depth, T* dst) {
  constexpr int64_t NR = GemmTile<T>::kNr;
  for (int64_t j = 0; j < rows; j += NR) {
    const int cols = static_cast<int>(min_i(NR, rows - j));
    transpose(src + j * stride, stride, depth, cols, dst + j * depth, padded<T>(cols));
  }
}

// Scratch whose rows are whole vectors: C = sum, or C += sum.
template <class T>
struct ScratchStore {
  T* c;
  int64_t ld;
  bool add;
  FASTNN_INLINE void prefetch(int64_t, int64_t, int, int) const {}
  template <int R, int NV>
  FASTNN_INLINE void tile(Vec<T> (&acc)[R][NV], int64_t i, int64_t j, int, bool, bool) const {
    T* p = c + i * ld + j;
    unroll<R>([&](auto r) __attribute__((always_inline)) {
      unroll<NV>([&](auto v) __attribute__((always_inline)) {
        T* q = p + r * ld + v * Vec<T>::size;
        (add ? acc[r][v] + Vec<T>::load(q) : acc[r][v]).store(q);
      });
    });
  }
};

// rows x n scores (a's rows `rs` apart, depth columns) against panels packed from `have` rows.
template <class T, class Store>
FASTNN_INLINE void against_panels(const T* a, int64_t rs, int64_t rows, int64_t n, int64_t depth, const T* panels,
                                  int64_t have, const Store& store) {
  constexpr int64_t NR = GemmTile<T>::kNr, MR = GemmTile<T>::kMr;
  const ASpan<T> as = {a, MR * rs, rs, 1};
  for (int64_t j = 0; j < n; j += NR)
    strip_any<T>(true, 0, rows, depth, as, panels + j * depth, padded<T>(min_i(NR, have - j)), 0, j,
                 static_cast<int>(min_i(NR, n - j)), store, true, true);
}
// a (element [r, k] at a + r * rs + k * ks) times b [depth, n], whose rows are whole vectors, ldb apart.
template <class T, class Store>
FASTNN_INLINE void against_rows(const T* a, int64_t rs, int64_t ks, int64_t rows, int64_t n, int64_t depth, const T* b,
                                int64_t ldb, const Store& store) {
  constexpr int64_t NR = GemmTile<T>::kNr, MR = GemmTile<T>::kMr;
  const ASpan<T> as = {a, MR * rs, rs, ks};
  for (int64_t j = 0; j < n; j += NR)
    strip_any<T>(true, 0, rows, depth, as, b + j, ldb, 0, j, static_cast<int>(min_i(NR, n - j)), store, true, true);
}

// What is added to the scores of query i and the keys j .. j + n: 0, -inf, or the mask's values.
template <class T>
FASTNN_INLINE void mask_row(const AttentionArgs& a, int64_t b, int64_t h, int64_t i, int64_t j, int64_t n, T* out) {
  const int64_t from = b * a.mask.batch + h * a.mask.head + i * a.mask.row + j * a.mask_column;
  const T hidden = -__builtin_inf();
  if (a.mask_kind == AttentionMask::None) {
    __builtin_memset(out, 0, static_cast<size_t>(n) * sizeof(T));
  } else if (a.mask_kind == AttentionMask::Bool) {
    const uint8_t* m = static_cast<const uint8_t*>(a.mask.p) + from;
    if (a.mask_column == 1) {
      for (int64_t k = 0; k < n; ++k) out[k] = m[k] ? T(0) : hidden;
    } else {
      for (int64_t k = 0; k < n; ++k) out[k] = m[k * a.mask_column] ? T(0) : hidden;
    }
  } else {
    const T* m = static_cast<const T*>(a.mask.p) + from;
    for (int64_t k = 0; k < n; ++k) out[k] = m[k * a.mask_column];
  }
}

// Memory handed out piece by piece, each 64-byte aligned; with p null it only counts.
struct Scratch {
  char* p;
  size_t used = 0;
  template <class T>
  FASTNN_INLINE T* take(int64_t n) {
    T* r = reinterpret_cast<T*>(p + used);
    used += (static_cast<size_t>(n) * sizeof(T) + 63) / 64 * 64;
    return r;
  }
};

}  // namespace
}  // namespace FASTNN_ISA
}  // namespace fastnn
