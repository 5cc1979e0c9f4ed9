// Convolutions whose groups have next to no channels (depthwise): as products they would leave a tile of kMr rows empty
// but for one. Here every output vector is the sum over the taps of a broadcast weight times a run of the staged tile,
// four rows at a time.
//
// Limits: 3x3 in f32 is 18 FLOPs to 8 bytes of DRAM, a stream: 12.8 MB of 8 x 64 x 56 x 56 take 0.3 ms at 43 GB/s. From
// L1 a vector of outputs costs 9 FMAs and, a weight serving four rows, 11 loads: 11 cycles at one 512-bit load a cycle,
// and about 3 for the copy into the staged tile: 16 outputs (128 B of traffic) in 14 cycles are 34 GB/s a core.
#pragma once
#include "cpu/conv2d_depthwise_rows.h"
#include "cpu/conv2d_winograd.h"

namespace fastnn {
namespace FASTNN_ISA {
namespace {

constexpr int64_t kDepthwisePixels = 4096;  // outputs a tile: with their inputs about L1, or a little more

template <class T>
struct DepthwiseCut {
  bool use;
  Stage st;
  int64_t taps, p_blocks, q_blocks, stage_elements;
};
template <class T>
FASTNN_INLINE DepthwiseCut<T> make_depthwise(ConvVariant variant, int64_t M, int64_t C, const Axis& h, const Axis& w,
                                             bool flat) {
  DepthwiseCut<T> cut{};
  if (M * C > 3 || M * C == 0 || variant == ConvVariant::Packed || variant == ConvVariant::Winograd) return cut;
  cut.st = make_stage(h, w, kDepthwisePixels, flat);
  cut.taps = C * h.taps * w.taps;
  cut.use = cut.st.ok && cut.taps <= 4096;
  if (!cut.use) return cut;
  cut.p_blocks = ceil_div(h.out, cut.st.p_block);
  cut.q_blocks = ceil_div(w.out, cut.st.q_block);
  cut.stage_elements = cut.st.in_place ? 0 : align_elements(C * cut.st.channel);
  return cut;
}
template <class T>
FASTNN_INLINE int64_t depthwise_scratch(const DepthwiseCut<T>& cut) {  // bytes a thread
  return round_up(cut.stage_elements * static_cast<int64_t>(sizeof(T)), 64);
}
template <class T>
size_t depthwise_workspace(int threads, const DepthwiseCut<T>& cut) {
  return static_cast<size_t>(round_up(cut.taps * 8, 64) + threads * depthwise_scratch(cut));
}

// ROWS output rows, `count` pixels each: taps of weights kMr apart, from x + offsets.
template <class T, int ROWS, bool THREE>
__attribute__((noinline)) void depthwise_rows(const Task<T>& t, int64_t count, int64_t taps, const T* x,
                                              const int64_t* offsets, int64_t pitch, const T* a, const T* bias, T* y) {
  constexpr int W = Vec<T>::size, MR = GemmTile<T>::kMr;
  const auto vector = [&](int64_t q, int n, auto load) __attribute__((always_inline)) {
    Vec<T> acc[ROWS];
    unroll<ROWS>([&](auto r) __attribute__((always_inline)) { acc[r] = bias ? Vec<T>(*bias) : Vec<T>::zero(); });
    if constexpr (THREE) {
      // Three taps down, a row apart: a row once loaded serves all of them. Loads that straddle two lines count twice
      // and are what limits the general form, 4 and a weight to 4 FMAs; here they are 6, and 3 weights, to 12.
      const int64_t across = taps / 3;
      for (int64_t s = 0; s < across; s++) {
        const T* from = x + offsets[s] + q;
        Vec<T> weight[3];
        unroll<3>([&](auto r) __attribute__((always_inline)) { weight[r] = Vec<T>(a[(r * across + s) * MR]); });
        unroll<ROWS + 2>([&](auto i) __attribute__((always_inline)) {
          const Vec<T> v = load(from + i * pitch);
          unroll<3>([&](auto r) __attribute__((always_inline)) {
            constexpr int to = decltype(i)::value - decltype(r)::value;
            if constexpr (to >= 0 && to < ROWS) acc[to] = fma(weight[r], v, acc[to]);
          });
        });
      }
    } else {
      for (int64_t k = 0; k < taps; k++) {
        const Vec<T> weight(a[k * MR]);
        const T* from = x + offsets[k] + q;
        unroll<ROWS>([&](auto r)
                         __attribute__((always_inline)) { acc[r] = fma(weight, load(from + r * pitch), acc[r]); });
      }
    }
    if (t.act != GemmAct::None)
      for (int r = 0; r < ROWS; r++) acc[r] = activate(acc[r], t.act);
    T* to = y + q * t.y_col;
    if (t.y_col == 1) {
      unroll<ROWS>([&](auto r) __attribute__((always_inline)) {
        if (n == W) {
          acc[r].store(to + r * t.y_row);
        } else {
          acc[r].store(to + r * t.y_row, n);
        }
      });
      return;
    }
    for (int r = 0; r < ROWS; r++) {
      alignas(64) T lanes[W];
      acc[r].store(lanes);
      for (int i = 0; i < n; i++) to[r * t.y_row + i * t.y_col] = lanes[i];
    }
  };
  int64_t q = 0;
  for (; q + W <= count; q += W)
    vector(q, W, [](const T* p) __attribute__((always_inline)) { return Vec<T>::load(p); });
  const int n = static_cast<int>(count - q);
  if (n) vector(q, n, [n](const T* p) __attribute__((always_inline)) { return Vec<T>::load(p, n); });
}

template <class T>
void run_depthwise(const Task<T>& t, const DepthwiseCut<T>& cut, void* workspace) {
  constexpr int MR = GemmTile<T>::kMr;
  int64_t* const offsets = static_cast<int64_t*>(workspace);
  for (int64_t c = 0, k = 0; c < t.C; c++)
    for (int64_t r = 0; r < t.h.taps; r++)
      for (int64_t s = 0; s < t.w.taps; s++) offsets[k++] = c * cut.st.channel + tap_offset(cut.st, t.h, t.w, r, s);
  char* const scratch = static_cast<char*>(workspace) + round_up(cut.taps * 8, 64);
  const bool three = t.C == 1 && t.h.taps == 3 && t.h.step == 1 && t.h.gap == 1;
  parallel_for(t.N * t.G * cut.p_blocks * cut.q_blocks, [&](int64_t i, int thread) {
    const int64_t q0 = i % cut.q_blocks * cut.st.q_block, p0 = i / cut.q_blocks % cut.p_blocks * cut.st.p_block;
    i /= cut.q_blocks * cut.p_blocks;
    const int64_t g = i % t.G, n = i / t.G;
    const int64_t rows = min_i(cut.st.p_block, t.h.out - p0), count = min_i(cut.st.q_block, t.w.out - q0);
    const T* x;
    if (cut.st.in_place) {
      x = in_place_tile(t.h, t.w, t.x(n, g, 0), p0, q0);
    } else {
      T* const staged = reinterpret_cast<T*>(scratch + thread * depthwise_scratch(cut));
      stage_tile(staged, cut.st, t.h, t.w, [&](int64_t c) { return t.x(n, g, c); }, t.C, p0, q0, rows);
      x = staged;
    }
    for (int64_t m = 0; m < t.M; m++) {
      const T* a = t.a + g * row_panels<T>(t.M) * cut.taps * MR + m;
      const T* bias = t.bias ? t.bias + g * t.M + m : nullptr;
      T* y = t.image_out(n) + (g * t.M + m) * t.y_channel + p0 * t.y_row + q0 * t.y_col;
      const auto at = [&](int64_t p, auto r) {
        constexpr int kRows = decltype(r)::value;
        const auto run = three ? depthwise_rows<T, kRows, true> : depthwise_rows<T, kRows, false>;
        run(t, count, cut.taps, x + p * cut.st.pitch, offsets, cut.st.pitch, a, bias, y + p * t.y_row);
      };
      int64_t p = 0;
      for (; p + 4 <= rows; p += 4) at(p, Int<4>());
      if (rows - p == 3) at(p, Int<3>());
      if (rows - p == 2) at(p, Int<2>());
      if (rows - p == 1) at(p, Int<1>());
    }
  });
}

// A task by whichever way suits its shape. dense: y_col == 1.
template <class T>
FASTNN_INLINE size_t any_workspace(int threads, ConvVariant variant, int64_t N, int64_t G, int64_t M, int64_t C,
                                   const Axis& h, const Axis& w, bool flat, bool dense) {
  if (variant == ConvVariant::Naive) return 0;
  if (make_depthwise_rows(variant, M, C, h, w, dense).use) return 0;
  const DepthwiseCut<T> cut = make_depthwise<T>(variant, M, C, h, w, flat);
  if (cut.use) return depthwise_workspace(threads, cut);
  const size_t direct = task_workspace<T>(threads, make_cut<T>(N, G, M, C, h, w, flat));
  const Winograd win = make_winograd<T>(variant, N, G, M, C, h, w, dense);
  const size_t most = win.use ? winograd_workspace<T>(threads, win, G) : 0;
  return most > direct ? most : direct;
}
template <class T>
FASTNN_INLINE void run_any(const Task<T>& t, ConvVariant variant, void* workspace) {
  if (t.N == 0) return;
  if (variant == ConvVariant::Naive) return run_plain(t);
  const DepthwiseRows rows = make_depthwise_rows(variant, t.M, t.C, t.h, t.w, t.y_col == 1);
  if (rows.use) return run_depthwise_rows(t, rows);
  const DepthwiseCut<T> cut = make_depthwise<T>(variant, t.M, t.C, t.h, t.w, t.x.flat());
  if (cut.use) return run_depthwise(t, cut, workspace);
  const Winograd win = make_winograd<T>(variant, t.N, t.G, t.M, t.C, t.h, t.w, t.y_col == 1);
  if (win.use && run_winograd(t, win, workspace)) return;
  run_task(t, workspace);
}

}  // namespace
}  // namespace FASTNN_ISA
}  // namespace fastnn
