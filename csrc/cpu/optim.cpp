// The optimizers' updates: one pass over all parameters in one parallel region. The arithmetic and its order are those
// of torch's single-tensor rules; contraction is off for this file and multiply-adds are fused by name, as torch's are.
#include "kernels.h"
#include "runtime/thread_pool.h"

namespace fastnn {
namespace FASTNN_ISA {
namespace {
// Fused where the instruction exists; elsewhere a library call per element would cost more than the whole update.
#if defined(__FMA__) || defined(__ARM_FEATURE_FMA)
inline float fma(float a, float b, float c) { return __builtin_fmaf(a, b, c); }
inline double fma(double a, double b, double c) { return __builtin_fma(a, b, c); }
#else
template <class T>
inline T fma(T a, T b, T c) {
  return a * b + c;
}
#endif
inline float root(float x) { return __builtin_sqrtf(x); }
inline double root(double x) { return __builtin_sqrt(x); }

// f(chunk) for every chunk, a task at a time.
template <class F>
inline void for_chunks(const OptimWork& work, const F& f) {
  parallel_for(work.tasks, [&](int64_t i, int) {
    for (int64_t c = work.task_begin[i]; c < work.task_begin[i + 1]; ++c) f(work.chunks[c]);
  });
}

// The gradient that is descended; sign is -1 to maximize. Without decay the parameter stays out of it: 0 times an
// infinite one would be NaN.
template <bool kDecay, class T>
inline T effective(T p, T g, T decay, T sign) {
  g *= sign;
  return kDecay ? fma(p, decay, g) : g;
}

// m + weight·(g - m) from the nearer end, as torch's lerp: `near` says that weight < 1/2, and `step` is weight or
// weight - 1.
template <class T>
inline T lerp(T m, T g, T step, bool near) {
  return fma(step, g - m, near ? m : g);
}

template <class F>
inline void run(double decay, const F& f) {
  decay != 0 ? f.template run<true>() : f.template run<false>();
}

template <class T>
struct Sgd {
  const OptimWork& work;
  const SgdArgs& a;

  // kMode 0: no momentum, 1: first step (the buffer is filled), 2: later steps.
  template <bool kDecay, int kMode, bool kNesterov>
  void chunk(const OptimChunk& c) const {
    T* __restrict p = static_cast<T*>(c.param);
    const T* __restrict grad = static_cast<const T*>(c.grad);
    T* __restrict buf = static_cast<T*>(c.state[0]);
    const T minus_lr = static_cast<T>(-a.lr), momentum = static_cast<T>(a.momentum),
            share = static_cast<T>(1 - a.dampening), decay = static_cast<T>(a.weight_decay),
            sign = static_cast<T>(a.maximize ? -1 : 1);
    for (int64_t i = 0; i < c.n; ++i) {
      T g = effective<kDecay>(p[i], grad[i], decay, sign);
      if (kMode) {
        T b = kMode == 1 ? g : fma(share, g, buf[i] * momentum);
        buf[i] = b;
        g = kNesterov ? fma(momentum, b, g) : b;
      }
      p[i] = fma(minus_lr, g, p[i]);
    }
  }
  template <bool kDecay, int kMode, bool kNesterov>
  void all() const {
    for_chunks(work, [&](const OptimChunk& c) { chunk<kDecay, kMode, kNesterov>(c); });
  }
  template <bool kDecay>
  void run() const {
    if (!a.has_buffers) return all<kDecay, 0, false>();
    if (a.first_step)
      a.nesterov ? all<kDecay, 1, true>() : all<kDecay, 1, false>();
    else
      a.nesterov ? all<kDecay, 2, true>() : all<kDecay, 2, false>();
  }
};

template <class T>
struct Adam {
  const OptimWork& work;
  const AdamArgs& a;

  template <bool kDecay, bool kAmsgrad>
  void chunk(const OptimChunk& c) const {
    T* __restrict p = static_cast<T*>(c.param);
    const T* __restrict grad = static_cast<const T*>(c.grad);
    T* __restrict m = static_cast<T*>(c.state[0]);
    T* __restrict v = static_cast<T*>(c.state[1]);
    T* __restrict peak = static_cast<T*>(c.state[2]);
    const bool near = 1 - a.beta1 < 0.5;
    // torch divides by sqrt(v)/correction + eps. Multiplied out, one of three slow operations an element is saved.
    const T eps = static_cast<T>(a.eps * a.root_correction),
            minus_step = static_cast<T>(-a.step_size * a.root_correction);
    const T decay = static_cast<T>(a.weight_decay), sign = static_cast<T>(a.maximize ? -1 : 1),
            shrink = static_cast<T>(a.shrink), weight = static_cast<T>(1 - a.beta1) - (near ? 0 : 1),
            beta2 = static_cast<T>(a.beta2), share = static_cast<T>(1 - a.beta2);
    for (int64_t i = 0; i < c.n; ++i) {
      T x = p[i] * shrink;  // 1 but for AdamW
      T g = effective<kDecay>(x, grad[i], decay, sign);
      T mean = lerp(m[i], g, weight, near);
      T square = fma(share * g, g, v[i] * beta2);
      m[i] = mean;
      v[i] = square;
      if (kAmsgrad) {
        T q = peak[i];
        square = square > q || square != square ? square : q;  // a NaN stays, as in torch.maximum
        peak[i] = square;
      }
      p[i] = x + minus_step * mean / (root(square) + eps);
    }
  }
  template <bool kDecay, bool kAmsgrad>
  void all() const {
    for_chunks(work, [&](const OptimChunk& c) { chunk<kDecay, kAmsgrad>(c); });
  }
  template <bool kDecay>
  void run() const {
    a.amsgrad ? all<kDecay, true>() : all<kDecay, false>();
  }
};

template <class T>
struct Adagrad {
  const OptimWork& work;
  const AdagradArgs& a;

