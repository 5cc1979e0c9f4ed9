// The gradient for the input of a convolution with stride: one convolution of dy for each pair of residues (conv2d.cpp
// says why), and how to make all of them from one staged tile.
//
// Together: the residues read the same dy, a few rows and columns apart. With few input channels most of the time would
// go into staging it again for each (a 7x7 window of stride 2 over 3 channels has four residues of 9 to 16 taps, and a
// staged vector serves 3 * 12 FMAs). Here a tile of dy is staged once, with all its channels and the reach of all
// residues, and their columns are read from it in place, at offsets of their own.
#pragma once
#include "cpu/conv2d_task.h"

namespace fastnn {
namespace FASTNN_ISA {
namespace {

// Elements of the panels of G groups of M x K weights.
template <class T>
FASTNN_INLINE int64_t panel_elements(int64_t G, int64_t M, int64_t K) {
  return align_elements(G * row_panels<T>(M) * K * GemmTile<T>::kMr);
}

// The positions h = first_h, first_h + stride, ... (`axis.out` of them) of one residue, and the taps that reach them:
// tap t of `axis` is r = last - t * every.
struct Residue {
  int64_t first_h, last, every;
  Axis axis;
};
// Residue number i, 0 <= i < residues(...): the one of tap i.
FASTNN_INLINE int64_t gcd(int64_t a, int64_t b) {
  while (b) {
    const int64_t r = a % b;
    a = b;
    b = r;
  }
  return a;
}
FASTNN_INLINE int64_t residues(int64_t taps, int64_t stride, int64_t dilation) {
  return min_i(taps, stride / gcd(stride, dilation));
}
FASTNN_INLINE Residue residue(int64_t i, int64_t size, int64_t out, int64_t taps, int64_t stride, int64_t pad,
                              int64_t dilation) {
  const int64_t every = stride / gcd(stride, dilation), count = (taps - 1 - i) / every + 1;
  const int64_t last = i + (count - 1) * every;
  const int64_t shift = i * dilation - pad, m = shift % stride, h0 = m < 0 ? m + stride : m;
  // Tap r at h0 + stride * j: p = (h0 + pad - r * dilation) / stride + j, exactly.
  const int64_t first = (h0 + pad - last * dilation) / stride;
  int64_t skipped;
  const Axis axis = reaching(
      {out, h0 < size ? (size - 1 - h0) / stride + 1 : 0, 1, first, every * dilation / stride, count}, &skipped);
  return {h0, last - skipped * every, every, axis};
}

struct InputPlan {
  int64_t nd, nh, nw;  // residues with taps
  bool covers;         // they are all: every element of dx is written
};
FASTNN_INLINE InputPlan input_plan(const Conv2dShape& s) {
  InputPlan p{residues(s.T, s.stride_d, s.dilation_d), residues(s.R, s.stride_h, s.dilation_h),
              residues(s.S, s.stride_w, s.dilation_w), false};
  p.covers = p.nd == s.stride_d && p.nh == s.stride_h && p.nw == s.stride_w;
  return p;
}
struct Residues {
  Residue d, h, w;
};
// f(residues) for every one with outputs.
template <class F>
FASTNN_INLINE void each_residue(const Conv2dShape& s, const InputPlan& plan, const F& f) {
  for (int64_t l = 0; l < plan.nd; l++) {
    for (int64_t i = 0; i < plan.nh; i++) {
      for (int64_t k = 0; k < plan.nw; k++) {
        const Residues r{residue(l, s.D, s.O, s.T, s.stride_d, s.pad_d, s.dilation_d),
                         residue(i, s.H, s.P, s.R, s.stride_h, s.pad_h, s.dilation_h),
                         residue(k, s.W, s.Q, s.S, s.stride_w, s.pad_w, s.dilation_w)};
        if (r.d.axis.out > 0 && r.h.axis.out > 0 && r.w.axis.out > 0) f(r);
      }
    }
  }
}

constexpr int kMaxTogether = 16;  // pairs of residues

template <class T>
struct Together {
  struct Part {
    Residues residues;
    int64_t panels, offsets;  // where in the workspace: elements, int64s
  };
  bool use;
  int count;
  Part part[kMaxTogether];
  Axis h, w;  // of a window that holds those of all parts
  Stage st;
  int64_t K, M, p_blocks, q_blocks;
  int64_t panels, offsets, scratch;  // sizes: elements, int64s, elements a thread
};

template <class T>
Together<T> make_together(const Conv2dShape& s, const InputPlan& plan) {
  constexpr int64_t kBytes = 512 * 1024, kMostRows = 64;  // staged dy, with the panels and dx within L2
  Together<T> t{};
  t.K = s.K / s.groups;
  t.M = s.C / s.groups;
  if (!is_flat(s) || s.variant != ConvVariant::Auto || t.M > kMostRows) return t;
  if (plan.nh * plan.nw < 2 || plan.nh * plan.nw > kMaxTogether) return t;
  each_residue(s, plan, [&](const Residues& r) { t.part[t.count++].residues = r; });
  if (t.count < 2) return t;
  const auto hull = [&](Residue Residues::* side) {  // an axis that all parts lie in
    const Axis& a = (t.part[0].residues.*side).axis;
    Axis all{a.size, 0, 1, a.first, 1, 0};
    int64_t end = a.first;
    for (int i = 0; i < t.count; i++) {
      const Axis& b = (t.part[i].residues.*side).axis;
      all.first = min_i(all.first, b.first);
      end = max_i(end, b.first + (b.taps - 1) * b.gap);
      all.out = max_i(all.out, b.out);
    }
    all.taps = end - all.first + 1;
    return all;
  };
  t.h = hull(&Residues::h);
  t.w = hull(&Residues::w);
  for (int64_t pixels = kTilePixels;; pixels /= 2) {
    if (pixels < 256) return t;
    t.st = make_stage(t.h, t.w, pixels, false);
    if (!t.st.ok) return t;
    if (t.st.channel * t.K * static_cast<int64_t>(sizeof(T)) <= kBytes) break;
  }
  if (10 * t.st.q_block < 9 * t.st.pitch) return t;  // columns between rows are computed in vain
  t.p_blocks = ceil_div(t.h.out, t.st.p_block);
  t.q_blocks = ceil_div(t.w.out, t.st.q_block);
  if (s.N * s.groups * t.p_blocks * t.q_blocks < 8) return t;  // too few items
  for (int i = 0; i < t.count; i++) {
    const int64_t depth = t.K * t.part[i].residues.h.axis.taps * t.part[i].residues.w.axis.taps;
    t.part[i].panels = t.panels;
    t.part[i].offsets = t.offsets;
    t.panels += panel_elements<T>(s.groups, t.M, depth);
    t.offsets += round_up(depth, 8);
  }
  t.scratch = align_elements(t.K * t.st.channel) + GemmTile<T>::kNr;
  t.use = true;
  return t;
}

// Workspace: the panels, the offsets, each thread's staged tile.
template <class T>
FASTNN_INLINE int64_t together_scratch_at(const Together<T>& t) {
  return round_up(t.panels * static_cast<int64_t>(sizeof(T)) + t.offsets * 8, 64);
}
template <class T>
FASTNN_INLINE int64_t together_scratch_bytes(const Together<T>& t) {
  return round_up(t.scratch * static_cast<int64_t>(sizeof(T)), 64);
}
template <class T>
size_t together_workspace(int threads, const Together<T>& t) {
  return static_cast<size_t>(together_scratch_at(t) + threads * together_scratch_bytes(t));
}

// The panels are in place.
template <class T>
void run_together(const Conv2dShape& s, const Together<T>& t, const T* dy, T* dx, void* workspace) {
  constexpr int64_t MR = GemmTile<T>::kMr, NR = GemmTile<T>::kNr;
  char* const memory = static_cast<char*>(workspace);
  const T* const panels = static_cast<const T*>(workspace);
  int64_t* const offsets = reinterpret_cast<int64_t*>(memory + t.panels * static_cast<int64_t>(sizeof(T)));
  for (int i = 0; i < t.count; i++) {
    const Axis &h = t.part[i].residues.h.axis, &w = t.part[i].residues.w.axis;
    int64_t* o = offsets + t.part[i].offsets;
    for (int64_t k = 0; k < t.K; k++)
      for (int64_t r = 0; r < h.taps; r++)
        for (int64_t u = 0; u < w.taps; u++)
          *o++ = k * t.st.channel + (h.first - t.h.first + r * h.gap) * t.st.pitch + w.first - t.w.first + u * w.gap;
  }
  const int64_t blocks = t.p_blocks * t.q_blocks;
  parallel_for(s.N * s.groups * blocks, [&](int64_t item, int thread) {
    T* const staged = reinterpret_cast<T*>(memory + together_scratch_at(t) + thread * together_scratch_bytes(t));
    const int64_t q0 = item % t.q_blocks * t.st.q_block, p0 = item / t.q_blocks % t.p_blocks * t.st.p_block;
    const int64_t image = item / blocks, g = image % s.groups;
    const T* const from = dy + image * t.K * s.P * s.Q;
    stage_tile(
        staged, t.st, t.h, t.w, [&](int64_t k) { return from + k * s.P * s.Q; }, t.K, p0, q0,
        min_i(t.st.p_block, t.h.out - p0));
    for (int i = 0; i < t.count; i++) {
      const Residue &h = t.part[i].residues.h, &w = t.part[i].residues.w;
      const int64_t rows = min_i(t.st.p_block, h.axis.out - p0), columns = min_i(t.st.q_block, w.axis.out - q0);
      if (rows <= 0 || columns <= 0) continue;
      const int64_t depth = t.K * h.axis.taps * w.axis.taps, y_row = s.stride_h * s.W;
      T* const y = dx + image * t.M * s.H * s.W + h.first_h * s.W + w.first_h + p0 * y_row + q0 * s.stride_w;
      const T* const a = panels + t.part[i].panels + g * row_panels<T>(t.M) * depth * MR;
      Segments<T> segments;
      const SegmentStore<T> store{&segments, nullptr, GemmAct::None, s.H * s.W, s.stride_w};
      for (int64_t j = 0; j < (rows - 1) * t.st.pitch + columns; j += NR) {
        const int cols = static_cast<int>(min_i(NR, (rows - 1) * t.st.pitch + columns - j));
        segments.count = 0;
        add_segments(&segments, 0, j, cols, t.st.pitch, columns, t.st.pitch, y, staged, y_row, s.stride_w);
        segments.cut_pieces();
        strip_cols(cols, t.M, depth, a, depth * MR, StagedRows<T>{staged + j, offsets + t.part[i].offsets}, store, true,
                   true);
      }
    }
  });
}

}  // namespace
}  // namespace FASTNN_ISA
}  // namespace fastnn
