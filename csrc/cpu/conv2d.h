// Convolution as a matrix product whose second operand is never written down. A tile of the image is *staged*: its rows
// are copied into a buffer with the padding filled in, the columns of each residue of the stride together, so that
//     tap (c, r, s) of the outputs j, j + 1, ... of the tile   =   staged[offset(c, r, s) + j + ...]
// with outputs numbered j = p * pitch + q. A row of the im2col matrix is then a run of consecutive elements at a known
// offset: the kernels read it in place (conv2d.cpp), or copy it into a panel without looking at borders or strides.
#pragma once
#include "cpu/gemm_core.h"
#include "cpu/shuffle.h"

namespace fastnn {
namespace FASTNN_ISA {
namespace {

// One axis: output i, tap t read position i * step + first + t * gap. Forward: step = stride, first = -padding, gap =
// dilation. The gradient of the input is a sum of such convolutions of dy with step 1 (conv2d.cpp).
struct Axis {
  int64_t size, out, step, first, gap, taps;
};

// Less the taps at either end that meet no element of the image from any output, whose products are with padding alone:
// *skipped of them at the front. One tap always stays.
FASTNN_INLINE Axis reaching(const Axis& a, int64_t* skipped) {
  const auto meets = [&](int64_t t) {
    const int64_t at = a.first + t * a.gap, i = at < 0 ? (-at + a.step - 1) / a.step : 0;
    return i < a.out && at + i * a.step < a.size;
  };
  int64_t lo = 0, hi = a.taps;
  while (hi - lo > 1 && !meets(lo)) lo++;
  while (hi - lo > 1 && !meets(hi - 1)) hi--;
  *skipped = lo;
  return {a.size, a.out, a.step, a.first + lo * a.gap, a.gap, hi - lo};
}

constexpr int kMaxPhases = 64;  // residues of the stride that some tap needs

// The used residues of (tap * gap) mod step, in order of the tap that needs them first.
struct Phases {
  int count;
  int64_t residue[kMaxPhases];
};
FASTNN_INLINE bool find_phases(const Axis& a, Phases* ph) {
  ph->count = 0;
  for (int64_t t = 0; t < min_i(a.taps, a.step); t++) {  // residues repeat after at most `step` taps
    const int64_t f = t * a.gap % a.step;
    int i = 0;
    while (i < ph->count && ph->residue[i] != f) i++;
    if (i < ph->count) continue;
    if (ph->count == kMaxPhases) return false;
    ph->residue[ph->count++] = f;
  }
  return true;
}
FASTNN_INLINE int phase_slot(const Phases& ph, int64_t residue) {
  int i = 0;
  while (ph.residue[i] != residue) i++;
  return i;
}

// How tiles of p_block x q_block outputs are staged. A channel is [row phase][column phase][rows][pitch].
struct Stage {
  bool ok;        // false: taps or stride so far apart that a tile does not fit: the plain loops run
  bool in_place;  // no padding, no stride: the image itself is the staged buffer
  int64_t p_block, q_block, rows, pitch, channel;  // channel: elements from one channel to the next
  Phases h, w;
};

constexpr int64_t kTilePixels = 1024;          // outputs a tile: 16 panels of 64 columns, and a few rows of an image
constexpr int64_t kWeightTilePixels = 512;     // for the weights' gradient: a panel of dy is this long
constexpr int64_t kMaxTile = 4 * 1024 * 1024;  // elements of one staged channel
constexpr int64_t kStageBytes = 384 * 1024;    // staged channels of a tile: with a panel and weights within a 1 MiB L2

FASTNN_INLINE int64_t even_block(int64_t n, int64_t at_most) {  // n in equal blocks
  return ceil_div(n, ceil_div(n, max_i(at_most, 1)));
}

// in_place: whether the image itself may be the buffer.
FASTNN_INLINE Stage make_stage(const Axis& h, const Axis& w, int64_t pixels, bool in_place) {
  Stage st{};
  if (!find_phases(h, &st.h) || !find_phases(w, &st.w)) return st;
  const int64_t reach_h = (h.taps - 1) * h.gap / h.step, reach_w = (w.taps - 1) * w.gap / w.step;
  if (reach_h > kMaxTile || reach_w > kMaxTile) return st;
  st.in_place = in_place && h.step == 1 && w.step == 1 && h.first >= 0 && w.first >= 0 &&
                h.first + h.out - 1 + reach_h < h.size && w.first + w.out - 1 + reach_w < w.size;
  st.q_block = even_block(w.out, pixels);
  st.pitch = st.in_place ? w.size : st.q_block + reach_w;
  st.p_block = even_block(h.out, pixels / st.q_block);
  st.rows = st.p_block + reach_h;
  st.channel = st.in_place ? h.size * w.size : st.h.count * st.w.count * st.rows * st.pitch;
  st.ok = st.in_place || (st.rows <= kMaxTile / st.pitch && st.channel <= kMaxTile);
  return st;
}

// Offset of tap (r, s) in a channel.
FASTNN_INLINE int64_t tap_offset(const Stage& st, const Axis& h, const Axis& w, int64_t r, int64_t s) {
  const int64_t y = r * h.gap, x = s * w.gap;
  if (st.in_place) return y * st.pitch + x;
  const int64_t plane = phase_slot(st.h, y % h.step) * st.w.count + phase_slot(st.w, x % w.step);
  return (plane * st.rows + y / h.step) * st.pitch + x / w.step;
}

// The lanes lo .. hi - 1 of p[0 ..], 0 in the others; nothing else is touched.
template <class T>
FASTNN_INLINE Vec<T> load_lanes(const T* p, int lo, int hi) {
#if defined(__AVX512F__)
  const unsigned mask = (1u << hi) - (1u << lo);
  if constexpr (sizeof(T) == 4) {
    return (typename Vec<T>::V)_mm512_maskz_loadu_ps(static_cast<__mmask16>(mask), p);
  } else {
    return (typename Vec<T>::V)_mm512_maskz_loadu_pd(static_cast<__mmask8>(mask), p);
  }
#elif defined(__AVX2__)
  const __m256i lanes = _mm256_andnot_si256(first_lanes(Vec<T>(), lo), first_lanes(Vec<T>(), hi));
  if constexpr (sizeof(T) == 4) {
    return (typename Vec<T>::V)_mm256_maskload_ps(p, lanes);
  } else {
    return (typename Vec<T>::V)_mm256_maskload_pd(p, lanes);
  }
#else
  if (lo == 0) return Vec<T>::load(p, hi);
  T x[Vec<T>::size] = {};
  for (int i = lo; i < hi; i++) x[i] = p[i];
  return Vec<T>::load(x);
#endif
}

// The lanes lo .. hi - 1 of v stored at p[lo ..]; nothing else is touched.
template <class T>
FASTNN_INLINE void store_lanes(T* p, Vec<T> v, int lo, int hi) {
#if defined(__AVX512F__)
  const unsigned mask = (1u << hi) - (1u << lo);
  if constexpr (sizeof(T) == 4) {
    _mm512_mask_storeu_ps(p, static_cast<__mmask16>(mask), (__m512)v.v);
  } else {
    _mm512_mask_storeu_pd(p, static_cast<__mmask8>(mask), (__m512d)v.v);
  }
#else
  if (lo == 0) return v.store(p, hi);
  T x[Vec<T>::size];
  v.store(x);
  for (int i = lo; i < hi; i++) p[i] = x[i];
#endif
}

template <class T>
FASTNN_INLINE void zero_row(T* dst, int64_t n) {
  constexpr int W = Vec<T>::size;
  for (; n >= W; n -= W, dst += W) Vec<T>::zero().store(dst);
  if (n > 0) Vec<T>::zero().store(dst, static_cast<int>(n));
}

// The elements p[0 .. W - 1], of which those from `lo` to `hi` lie in the image: 0 in the other lanes.
template <class T>
struct RowLanes {
  int lo, hi;
  FASTNN_INLINE RowLanes(int64_t at, int64_t size)  // of a row of `size` elements, from column `at` on
      : lo(static_cast<int>(max_i(0, min_i(-at, Vec<T>::size)))),
        hi(static_cast<int>(max_i(0, min_i(size - at, Vec<T>::size)))) {}
  FASTNN_INLINE Vec<T> load(const T* p) const {
    return hi - lo == Vec<T>::size ? Vec<T>::load(p) : hi > lo ? load_lanes(p, lo, hi) : Vec<T>::zero();
  }
};

// `rows` rows, `next` elements apart in the image, of which dst gets the columns w0, w0 + step, ... (pitch of them), 0
// outside. With step 2 and `odd`, also the columns w0 + 1, w0 + 3, ...: one reading serves both. A vector of columns
// goes down all rows, as what of it lies in the image is the same for all. Whole vectors also at the borders: small
// images are all border.
template <class T>
FASTNN_INLINE void stage_rows(T* dst, T* odd, const T* src, int64_t next, int64_t rows, int64_t size, int64_t w0,
                              int64_t step, int64_t pitch) {
  constexpr int W = Vec<T>::size;
  if (step > 2) {
    const int64_t lo = min_i(w0 < 0 ? ceil_div(-w0, step) : 0, pitch);
    const int64_t hi = w0 >= size ? lo : max_i(lo, min_i(pitch, (size - 1 - w0) / step + 1));
    for (int64_t y = 0; y < rows; y++, dst += pitch, src += next) {
      zero_row(dst, lo);
      for (int64_t i = lo; i < hi; i++) dst[i] = src[w0 + i * step];
      zero_row(dst + hi, pitch - hi);
    }
    return;
  }
  for (int64_t i = 0; i < pitch; i += W) {
    const int n = static_cast<int>(min_i(W, pitch - i));
    const int64_t at = w0 + i * step;
    const RowLanes<T> span(at, size), beyond(at + W, size);
    const T* p = src + at;
    const auto put = [&](T* q, Vec<T> v) __attribute__((always_inline)) {
      if (n == W) {
        v.store(q);
      } else {
        v.store(q, n);
      }
    };
    if (step == 1) {
      for (int64_t y = 0; y < rows; y++, p += next) put(dst + y * pitch + i, span.load(p));
      continue;
    }
    for (int64_t y = 0; y < rows; y++, p += next) {
      Vec<T> evens, odds;
      unzip(span.load(p), beyond.load(p + W), &evens, &odds);
      put(dst + y * pitch + i, evens);
      if (odd) put(odd + y * pitch + i, odds);
    }
  }
}

// `channels` channels of the tile whose first output is (p0, q0), rows_out outputs high; planes(c) is the image of
// channel c, or null: zeros.
template <class T, class Planes>
void stage_tile(T* dst, const Stage& st, const Axis& h, const Axis& w, const Planes& planes, int64_t channels,
                int64_t p0, int64_t q0, int64_t rows_out) {
  const int64_t rows = st.rows - st.p_block + rows_out, plane = st.rows * st.pitch;
  const bool pair = w.step == 2 && st.w.count == 2;  // their residues are 0 and 1
  for (int64_t c = 0; c < channels; c++, dst += st.channel) {
    T* d = dst;
    const T* const image = planes(c);
    if (!image) {
      __builtin_memset(dst, 0, static_cast<size_t>(st.channel) * sizeof(T));
      continue;
    }
    for (int i = 0; i < st.h.count; i++) {
      const int64_t h0 = p0 * h.step + h.first + st.h.residue[i];  // the rows from lo to hi lie in the image
      const int64_t lo = min_i(h0 < 0 ? ceil_div(-h0, h.step) : 0, rows);
      const int64_t hi = h0 >= h.size ? lo : max_i(lo, min_i(rows, (h.size - 1 - h0) / h.step + 1));
      for (int k = 0; k < st.w.count; k += pair ? 2 : 1, d += pair ? 2 * plane : plane) {
        T* const odd = pair ? d + plane : nullptr;
        for (int part = 0; part < (pair ? 2 : 1); part++) {
          zero_row(d + part * plane, lo * st.pitch);
          zero_row(d + part * plane + hi * st.pitch, (rows - hi) * st.pitch);
        }
        stage_rows(d + lo * st.pitch, odd ? odd + lo * st.pitch : nullptr, image + (h0 + lo * h.step) * w.size,
                   h.step * w.size, hi - lo, w.size, q0 * w.step + w.first + st.w.residue[k], w.step, st.pitch);
      }
    }
  }
}

// The third dimension, without a loop of its own: each of a volume's `out` output slices is an image, whose channels
// are the pairs (channel, tap in depth), in the weights' own order. A pair whose slice lies outside is a channel of
// zeros. Image i is slice i % out of sample i / out; channels are those of one group, C with all taps, of a tensor with
// G.
template <class T>
struct Slices {
  const T* x;
  Axis d;
  int64_t G, C, plane;
  FASTNN_INLINE bool flat() const { return d.size == 1 && d.taps == 1 && d.out == 1; }
  FASTNN_INLINE const T* operator()(int64_t image, int64_t g, int64_t channel) const {
    const int64_t n = image / d.out, c = channel / d.taps;
    const int64_t z = image % d.out * d.step + d.first + channel % d.taps * d.gap;
    return z < 0 || z >= d.size ? nullptr : x + (((n * G + g) * (C / d.taps) + c) * d.size + z) * plane;
  }
};

// First output tile element in the staged buffer, or in the image itself.
template <class T>
FASTNN_INLINE const T* in_place_tile(const Axis& h, const Axis& w, const T* image, int64_t p0, int64_t q0) {
  return image + (h.first + p0) * w.size + w.first + q0;
}

// Channels staged at a time: their taps make one K block. images: of a tile, all staged; 0: none is.
template <class T>
FASTNN_INLINE int64_t channel_block(const Stage& st, int64_t channels, int64_t taps, int64_t images) {
  int64_t n = GemmTile<T>::kKc / max_i(taps, 1);
  if (!st.in_place && images > 0) n = min_i(n, kStageBytes / (st.channel * images * static_cast<int64_t>(sizeof(T))));
  return even_block(max_i(channels, 1), max_i(n, 1));
}

FASTNN_INLINE int64_t align_elements(int64_t n) { return round_up(n, 16); }

// A 1x1 convolution without stride or padding does not care where rows end.
FASTNN_INLINE void flatten_pointwise(Axis* h, Axis* w) {
  if (h->taps != 1 || w->taps != 1 || h->step != 1 || w->step != 1 || h->first || w->first) return;
  if (h->size != h->out || w->size != w->out) return;
  w->size = w->out = h->size * w->size;
  h->size = h->out = 1;
}

FASTNN_INLINE void forward_axes(const Conv2dShape& s, Axis* h, Axis* w) {
  *h = {s.H, s.P, s.stride_h, -s.pad_h, s.dilation_h, s.R};
  *w = {s.W, s.Q, s.stride_w, -s.pad_w, s.dilation_w, s.S};
  flatten_pointwise(h, w);
}
FASTNN_INLINE Axis forward_depth(const Conv2dShape& s) { return {s.D, s.O, s.stride_d, -s.pad_d, s.dilation_d, s.T}; }
FASTNN_INLINE bool is_flat(const Conv2dShape& s) { return s.D == 1 && s.T == 1 && s.O == 1; }

}  // namespace
}  // namespace FASTNN_ISA
}  // namespace fastnn