  template <bool kDecay>
  void run() const {
    for_chunks(work, [&](const OptimChunk& c) {
      T* __restrict p = static_cast<T*>(c.param);
      const T* __restrict grad = static_cast<const T*>(c.grad);
      T* __restrict sum = static_cast<T*>(c.state[0]);
      const T decay = static_cast<T>(a.weight_decay), sign = static_cast<T>(a.maximize ? -1 : 1),
              eps = static_cast<T>(a.eps), minus_lr = static_cast<T>(-a.lr);
      for (int64_t i = 0; i < c.n; ++i) {
        T g = effective<kDecay>(p[i], grad[i], decay, sign);
        T s = fma(g, g, sum[i]);
        sum[i] = s;
        p[i] += minus_lr * g / (root(s) + eps);
      }
    });
  }
};

template <class T>
struct Adadelta {
  const OptimWork& work;
  const AdadeltaArgs& a;

  template <bool kDecay>
  void run() const {
    for_chunks(work, [&](const OptimChunk& c) {
      T* __restrict p = static_cast<T*>(c.param);
      const T* __restrict grad = static_cast<const T*>(c.grad);
      T* __restrict square = static_cast<T*>(c.state[0]);
      T* __restrict change = static_cast<T*>(c.state[1]);
      const T decay = static_cast<T>(a.weight_decay), sign = static_cast<T>(a.maximize ? -1 : 1),
              rho = static_cast<T>(a.rho), share = static_cast<T>(1 - a.rho), eps = static_cast<T>(a.eps),
              minus_lr = static_cast<T>(-a.lr);
      for (int64_t i = 0; i < c.n; ++i) {
        T g = effective<kDecay>(p[i], grad[i], decay, sign);
        T s = fma(share * g, g, square[i] * rho);
        square[i] = s;
        T delta = root(change[i] + eps) / root(s + eps) * g;
        change[i] = fma(share * delta, delta, change[i] * rho);
        p[i] = fma(minus_lr, delta, p[i]);
      }
    });
  }
};

template <class T>
struct RmsProp {
  const OptimWork& work;
  const RmsPropArgs& a;

