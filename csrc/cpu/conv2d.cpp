// Convolution forward and its gradient for the input, as tasks of conv2d_task.h.
//
// The gradient for the input: dx[h] collects dy[p] * w[r] where p * stride + r * dilation = h + padding. For the h of
// one residue modulo the stride, those r are every (stride / gcd)-th, and p = h / stride + a constant per r: a
// convolution of dy with step 1, whose taps are that subset of w, reversed. One such convolution per residue pair.
#include "cpu/conv2d_depthwise.h"
#include "cpu/conv2d_depthwise_input.h"
#include "cpu/conv2d_narrow.h"
#include "cpu/conv2d_residues.h"
#include "cpu/shuffle.h"

namespace fastnn {
namespace FASTNN_ISA {
namespace {

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

// The panels of one residue's weights. Row c, column (k, v, t, u): w[g * K/G + k][c][last - v * every][...][...]. Of
// each k a panel is made of MR * taps consecutive elements in an order of its own, which is written down once.
template <class T>
void pack_residue(const Conv2dShape& s, const Residues& res, const T* w, T* a) {
  constexpr int64_t MR = GemmTile<T>::kMr, kListedTaps = 64;
  const int64_t kg = s.K / s.groups, cg = s.C / s.groups, taps = s.T * s.R * s.S;
  const int64_t td = res.d.axis.taps, th = res.h.axis.taps, tw = res.w.axis.taps, used = td * th * tw;
  int32_t order[kListedTaps * MR + 16];
  const bool listed = used <= kListedTaps;
  for (int64_t i = 0; listed && i < used; i++) {
    const int64_t v = i / (th * tw), t = i / tw % th, u = i % tw;
    const int64_t tap =
        ((res.d.last - v * res.d.every) * s.R + res.h.last - t * res.h.every) * s.S + res.w.last - u * res.w.every;
    for (int64_t r = 0; r < MR; r++) order[i * MR + r] = static_cast<int32_t>(r * taps + tap);
  }
  for (int64_t i = used * MR; listed && i < used * MR + 16; i++) order[i] = -1;
  pack_weights(s.groups, cg, kg * used, a, [&](int64_t g, int64_t c, int rows, T* out) {
    for (int64_t m = 0; m < kg; m++) {
      const T* in = w + ((g * kg + m) * cg + c) * taps;
      if (taps == 1 && rows == MR) {
        __builtin_memcpy(out, in, MR * sizeof(T));
        out += MR;
        continue;
      }
      for (int64_t i = 0; i < rows * taps; i += 64 / static_cast<int64_t>(sizeof(T)))
        __builtin_prefetch(in + 4 * cg * taps + i);  // the next m are pages away
      if (listed && rows == MR) {
        if (MR * taps <= kIndexedPlane) {
          pick(in, MR * taps, order, int64_t(0), int64_t(1), used * MR, used * MR, out, int64_t(0));
        } else {
          for (int64_t i = 0; i < used * MR; i++) out[i] = in[order[i]];
        }
        out += used * MR;
        continue;
      }
      for (int64_t v = 0; v < td; v++) {
        for (int64_t t = 0; t < th; t++) {
          for (int64_t u = 0; u < tw; u++, out += MR) {
            const T* tap = in + ((res.d.last - v * res.d.every) * s.R + res.h.last - t * res.h.every) * s.S +
                           res.w.last - u * res.w.every;
            for (int r = 0; r < rows; r++) out[r] = tap[r * taps];
          }
        }
      }
    }
  });
}

template <class T>
void backward_input(const Ctx& ctx, const Conv2dShape& s, const T* dy, const T* w, T* dx) {
  const InputPlan plan = input_plan(s);
  const int64_t elements = s.N * s.C * s.D * s.H * s.W;
  if (elements == 0) return;
  if (depthwise_input_fits(s)) return depthwise_backward_input(s, dy, w, dx);
  const Narrow narrow = make_narrow<T>(s);
  if (narrow.use) return narrow_backward_input(ctx, s, narrow, dy, w, dx);
  if (!plan.covers) {
    constexpr int64_t kPart = 65536;
    parallel_for(ceil_div(elements, kPart), [&](int64_t i, int) {
      __builtin_memset(dx + i * kPart, 0, static_cast<size_t>(min_i(kPart, elements - i * kPart)) * sizeof(T));
    });
  }
  T* a = static_cast<T*>(ctx.workspace);
  const Together<T> together = make_together<T>(s, plan);
  if (together.use) {
    for (int i = 0; i < together.count; i++) pack_residue(s, together.part[i].residues, w, a + together.part[i].panels);
    return run_together(s, together, dy, dx, ctx.workspace);
  }
  const int64_t kg = s.K / s.groups, cg = s.C / s.groups;
  each_residue(s, plan, [&](const Residues& res) {
    pack_residue(s, res, w, a);
    const int64_t td = res.d.axis.taps;
    Task<T> t{s.N * res.d.axis.out,
              s.groups,
              cg,
              kg * td,
              res.h.axis,
              res.w.axis,
              {dy, res.d.axis, s.groups, kg * td, s.P * s.Q},
              a,
              nullptr,
              GemmAct::None,
              dx + (res.d.first_h * s.H + res.h.first_h) * s.W + res.w.first_h,
              s.stride_d * s.H * s.W,
              s.D * s.H * s.W,
              s.stride_h * s.W,
              s.stride_w};
    if (s.stride_h == 1 && s.stride_w == 1) flatten_pointwise(&t.h, &t.w);
    run_any(t, s.variant, a + panel_elements<T>(s.groups, cg, kg * td * res.h.axis.taps * res.w.axis.taps));
  });
}

// ---- forward ----

// The taps that reach the image: axes of the convolution by them alone, and the first of them.
struct Window {
  Axis d, h, w;
  int64_t t, r, s;
  FASTNN_INLINE int64_t taps() const { return d.taps * h.taps * w.taps; }
};
FASTNN_INLINE Window forward_window(const Conv2dShape& s) {
  Window at;
  Axis h, w;
  forward_axes(s, &h, &w);
  at.d = reaching(forward_depth(s), &at.t);
  at.h = reaching(h, &at.r);
  at.w = reaching(w, &at.s);
  flatten_pointwise(&at.h, &at.w);  // a 3x3 over 1x1 maps has come down to one tap
  return at;
}

template <class T>
void forward(const Ctx& ctx, const Conv2dShape& s, const T* x, const T* w, const T* bias, GemmAct act, T* y) {
  const Window at = forward_window(s);
  const int64_t kg = s.K / s.groups, cg = s.C / s.groups, full = s.T * s.R * s.S, depth = cg * at.taps();
  T* a = static_cast<T*>(ctx.workspace);
  pack_weights(s.groups, kg, depth, a, [&](int64_t g, int64_t m, int rows, T* out) {
    const T* in = w + (g * kg + m) * cg * full;
    if (at.taps() == full) return interleave_rows(in, depth, rows, depth, out);
    for (int64_t c = 0; c < cg; c++, in += full) {
      for (int64_t t = at.t; t < at.t + at.d.taps; t++) {
        for (int64_t r = at.r; r < at.r + at.h.taps; r++) {
          const T* tap = in + (t * s.R + r) * s.S + at.s;
          for (int64_t u = 0; u < at.w.taps; u++, tap++, out += GemmTile<T>::kMr)
            for (int i = 0; i < rows; i++) out[i] = tap[i * cg * full];
        }
      }
    }
  });
  Task<T> t{s.N * s.O,
            s.groups,
            kg,
            cg * at.d.taps,
            at.h,
            at.w,
            {x, at.d, s.groups, cg * at.d.taps, s.H * s.W},
            a,
            bias,
            act,
            y,
            s.P * s.Q,
            s.O * s.P * s.Q,
            at.w.out,
            1};
  run_any(t, s.variant, a + panel_elements<T>(s.groups, kg, depth));
}

template <class T>
size_t workspace_of(int threads, const Conv2dShape& s, ConvPass pass) {
  const int64_t kg = s.K / s.groups, cg = s.C / s.groups;
  if (pass == ConvPass::Forward) {
    const Window at = forward_window(s);
    const bool flat = at.d.size == 1 && at.d.taps == 1 && at.d.out == 1;
    return static_cast<size_t>(panel_elements<T>(s.groups, kg, cg * at.taps())) * sizeof(T) +
           any_workspace<T>(threads, s.variant, s.N * s.O, s.groups, kg, cg * at.d.taps, at.h, at.w, flat, true);
  }
  const Narrow narrow = make_narrow<T>(s);
  if (narrow.use) return narrow_workspace<T>(threads, narrow);
  const Together<T> together = make_together<T>(s, input_plan(s));
  if (together.use) return together_workspace(threads, together);
  size_t most = 0;
  each_residue(s, input_plan(s), [&](const Residues& r) {
    const int64_t td = r.d.axis.taps;
    const int64_t size = panel_elements<T>(s.groups, cg, kg * td * r.h.axis.taps * r.w.axis.taps);
    Axis h = r.h.axis, w = r.w.axis;
    if (s.stride_h == 1 && s.stride_w == 1) flatten_pointwise(&h, &w);
    const bool flat = r.d.axis.size == 1 && td == 1 && r.d.axis.out == 1;
    const size_t bytes =
        static_cast<size_t>(size) * sizeof(T) +
        any_workspace<T>(threads, s.variant, s.N * r.d.axis.out, s.groups, cg, kg * td, h, w, flat, s.stride_w == 1);
    if (bytes > most) most = bytes;
  });
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
