// Depthwise convolution of stride 1, read where the image lies: windows of 3, 5 or 7 rows, any number of columns.
//
// kRows output rows at a time: for each tap column, every input row is loaded once, with what is outside masked off,
// and serves up to that many outputs. Nothing is staged.
//
// Limits: 3x3 in f32 is 18 FLOPs to 8 bytes of DRAM, a stream: 12.8 MB of 8 x 64 x 56 x 56 take 0.25 ms at 52 GB/s.
// From L1, eight vectors of outputs (3x3) are 30 loads, of which most straddle two lines and count twice, beside 72
// FMAs: 72 cycles for 1 KiB of traffic at one 512-bit FMA a cycle. 5x5 is at 2.8 times, 7x7 at 5.4 times that: FMAs
// decide.
#pragma once
#include "cpu/conv2d_task.h"

namespace fastnn {
namespace FASTNN_ISA {
namespace {

// Registers: kRows sums, up to 7 weights, and a row.
constexpr int kDepthwiseRows = kVecBytes == 64 ? 8 : 4;
constexpr int64_t kDepthwiseItem = 16384;  // outputs of an item at least

struct DepthwiseRows {
  bool use;
  int rows;                           // at a time
  int64_t planes, p_block, p_blocks;  // of an item; p_blocks > 1 only if planes == 1
};
FASTNN_INLINE bool depthwise_window(int64_t taps) { return taps == 3 || taps == 5 || taps == 7; }

FASTNN_INLINE DepthwiseRows make_depthwise_rows(ConvVariant variant, int64_t M, int64_t C, const Axis& h, const Axis& w,
                                                bool dense) {
  DepthwiseRows cut{};
  if (variant != ConvVariant::Auto || C != 1 || M < 1 || M > 3 || !dense || !depthwise_window(h.taps)) return cut;
  if (h.step != 1 || w.step != 1 || h.gap != 1 || w.taps > 64 || h.out < 1 || w.out < 1) return cut;
  cut.use = true;
  const int64_t many = kDepthwiseRows * ceil_div(h.out, kDepthwiseRows);
  cut.rows = h.out >= kDepthwiseRows && many <= 4 * ceil_div(h.out, 4) + 2 ? kDepthwiseRows : h.out >= 4 ? 4 : 1;
  cut.planes = max_i(kDepthwiseItem / (h.out * w.out), 1);
  cut.p_block = cut.planes > 1 ? h.out : round_up(min_i(h.out, max_i(kDepthwiseItem / w.out, 1)), kDepthwiseRows);
  cut.p_blocks = ceil_div(h.out, cut.p_block);
  return cut;
}

// rows: of the image, from the first output's first tap on; null: zeros. a: tap k at a[k * kMr].
template <class T, int ROWS, int KH, bool EDGE>
__attribute__((noinline)) void depthwise_block(const T* const* rows, const Axis& w, const T* a, const T* bias,
                                               GemmAct act, T* y, int64_t y_row) {
  constexpr int W = Vec<T>::size, MR = GemmTile<T>::kMr;
  for (int64_t q = 0; q < w.out; q += W) {
    Vec<T> acc[ROWS];
    unroll<ROWS>([&](auto r) __attribute__((always_inline)) { acc[r] = bias ? Vec<T>(*bias) : Vec<T>::zero(); });
    for (int64_t s = 0; s < w.taps; s++) {
      const int64_t at = q + w.first + s * w.gap;
      Vec<T> weight[KH];
      unroll<KH>([&](auto r) __attribute__((always_inline)) { weight[r] = Vec<T>(a[(r * w.taps + s) * MR]); });
      const auto taps = [&](auto load) __attribute__((always_inline)) {
        unroll<ROWS + KH - 1>([&](auto i) __attribute__((always_inline)) {
          const Vec<T> v = EDGE && !rows[i] ? Vec<T>::zero() : load(rows[i] + at);
          unroll<KH>([&](auto r) __attribute__((always_inline)) {
            constexpr int to = decltype(i)::value - decltype(r)::value;
            if constexpr (to >= 0 && to < ROWS) acc[to] = fma(weight[r], v, acc[to]);
          });
        });
      };
      if (at >= 0 && at + W <= w.size) {
        taps([](const T* p) __attribute__((always_inline)) { return Vec<T>::load(p); });
        continue;
      }
      const int lo = static_cast<int>(max_i(0, min_i(-at, W))), hi = static_cast<int>(max_i(0, min_i(w.size - at, W)));
      if (hi > lo) taps([lo, hi](const T* p) __attribute__((always_inline)) { return load_lanes(p, lo, hi); });
    }
    if (act != GemmAct::None) {
      for (int r = 0; r < ROWS; r++) acc[r] = activate(acc[r], act);
    }
    const int n = static_cast<int>(min_i(W, w.out - q));
    unroll<ROWS>([&](auto r) __attribute__((always_inline)) {
      if (n == W) {
        acc[r].store(y + r * y_row + q);
      } else {
        acc[r].store(y + r * y_row + q, n);
      }
    });
  }
}

// The output rows p .. p + ROWS - 1 of one plane.
template <class T, int ROWS, int KH>
FASTNN_INLINE void depthwise_at(const Task<T>& t, const T* image, int64_t p, const T* a, const T* bias, T* y) {
  const T* rows[ROWS + KH - 1];
  bool edge = false;
  for (int i = 0; i < ROWS + KH - 1; i++) {
    const int64_t row = p + t.h.first + i;
    rows[i] = image && row >= 0 && row < t.h.size ? image + row * t.w.size : nullptr;
    edge = edge || !rows[i];
  }
  y += p * t.y_row;
  if (edge) return depthwise_block<T, ROWS, KH, true>(rows, t.w, a, bias, t.act, y, t.y_row);
  depthwise_block<T, ROWS, KH, false>(rows, t.w, a, bias, t.act, y, t.y_row);
}

// Rows p0 .. p1 - 1, `rows` at a time; the last few once more rather than by fewer.
template <class T, int KH>
void depthwise_plane(const Task<T>& t, int rows, const T* image, int64_t p0, int64_t p1, const T* a, const T* bias,
                     T* y) {
  const auto all = [&](auto r) {
    constexpr int R = decltype(r)::value;
    int64_t p = p0;
    for (; p + R <= p1; p += R) depthwise_at<T, R, KH>(t, image, p, a, bias, y);
    if (p == p1) return;
    if (p1 - R >= p0) return depthwise_at<T, R, KH>(t, image, p1 - R, a, bias, y);
    for (; p < p1; p++) depthwise_at<T, 1, KH>(t, image, p, a, bias, y);
  };
  if (rows == 1) return all(Int<1>());
  if constexpr (kDepthwiseRows == 8) {
    if (rows == 8 && p1 - p0 >= 8) return all(Int<8>());
  }
  all(Int<4>());
}

template <class T>
void run_depthwise_rows(const Task<T>& t, const DepthwiseRows& cut) {
  constexpr int MR = GemmTile<T>::kMr;
  const int64_t planes = t.N * t.G * t.M, taps = t.h.taps * t.w.taps;
  parallel_for(ceil_div(planes, cut.planes) * cut.p_blocks, [&](int64_t item, int) {
    const int64_t p0 = item % cut.p_blocks * cut.p_block, p1 = min_i(p0 + cut.p_block, t.h.out);
    const int64_t first = item / cut.p_blocks * cut.planes;
    for (int64_t i = first; i < min_i(first + cut.planes, planes); i++) {
      const int64_t m = i % t.M, g = i / t.M % t.G, n = i / (t.M * t.G);
      const T* a = t.a + g * row_panels<T>(t.M) * taps * MR + m;
      const T* bias = t.bias ? t.bias + g * t.M + m : nullptr;
      T* y = t.image_out(n) + (g * t.M + m) * t.y_channel;
      if (t.h.taps == 3) depthwise_plane<T, 3>(t, cut.rows, t.x(n, g, 0), p0, p1, a, bias, y);
      if (t.h.taps == 5) depthwise_plane<T, 5>(t, cut.rows, t.x(n, g, 0), p0, p1, a, bias, y);
      if (t.h.taps == 7) depthwise_plane<T, 7>(t, cut.rows, t.x(n, g, 0), p0, p1, a, bias, y);
    }
  });
}

}  // namespace
}  // namespace FASTNN_ISA
}  // namespace fastnn
