// Convolution forward and its gradient for the input, as tasks of conv2d_task.h.
//
// The gradient for the input: dx[h] collects dy[p] * w[r] where p * stride + r * dilation = h + padding. For the h of
// one residue modulo the stride, those r are every (stride / gcd)-th, and p = h / stride + a constant per r: a
// convolution of dy with step 1, whose taps are that subset of w, reversed. One such convolution per residue pair.
#include "cpu/conv2d_narrow.h"
#include "cpu/conv2d_task.h"
#include "cpu/shuffle.h"

namespace fastnn {
namespace FASTNN_ISA {
namespace {

// Elements of the panels of G groups of M x K weights; and those panels, each written by panel(g, first row, rows,
// out).
template <class T>
FASTNN_INLINE int64_t panel_elements(int64_t G, int64_t M, int64_t K) {
  return align_elements(G * row_panels<T>(M) * K * GemmTile<T>::kMr);
}
// out[k * kMr + r] = in[r * stride + k]. Eight rows (some of them zero) are zipped three times, into vectors of W / 8
// columns by 8 rows, whose first kMr are kept.
template <class T>
FASTNN_INLINE void interleave_rows(const T* in, int64_t stride, int rows, int64_t depth, T* out) {
  constexpr int W = Vec<T>::size, MR = GemmTile<T>::kMr;
  int64_t k = 0;
  if constexpr (W >= 8 && MR <= 8) {
    for (; k + W <= depth; k += W) {
      Vec<T> v[8], z[8];
      unroll<8>([&](auto r) __attribute__((always_inline)) {
        v[r] = r < rows ? Vec<T>::load(in + r * stride + k) : Vec<T>::zero();
      });
      unroll<4>([&](auto i) __attribute__((always_inline)) { zip(v[i], v[i + 4], &z[2 * i], &z[2 * i + 1]); });
      unroll<4>([&](auto i) __attribute__((always_inline)) { zip(z[i], z[i + 4], &v[2 * i], &v[2 * i + 1]); });
      unroll<4>([&](auto i) __attribute__((always_inline)) { zip(v[i], v[i + 4], &z[2 * i], &z[2 * i + 1]); });
      alignas(64) T columns[8 * W];
      unroll<8>([&](auto i) __attribute__((always_inline)) { z[i].store(columns + i * W); });
      for (int j = 0; j < W; j++) __builtin_memcpy(out + (k + j) * MR, columns + 8 * j, MR * sizeof(T));
    }
  }
  for (; k < depth; k++)
    for (int r = 0; r < rows; r++) out[k * MR + r] = in[r * stride + k];
}

template <class T, class Panel>
FASTNN_INLINE void pack_weights(int64_t G, int64_t M, int64_t K, T* a, const Panel& panel) {
  constexpr int MR = GemmTile<T>::kMr;
  const int64_t panels = row_panels<T>(M);
  const auto pack = [&](int64_t i, int) {
    const int64_t g = i / panels, m0 = i % panels * MR;
    panel(g, m0, static_cast<int>(min_i(MR, M - m0)), a + i * K * MR);
  };
  if (G * M * K > 32768) {
    parallel_for(G * panels, pack);
  } else {
    for (int64_t i = 0; i < G * panels; i++) pack(i, 0);
  }
}

// ---- the gradient for the input ----

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
  return {
      h0, last, every, {out, h0 < size ? (size - 1 - h0) / stride + 1 : 0, 1, first, every * dilation / stride, count}};
}

struct InputPlan {
  int64_t nh, nw;  // residues with taps
  bool covers;     // they are all: every element of dx is written
};
FASTNN_INLINE InputPlan input_plan(const Conv2dShape& s) {
  InputPlan p{residues(s.R, s.stride_h, s.dilation_h), residues(s.S, s.stride_w, s.dilation_w), false};
  p.covers = p.nh == s.stride_h && p.nw == s.stride_w;
  return p;
}
FASTNN_INLINE void input_axes(const Conv2dShape& s, int64_t i, int64_t k, Residue* h, Residue* w) {
  *h = residue(i, s.H, s.P, s.R, s.stride_h, s.pad_h, s.dilation_h);
  *w = residue(k, s.W, s.Q, s.S, s.stride_w, s.pad_w, s.dilation_w);
}

template <class T>
void backward_input(const Ctx& ctx, const Conv2dShape& s, const T* dy, const T* w, T* dx) {
  const InputPlan plan = input_plan(s);
  const int64_t elements = s.N * s.C * s.H * s.W;
  if (elements == 0) return;
  const Narrow narrow = make_narrow<T>(s);
  if (narrow.use) return narrow_backward_input(ctx, s, narrow, dy, w, dx);
  if (!plan.covers) {
    constexpr int64_t kPart = 65536;
    parallel_for(ceil_div(elements, kPart), [&](int64_t i, int) {
      __builtin_memset(dx + i * kPart, 0, static_cast<size_t>(min_i(kPart, elements - i * kPart)) * sizeof(T));
    });
  }
  T* a = static_cast<T*>(ctx.workspace);
  const int64_t kg = s.K / s.groups, cg = s.C / s.groups;
  for (int64_t i = 0; i < plan.nh; i++) {
    for (int64_t k = 0; k < plan.nw; k++) {
      Residue rh, rw;
      input_axes(s, i, k, &rh, &rw);
      if (rh.axis.out <= 0 || rw.axis.out <= 0) continue;
      const int64_t th = rh.axis.taps, tw = rw.axis.taps;
      // Row c, column (k, t, u): w[g * K/G + k][c][last - t * every][...]
      pack_weights(s.groups, cg, kg * th * tw, a, [&](int64_t g, int64_t c, int rows, T* out) {
        for (int64_t m = 0; m < kg; m++) {
          const T* in = w + ((g * kg + m) * cg + c) * s.R * s.S;
          for (int64_t i = 0; i < rows * s.R * s.S; i += 64 / static_cast<int64_t>(sizeof(T)))
            __builtin_prefetch(in + 4 * cg * s.R * s.S + i);  // the next m are pages away
          for (int64_t t = 0; t < th; t++) {
            for (int64_t u = 0; u < tw; u++, out += GemmTile<T>::kMr) {
              const T* tap = in + (rh.last - t * rh.every) * s.S + rw.last - u * rw.every;
              for (int r = 0; r < rows; r++) out[r] = tap[r * s.R * s.S];
            }
          }
        }
      });
      Task<T> t{s.N,
                s.groups,
                cg,
                kg,
                rh.axis,
                rw.axis,
                dy,
                a,
                nullptr,
                GemmAct::None,
                dx + rh.first_h * s.W + rw.first_h,
                s.H * s.W,
                s.stride_h * s.W,
                s.stride_w};
      if (s.stride_h == 1 && s.stride_w == 1) flatten_pointwise(&t.h, &t.w);
      run_task(t, a + panel_elements<T>(s.groups, cg, kg * th * tw));
    }
  }
}

template <class T>
void forward(const Ctx& ctx, const Conv2dShape& s, const T* x, const T* w, const T* bias, GemmAct act, T* y) {
  Axis h, v;
  forward_axes(s, &h, &v);
  const int64_t kg = s.K / s.groups, cg = s.C / s.groups, depth = cg * s.R * s.S;
  T* a = static_cast<T*>(ctx.workspace);
  pack_weights(s.groups, kg, depth, a, [&](int64_t g, int64_t m, int rows, T* out) {
    const T* in = w + (g * kg + m) * depth;
    interleave_rows(in, depth, rows, depth, out);
  });
  Task<T> t{s.N, s.groups, kg, cg, h, v, x, a, bias, act, y, s.P * s.Q, v.out, 1};
  run_task(t, a + panel_elements<T>(s.groups, kg, depth));
}

template <class T>
size_t workspace_of(int threads, const Conv2dShape& s, ConvPass pass) {
  Axis h, w;
  if (pass == ConvPass::Forward) {
    forward_axes(s, &h, &w);
    const int64_t size = panel_elements<T>(s.groups, s.K / s.groups, s.C / s.groups * s.R * s.S);
    return static_cast<size_t>(size) * sizeof(T) +
           task_workspace<T>(threads, make_cut<T>(s.N, s.groups, s.K / s.groups, s.C / s.groups, h, w));
  }
  const Narrow narrow = make_narrow<T>(s);
  if (narrow.use) return narrow_workspace<T>(threads, narrow);
  const InputPlan plan = input_plan(s);
  size_t most = 0;
  for (int64_t i = 0; i < plan.nh; i++) {
    for (int64_t k = 0; k < plan.nw; k++) {
      Residue rh, rw;
      input_axes(s, i, k, &rh, &rw);
      if (rh.axis.out <= 0 || rw.axis.out <= 0) continue;
      const int64_t size = panel_elements<T>(s.groups, s.C / s.groups, s.K / s.groups * rh.axis.taps * rw.axis.taps);
      if (s.stride_h == 1 && s.stride_w == 1) flatten_pointwise(&rh.axis, &rw.axis);
      const size_t bytes =
          static_cast<size_t>(size) * sizeof(T) +
          task_workspace<T>(threads, make_cut<T>(s.N, s.groups, s.C / s.groups, s.K / s.groups, rh.axis, rw.axis));
      if (bytes > most) most = bytes;
    }
  }
  return most;
}

}  // namespace

void conv2d(const Ctx& ctx, Dtype dtype, const Conv2dShape& s, const void* x, const void* w, const void* bias,
            GemmAct act, void* y) {
  if (dtype == Dtype::F32) {
    forward(ctx, s, static_cast<const float*>(x), static_cast<const float*>(w), static_cast<const float*>(bias), act,
            static_cast<float*>(y));
  } else {
    forward(ctx, s, static_cast<const double*>(x), static_cast<const double*>(w), static_cast<const double*>(bias), act,
            static_cast<double*>(y));
  }
}

void conv2d_backward_input(const Ctx& ctx, Dtype dtype, const Conv2dShape& s, const void* dy, const void* w, void* dx) {
  if (dtype == Dtype::F32) {
    backward_input(ctx, s, static_cast<const float*>(dy), static_cast<const float*>(w), static_cast<float*>(dx));
  } else {
    backward_input(ctx, s, static_cast<const double*>(dy), static_cast<const double*>(w), static_cast<double*>(dx));
  }
}

size_t conv2d_workspace(int threads, Dtype dtype, const Conv2dShape& s, ConvPass pass) {
  if (s.N == 0 || s.C == 0) return 0;
  return dtype == Dtype::F32 ? workspace_of<float>(threads, s, pass) : workspace_of<double>(threads, s, pass);
}

}  // namespace FASTNN_ISA
}  // namespace fastnn