  template <bool kDecay, bool kCentered, bool kMomentum>
  void chunk(const OptimChunk& c) const {
    T* __restrict p = static_cast<T*>(c.param);
    const T* __restrict grad = static_cast<const T*>(c.grad);
    T* __restrict square = static_cast<T*>(c.state[0]);
    T* __restrict mean = static_cast<T*>(c.state[1]);
    T* __restrict buf = static_cast<T*>(c.state[2]);
    const bool near = 1 - a.alpha < 0.5;
    const T decay = static_cast<T>(a.weight_decay), sign = static_cast<T>(a.maximize ? -1 : 1),
            alpha = static_cast<T>(a.alpha), share = static_cast<T>(1 - a.alpha), weight = share - (near ? 0 : 1),
            eps = static_cast<T>(a.eps), minus_lr = static_cast<T>(-a.lr), momentum = static_cast<T>(a.momentum);
    for (int64_t i = 0; i < c.n; ++i) {
      T g = effective<kDecay>(p[i], grad[i], decay, sign);
      T s = fma(share * g, g, square[i] * alpha);
      square[i] = s;
      if (kCentered) {
        T m = lerp(mean[i], g, weight, near);
        mean[i] = m;
        s = fma(-m, m, s);
      }
      T average = root(s) + eps;
      if (kMomentum) {
        T b = buf[i] * momentum + g / average;
        buf[i] = b;
        p[i] = fma(minus_lr, b, p[i]);
      } else {
        p[i] += minus_lr * g / average;
      }
    }
  }
  template <bool kDecay, bool kCentered, bool kMomentum>
  void all() const {
    for_chunks(work, [&](const OptimChunk& c) { chunk<kDecay, kCentered, kMomentum>(c); });
  }
  template <bool kDecay>
  void run() const {
    if (a.centered)
      a.has_buffers ? all<kDecay, true, true>() : all<kDecay, true, false>();
    else
      a.has_buffers ? all<kDecay, false, true>() : all<kDecay, false, false>();
  }
};

// The 2-norm of one array in torch's order: squares and sums rounded to T in as many lanes as 32 bytes hold. Long float
// arrays lose digits that way (a relative 1e-4 over a million elements), and clipped gradients follow torch's only with
// the same loss. Where a square left T's range the sum is taken again in double.
template <class T>
inline double norm2(const T* g, int64_t n) {
  constexpr int kLanes = 32 / sizeof(T);
  T lanes[kLanes] = {};
  int64_t i = 0;
  for (; i + kLanes <= n; i += kLanes)
    for (int j = 0; j < kLanes; ++j) lanes[j] += g[i + j] * g[i + j];
  T total = lanes[0];
  for (int j = 1; j < kLanes; ++j) total += lanes[j];
  for (; i < n; ++i) total += g[i] * g[i];
  if (total > 0 && total - total == 0) return root(total);
  double exact = 0;
  for (i = 0; i < n; ++i) exact += static_cast<double>(g[i]) * static_cast<double>(g[i]);
  return root(exact);
}

// In double over sixteen lanes that are added in order: the same bits at any thread count and vector width.
template <class T>
inline double norm1(const T* g, int64_t n) {
  constexpr int kLanes = 16;
  double lanes[kLanes] = {};
  const auto magnitude = [&](int64_t i) { return static_cast<double>(g[i] < 0 ? -g[i] : g[i]); };
  int64_t i = 0;
  for (; i + kLanes <= n; i += kLanes)
    for (int j = 0; j < kLanes; ++j) lanes[j] += magnitude(i + j);
  for (int j = 0; i + j < n; ++j) lanes[j] += magnitude(i + j);
  double total = lanes[0];
  for (int j = 1; j < kLanes; ++j) total += lanes[j];
  return total;
}

template <class T>
inline double magnitude_max(const T* g, int64_t n) {
  T best = 0;
  bool nan = false;
  for (int64_t i = 0; i < n; ++i) {
    T x = g[i] < 0 ? -g[i] : g[i];
    best = x > best ? x : best;
    nan |= x != x;
  }
  return nan ? __builtin_nan("") : static_cast<double>(best);
}

template <class T>
inline double norm_of(const T* g, int64_t n, NormKind kind) {
  return kind == NormKind::Two ? norm2(g, n) : kind == NormKind::One ? norm1(g, n) : magnitude_max(g, n);
}

// A chunk is a whole array: torch takes the norm of the arrays' norms.
template <class T>
inline void norms(const OptimWork& work, NormKind kind, T* partial) {
  const int64_t count = work.task_begin[work.tasks];
  parallel_for(work.tasks, [&](int64_t t, int) {
    for (int64_t c = work.task_begin[t]; c < work.task_begin[t + 1]; ++c)
      partial[c] = static_cast<T>(norm_of(static_cast<const T*>(work.chunks[c].grad), work.chunks[c].n, kind));
  });
  partial[count] = static_cast<T>(norm_of(partial, count, kind));
}

template <class T>
inline void scale(const OptimWork& work, double factor) {
  const T f = static_cast<T>(factor);
  for_chunks(work, [&](const OptimChunk& c) {
    T* g = static_cast<T*>(c.param);
    for (int64_t i = 0; i < c.n; ++i) g[i] *= f;
  });
}
}  // namespace

void sgd_step_f32(const OptimWork& w, const SgdArgs& a) { run(a.weight_decay, Sgd<float>{w, a}); }
void sgd_step_f64(const OptimWork& w, const SgdArgs& a) { run(a.weight_decay, Sgd<double>{w, a}); }
void adam_step_f32(const OptimWork& w, const AdamArgs& a) { run(a.weight_decay, Adam<float>{w, a}); }
void adam_step_f64(const OptimWork& w, const AdamArgs& a) { run(a.weight_decay, Adam<double>{w, a}); }
void adagrad_step_f32(const OptimWork& w, const AdagradArgs& a) { run(a.weight_decay, Adagrad<float>{w, a}); }
void adagrad_step_f64(const OptimWork& w, const AdagradArgs& a) { run(a.weight_decay, Adagrad<double>{w, a}); }
void adadelta_step_f32(const OptimWork& w, const AdadeltaArgs& a) { run(a.weight_decay, Adadelta<float>{w, a}); }
void adadelta_step_f64(const OptimWork& w, const AdadeltaArgs& a) { run(a.weight_decay, Adadelta<double>{w, a}); }
void rmsprop_step_f32(const OptimWork& w, const RmsPropArgs& a) { run(a.weight_decay, RmsProp<float>{w, a}); }
void rmsprop_step_f64(const OptimWork& w, const RmsPropArgs& a) { run(a.weight_decay, RmsProp<double>{w, a}); }
void grad_norm_f32(const OptimWork& w, NormKind kind, float* partial) { norms<float>(w, kind, partial); }
void grad_norm_f64(const OptimWork& w, NormKind kind, double* partial) { norms<double>(w, kind, partial); }
void scale_f32(const OptimWork& w, double factor) { scale<float>(w, factor); }
void scale_f64(const OptimWork& w, double factor) { scale<double>(w, factor); }

}  // namespace FASTNN_ISA
}  // namespace fastnn
