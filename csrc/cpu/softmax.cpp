// Softmax and log-softmax, forward and backward. A row goes from memory to a core's cache once: largest value,
// exponentials and their sum, scaling. The machine's max may lose a NaN, the sum of exponentials does not: a row with a
// NaN, with +inf, or of -inf alone is NaN throughout, as in torch.
#include "cpu/softmax_row.h"
#include "kernels.h"

namespace fastnn {
namespace FASTNN_ISA {
namespace {

// y[i] = f(vector of a at i, vector of b at i), n elements.
template <class T, class F>
FASTNN_INLINE void each(int64_t n, const T* a, const T* b, T* y, const F& f) {
  constexpr int L = Vec<T>::size;
  int64_t i = 0;
  for (; i + L <= n; i += L) f(Vec<T>::load(a + i), Vec<T>::load(b + i)).store(y + i);
  const int w = static_cast<int>(n - i);
  if (w > 0) f(Vec<T>::load(a + i, w), Vec<T>::load(b + i, w)).store(y + i, w);
}
template <class T, class F>
FASTNN_INLINE Vec<T> sum_of(int64_t n, const T* a, const T* b, const F& f) {  // f(0, 0) = 0
  constexpr int L = Vec<T>::size;
  Vec<T> s[4] = {Vec<T>::zero(), Vec<T>::zero(), Vec<T>::zero(), Vec<T>::zero()};
  int64_t i = 0;
  for (; i + 4 * L <= n; i += 4 * L)
    unroll<4>([&](auto k) { s[k] += f(Vec<T>::load(a + i + k * L), Vec<T>::load(b + i + k * L)); });
  for (; i + L <= n; i += L) s[0] += f(Vec<T>::load(a + i), Vec<T>::load(b + i));
  const int w = static_cast<int>(n - i);
  if (w > 0) s[0] += f(Vec<T>::load(a + i, w), Vec<T>::load(b + i, w));
  return fold_sum((s[0] + s[2]) + (s[1] + s[3]));
}

template <class T>
void forward_row(const T* x, T* y, int64_t n) {
  constexpr int L = Vec<T>::size;
  if (n <= L) {  // one register
    const int w = static_cast<int>(n);
    const Vec<T> v = tail(x, w), e = vexp_nonpositive(v - fold_max(v));
    (e / fold_sum(e)).store(y, w);
    return;
  }
  const Vec<T> s = exp_sum(x, n, row_max(x, n), [&](int64_t i, Vec<T> e, int w) {
    if (w == L) {
      e.store(y + i);
    } else {
      e.store(y + i, w);
    }
  });
  const Vec<T> scale = vset<T>(1) / s;
  each(n, y, y, y, [&](Vec<T> e, Vec<T>) { return e * scale; });
}
template <class T>
void log_forward_row(const T* x, T* y, int64_t n) {
  const Vec<T> m = row_max(x, n);
  const Vec<T> l = log_of(exp_sum(x, n, m, [](int64_t, Vec<T>, int) {}));
  each(n, x, x, y, [&](Vec<T> v, Vec<T>) { return (v - m) - l; });
}
template <class T>
void backward_row(const T* dy, const T* y, T* dx, int64_t n) {
  const Vec<T> s = sum_of(n, dy, y, [](Vec<T> a, Vec<T> b) { return a * b; });
  each(n, dy, y, dx, [&](Vec<T> a, Vec<T> b) { return b * (a - s); });
}
template <class T>
void log_backward_row(const T* dy, const T* y, T* dx, int64_t n) {
  const Vec<T> s = sum_of(n, dy, dy, [](Vec<T> a, Vec<T>) { return a; });
  each(n, dy, y, dx, [&](Vec<T> a, Vec<T> b) { return a - vexp_nonpositive(b) * s; });
}

template <class T>
void rows(const SoftmaxArgs& a) {
  const T *x = static_cast<const T*>(a.a), *y = static_cast<const T*>(a.b);
  T* out = static_cast<T*>(a.out);
  for (int64_t i = 0; i < a.rows; ++i, x += a.n, out += a.n) {
    switch (a.op) {
      case Softmax::Forward:
        forward_row(x, out, a.n);
        break;
      case Softmax::LogForward:
        log_forward_row(x, out, a.n);
        break;
      case Softmax::Backward:
        backward_row(x, y + i * a.n, out, a.n);
        break;
      case Softmax::LogBackward:
        log_backward_row(x, y + i * a.n, out, a.n);
    }
  }
}

// Columns begin .. end, at most kWidth of them: row after row, each column's largest value and sum in a small array.
constexpr int kWidth = 512;

template <class T>
void columns(const SoftmaxArgs& a) {
  alignas(64) T m[kWidth + 16], s[kWidth + 16];
  const int width = static_cast<int>(a.end - a.begin);
  const int64_t n = a.n, stride = a.inner;
  const T *x = static_cast<const T*>(a.a) + a.begin, *y = static_cast<const T*>(a.b) + a.begin;
  T* out = static_cast<T*>(a.out) + a.begin;
  const bool forward = a.op == Softmax::Forward || a.op == Softmax::LogForward;
  for (int j = 0; j < width; ++j) {
    m[j] = -__builtin_inf();
    s[j] = 0;
  }
  // f(row offset, j, count)
  const auto down = [&](const auto& f) {
    for (int64_t i = 0; i < n; ++i) across<T>(width, [&](int j, auto w) { f(i * stride + j, j, w); });
  };
  if (forward) {
    down([&](int64_t at, int j, auto w) { put(m + j, max(get(m + j, w), get(x + at, w)), w); });
    const bool log = a.op == Softmax::LogForward;
    down([&](int64_t at, int j, auto w) {
      const Vec<T> e = vexp_nonpositive(get(x + at, w) - get(m + j, w));
      put(s + j, get(s + j, w) + e, w);
      if (!log) put(out + at, e, w);
    });
    if (log) {
      across<T>(width, [&](int j, auto w) { put(s + j, log_of(get(s + j, w)), w); });
      down([&](int64_t at, int j, auto w) { put(out + at, (get(x + at, w) - get(m + j, w)) - get(s + j, w), w); });
    } else {
      across<T>(width, [&](int j, auto w) { put(s + j, vset<T>(1) / get(s + j, w), w); });
      down([&](int64_t at, int j, auto w) { put(out + at, get(out + at, w) * get(s + j, w), w); });
    }
  } else if (a.op == Softmax::Backward) {
    down([&](int64_t at, int j, auto w) { put(s + j, fma(get(x + at, w), get(y + at, w), get(s + j, w)), w); });
    down([&](int64_t at, int j, auto w) { put(out + at, get(y + at, w) * (get(x + at, w) - get(s + j, w)), w); });
  } else {
    down([&](int64_t at, int j, auto w) { put(s + j, get(s + j, w) + get(x + at, w), w); });
    down([&](int64_t at, int j, auto w) {
      put(out + at, get(x + at, w) - vexp_nonpositive(get(y + at, w)) * get(s + j, w), w);
    });
  }
}

// Shifted by the largest value where that is finite: +inf gives +inf, -inf alone gives -inf.
template <class T>
void logsumexp(const SoftmaxArgs& a) {
  const T* x = static_cast<const T*>(a.a);
  T* out = static_cast<T*>(a.out);
  for (int64_t i = 0; i < a.rows; ++i, x += a.n) {
    Vec<T> m = row_max(x, a.n);
    m = select(lt(abs(m), vset<T>(__builtin_inf())), m, Vec<T>::zero());
    Vec<T> s = Vec<T>::zero();
    if (m[0] == 0) {  // the shift may have been left out: no bound from above
      for (int64_t j = 0; j < a.n; j += Vec<T>::size) {
        const int w = static_cast<int>(a.n - j < Vec<T>::size ? a.n - j : Vec<T>::size);
        s += vexp(tail(x + j, w));
      }
      s = fold_sum(s);
    } else {
      s = exp_sum(x, a.n, m, [](int64_t, Vec<T>, int) {});
    }
    out[i] = (m + log_of(s))[0];
  }
}

}  // namespace

void softmax_rows(const SoftmaxArgs& a) { a.dtype == Dtype::F32 ? rows<float>(a) : rows<double>(a); }
void softmax_columns(const SoftmaxArgs& a) { a.dtype == Dtype::F32 ? columns<float>(a) : columns<double>(a); }
void logsumexp_rows(const SoftmaxArgs& a) { a.dtype == Dtype::F32 ? logsumexp<float>(a) : logsumexp<double>(a); }

}  // namespace FASTNN_ISA
}  // namespace fastnn
