// Shared by the pooling kernels: bytes beside vectors, the layout of staged rows, and how planes are cut into chunks.
#pragma once
#include "cpu/shuffle.h"
#include "kernels.h"
#include "runtime/thread_pool.h"

namespace fastnn {
namespace FASTNN_ISA {
namespace {

FASTNN_INLINE int64_t imin(int64_t a, int64_t b) { return a < b ? a : b; }
FASTNN_INLINE int64_t imax(int64_t a, int64_t b) { return a > b ? a : b; }
// For b > 0: the smallest integer >= a / b, also for negative a; and the largest <= a / b.
FASTNN_INLINE int64_t ceil_to(int64_t a, int64_t b) { return a > 0 ? (a - 1) / b + 1 : -(-a / b); }
FASTNN_INLINE int64_t floor_to(int64_t a, int64_t b) { return a >= 0 ? a / b : -((-a - 1) / b + 1); }

// One byte a lane, narrowed from and widened to integer lanes of T's width.
template <class T>
FASTNN_INLINE void store_bytes(uint8_t* p, typename Vec<T>::I v, int n) {
#if defined(__AVX512F__)
  __m128i b;
  if constexpr (sizeof(T) == 4) {
    b = _mm512_cvtepi32_epi8((__m512i)v);
  } else {
    b = _mm512_cvtepi64_epi8((__m512i)v);
  }
  if (n == 16) {
    __builtin_memcpy(p, &b, 16);
  } else {
    _mm_mask_storeu_epi8(p, static_cast<__mmask16>((1u << n) - 1), b);
  }
#else
  if (n == Vec<T>::size) {
    for (int i = 0; i < Vec<T>::size; i++) p[i] = static_cast<uint8_t>(v[i]);
  } else {
    for (int i = 0; i < n; i++) p[i] = static_cast<uint8_t>(v[i]);
  }
#endif
}
template <class T>
FASTNN_INLINE typename Vec<T>::I load_bytes(const uint8_t* p, int n) {
#if defined(__AVX512F__)
  const __m128i b = _mm_maskz_loadu_epi8(static_cast<__mmask16>((1u << n) - 1), p);
  if constexpr (sizeof(T) == 4) {
    return (typename Vec<T>::I)_mm512_cvtepu8_epi32(b);
  } else {
    return (typename Vec<T>::I)_mm512_cvtepu8_epi64(b);
  }
#else
  typename Native<T>::int_t wide[Vec<T>::size] = {};
  if (n == Vec<T>::size) {
    for (int i = 0; i < Vec<T>::size; i++) wide[i] = p[i];
  } else {
    for (int i = 0; i < n; i++) wide[i] = p[i];
  }
  typename Vec<T>::I v;
  __builtin_memcpy(&v, wide, sizeof v);
  return v;
#endif
}

// Of `left` elements, those of the next vector.
template <class T>
FASTNN_INLINE int lanes(int64_t left) {
  return static_cast<int>(imax(0, imin(left, Vec<T>::size)));
}
// A partial load or store whose usual case is the whole vector.
template <class T>
FASTNN_INLINE Vec<T> load_n(const T* p, int n) {
  return n == Vec<T>::size ? Vec<T>::load(p) : Vec<T>::load(p, n);
}
template <class T>
FASTNN_INLINE void store_n(T* p, Vec<T> v, int n) {
  if (n == Vec<T>::size) {
    v.store(p);
  } else {
    v.store(p, n);
  }
}

constexpr int64_t kMaxTaps = 256;         // beyond, an index does not fit a byte: max_pool2d_compact
constexpr int64_t kMaxStride = 16;        // staged rows keep one run of columns per residue of the stride
constexpr int64_t kMaxScratch = 1 << 20;  // bytes a thread: staged rows should stay in L2

// How rows are staged. Column w of the image has u = w + pad_w = pos * stride_w + phase; a staged row holds the columns
// of phase 0, then of phase 1 ..., so that tap s of the outputs q, q + 1 ... is a run of consecutive elements whatever
// the stride: phase (s * dilation) % stride at q + (s * dilation) / stride. In a staged row of outputs (backward) the
// same run is read the other way: column (phase, pos) receives from q = pos - (s * dilation) / stride.
// `rows` staged rows form a ring: as many as one output (forward) or one input row (backward) can need.
struct Staging {
  bool fits;  // false: windows or strides so large that the plain loops run instead
  // rows: a power of two, for a cheap place in the ring; length: of one phase, padding and slack included; reach:
  // furthest tap in `pos`.
  int64_t rows, length, reach;
};

template <class T>
FASTNN_INLINE Staging staging(const Pool2dShape& s, bool backward) {
  constexpr int64_t W = Vec<T>::size;
  Staging g{false, 0, 0, 0};
  if (s.R > kMaxTaps || s.S > kMaxTaps || s.R * s.S > kMaxTaps || s.stride_w > kMaxStride) return g;
  g.reach = (s.S - 1) * s.dilation_w / s.stride_w;
  g.length = g.reach + imax(s.Q, (s.pad_w + s.W) / s.stride_w + 1) + 2 * W;
  const int64_t need =
      backward ? imin(s.P, (s.R - 1) * s.dilation_h / s.stride_h + 1) : imin(s.H, (s.R - 1) * s.dilation_h + 1);
  if (need > kMaxScratch) return g;
  for (g.rows = 1; g.rows < need;) g.rows *= 2;
  // A row: the phases (forward), or values, positions and one interleaving buffer per phase (backward); and one table.
  const int64_t row_bytes = (backward ? 2 : s.stride_w) * g.length * 8;
  g.fits = row_bytes <= kMaxScratch && g.rows <= kMaxScratch / row_bytes;
  return g;
}
template <class T>
FASTNN_INLINE int64_t staging_elements(const Pool2dShape& s, const Staging& g, bool backward) {
  if (!g.fits) return 0;
  const int64_t rows = backward ? g.rows * 2 + s.stride_w + 1 : g.rows * s.stride_w + 1;
  return (rows * g.length + 63) / 64 * 64;
}

// How planes of `rows` rows are cut: several small planes a chunk, or several chunks of rows in a large plane. By the
// shape alone; nor does any value depend on the cut.
struct Chunks {
  int64_t planes, per_chunk, row_blocks, rows_per_block, rows, count;
};
FASTNN_INLINE Chunks make_chunks(int64_t planes, int64_t rows, int64_t elements_per_plane) {
  constexpr int64_t kChunk = 32768;  // elements: 5 to 10 us, well above the pool's cost per chunk
  Chunks c{planes, 1, 1, rows, rows, 0};
  if (elements_per_plane <= kChunk) {
    c.per_chunk = imax(1, kChunk / imax(1, elements_per_plane));
  } else {
    c.rows_per_block = imax(1, static_cast<int64_t>(static_cast<double>(rows) * kChunk / elements_per_plane));
    c.row_blocks = ceil_to(rows, c.rows_per_block);
  }
  c.count = ceil_to(planes, c.per_chunk) * c.row_blocks;
  return c;
}
// begin(thread) once a chunk, then f(plane, first row, end row, thread).
template <class B, class F>
FASTNN_INLINE void for_chunks(const Chunks& c, const B& begin, const F& f) {
  parallel_for(c.count, [&](int64_t i, int thread) {
    begin(thread);
    const int64_t group = i / c.row_blocks, r0 = i % c.row_blocks * c.rows_per_block;
    const int64_t r1 = imin(c.rows, r0 + c.rows_per_block), end = imin(c.planes, (group + 1) * c.per_chunk);
    for (int64_t plane = group * c.per_chunk; plane < end; plane++) f(plane, r0, r1, thread);
  });
}

// Taps of a window that lie inside the image along one axis, begin <= tap < end, for a window starting at `start`.
struct TapRange {
  int64_t begin, end;
};
FASTNN_INLINE TapRange taps_inside(int64_t start, int64_t taps, int64_t dilation, int64_t size) {
  if (start >= 0 && start + (taps - 1) * dilation < size) return {0, taps};  // usual, and spares the divisions
  const int64_t begin = start < 0 ? ceil_to(-start, dilation) : 0;
  const int64_t end = start >= size ? 0 : imin(taps, (size - 1 - start) / dilation + 1);
  return {imin(begin, taps), end};
}
// The average's divisor along one axis: the window's length, cut at the end of the padding or of the image.
FASTNN_INLINE int64_t divisor_along(int64_t start, int64_t taps, int64_t size, int64_t pad, bool include_pad) {
  const int64_t end = imin(start + taps, size + pad);
  return include_pad ? end - start : imin(end, size) - imax(start, 0);
}

}  // namespace
}  // namespace FASTNN_ISA
}  // namespace fastnn
