// The gradient for an input of few channels and small images (LeNet's): stride 1, hardly any padding.
//
// As a convolution of dy (conv2d.cpp) its outputs, H x W, would outnumber dy's pixels, and most of their taps would
// multiply the zeros around dy. Here each image's shares are computed first,
//     t[(c, r, s), pixel] = sum over k of w[k, c, r, s] * dy[k, pixel],
// with rows of dy spread apart by as many zeros as the taps reach, and then gathered: row h of dx adds, for every tap,
// the row of t that it comes from, shifted by s; what a shift brings in from beyond a row's ends is zero.
#pragma once
#include "cpu/conv2d_task.h"

namespace fastnn {
namespace FASTNN_ISA {
namespace {

struct Narrow {
  bool use;
  int64_t M, K, taps, reach, pitch, row;  // row: elements of one row of t, margins included
  int64_t panel, scratch;                 // elements of the packed weights, and of a thread's dy and t
};

template <class T>
FASTNN_INLINE Narrow make_narrow(const Conv2dShape& s) {
  constexpr int64_t W = Vec<T>::size, kMaxBytes = 384 * 1024;
  Narrow n{};
  n.K = s.K / s.groups;
  const int64_t cg = s.C / s.groups;
  if (!is_flat(s) || s.variant != ConvVariant::Auto) return n;
  if (s.stride_h != 1 || s.stride_w != 1 || cg > 16 || s.R * s.S > 128 || s.P * s.Q > 65536) return n;
  n.taps = s.R * s.S;
  n.M = cg * n.taps;
  n.reach = (s.S - 1) * s.dilation_w;
  n.pitch = s.Q + n.reach;
  if (n.pitch > 65536) return n;
  n.row = align_elements(n.reach + s.P * n.pitch + W);
  n.panel = align_elements(s.groups * row_panels<T>(n.M) * n.K * GemmTile<T>::kMr);
  n.scratch = (n.K + n.M) * n.row;
  // In vectors: products, stores of t, and the adds of the gather; against the convolution's products, where fewer
  // rows than about three leave the loads of dy to decide.
  const double columns = static_cast<double>(ceil_div(s.P * n.pitch, W));
  const double here = static_cast<double>(n.M) *
                      (columns * static_cast<double>(n.K + 3) + 1.5 * static_cast<double>(s.P * ceil_div(s.W, W)));
  const double there =
      static_cast<double>(n.K * n.taps * max_i(cg, 3)) * static_cast<double>(ceil_div(s.H * (s.W + n.reach), W));
  n.use = n.scratch * static_cast<int64_t>(sizeof(T)) <= kMaxBytes && here < 0.8 * there;
  return n;
}

template <class T>
size_t narrow_workspace(int threads, const Narrow& n) {
  return static_cast<size_t>(n.panel + threads * n.scratch) * sizeof(T);
}

// One image of one group.
template <class T>
void narrow_image(const Conv2dShape& s, const Narrow& n, const T* panels, const T* dy, T* dx, T* scratch) {
  constexpr int W = Vec<T>::size, NR = GemmTile<T>::kNr;
  const Axis rows{s.P, s.P, 1, 0, 1, 1}, cols{s.Q, s.Q, 1, 0, 1, 1};
  Stage st{};
  st.p_block = st.rows = s.P;
  st.q_block = s.Q;
  st.pitch = n.pitch;
  st.channel = n.row;
  st.h.count = st.w.count = 1;
  stage_tile(scratch, st, rows, cols, [&](int64_t k) { return dy + k * s.P * s.Q; }, n.K, 0, 0, s.P);
  T* t = scratch + n.K * n.row;
  for (int64_t m = 0; m < n.M; m++)
    for (int64_t i = 0; i < n.reach; i++) t[m * n.row + i] = 0;
  Segments<T> segments;
  const SegmentStore<T> store{&segments, nullptr, GemmAct::None, n.row, 1};
  const int64_t columns = s.P * n.pitch;
  for (int64_t j = 0; j < columns; j += NR) {
    const int count = static_cast<int>(min_i(NR, columns - j));
    segments.count = 1;
    segments.s[0] = {0, count, t + n.reach + j, nullptr};
    segments.cut_pieces();
    strip_cols(count, n.M, n.K, panels, n.K * GemmTile<T>::kMr, PanelRows<T>{scratch + j, n.row}, store, true, true);
  }
  const int64_t channels = s.C / s.groups;
  for (int64_t c = 0; c < channels; c++) {
    for (int64_t h = 0; h < s.H; h++) {
      for (int64_t w = 0; w < s.W; w += W) {
        Vec<T> sum = Vec<T>::zero();
        for (int64_t r = 0; r < s.R; r++) {
          const int64_t p = h + s.pad_h - r * s.dilation_h;
          if (p < 0 || p >= s.P) continue;
          const T* from = t + (c * s.R + r) * s.S * n.row + n.reach + p * n.pitch + w + s.pad_w;
          for (int64_t k = 0; k < s.S; k++) sum += Vec<T>::load(from + k * (n.row - s.dilation_w));
        }
        T* out = dx + (c * s.H + h) * s.W + w;
        if (s.W - w >= W) {
          sum.store(out);
        } else {
          sum.store(out, static_cast<int>(s.W - w));
        }
      }
    }
  }
}

template <class T>
void narrow_backward_input(const Ctx& ctx, const Conv2dShape& s, const Narrow& n, const T* dy, const T* w, T* dx) {
  constexpr int MR = GemmTile<T>::kMr;
  T* panels = static_cast<T*>(ctx.workspace);
  const int64_t per_group = row_panels<T>(n.M) * n.K * MR;
  for (int64_t g = 0; g < s.groups; g++) {
    T* out = panels + g * per_group;
    for (int64_t m = 0; m < n.M; m += MR)
      for (int64_t k = 0; k < n.K; k++, out += MR)
        for (int64_t r = 0; r < min_i(MR, n.M - m); r++) out[r] = w[(g * n.K + k) * n.M + m + r];
  }
  const int64_t cg = s.C / s.groups;
  parallel_for(s.N * s.groups, [&](int64_t i, int thread) {
    narrow_image(s, n, panels + i % s.groups * per_group, dy + i * n.K * s.P * s.Q, dx + i * cg * s.H * s.W,
                 panels + n.panel + thread * n.scratch);
  });
}

}  // namespace
}  // namespace FASTNN_ISA
}  // namespace fastnn
