// Cross-entropy from logits. Forward reads the logits once: blocks small enough for the first cache give their largest
// value, then their exponentials, and the sum is rescaled where the maximum grew. Backward reads them once more and
// writes the gradient in the same pass: softmax is exp(x - logsumexp).
#include "cpu/rows.h"
#include "cpu/vecmath.h"
#include "kernels.h"

namespace fastnn {
namespace FASTNN_ISA {
namespace {

constexpr int64_t kBlock = 2048;

template <class T>
FASTNN_INLINE Vec<T> load_or(const T* x, int64_t n, Vec<T> other) {
  constexpr int L = Vec<T>::size;
  if (n >= L) return Vec<T>::load(x);
  const int w = static_cast<int>(n);
  return first(Vec<T>::load(x, w), w, other);
}

// The row's largest value m and the sum of exp(x - m): logsumexp is m + log(sum), NaN for a NaN, +inf, or -inf alone,
// as torch's log_softmax.
template <class T>
FASTNN_INLINE void exp_sum(const T* x, int64_t n, T& largest, T& total) {
  constexpr int L = Vec<T>::size;
  const Vec<T> low = vset<T>(-__builtin_inf());
  if (n <= L) {
    const Vec<T> v = load_or(x, n, low), m = fold_max(v);
    largest = m[0];
    total = sum(vexp_nonpositive(v - m));
    return;
  }
  Vec<T> m = low, s = Vec<T>::zero();
  for (int64_t b = 0; b < n; b += kBlock) {
    const int64_t size = n - b < kBlock ? n - b : kBlock;
    const T* p = x + b;
    Vec<T> m0 = low, m1 = low, m2 = low, m3 = low;
    int64_t i = 0;
    for (; i + 4 * L <= size; i += 4 * L) {
      m0 = max(m0, Vec<T>::load(p + i));
      m1 = max(m1, Vec<T>::load(p + i + L));
      m2 = max(m2, Vec<T>::load(p + i + 2 * L));
      m3 = max(m3, Vec<T>::load(p + i + 3 * L));
    }
    for (; i < size; i += L) m0 = max(m0, load_or(p + i, size - i, low));
    const Vec<T> grown = max(m, fold_max(max(max(m0, m1), max(m2, m3))));
    // Nothing but -inf so far: shift by 0, exp(-inf) = 0 is right and a NaN stays one.
    const Vec<T> shift = select(eq(grown, low), Vec<T>::zero(), grown);
    s *= vexp_nonpositive(m - shift);
    m = grown;
    Vec<T> s0 = Vec<T>::zero(), s1 = s0;
    for (i = 0; i + 2 * L <= size; i += 2 * L) {
      // The next block comes from memory while this one's exponentials are worked out.
      __builtin_prefetch(p + size + i);
      __builtin_prefetch(p + size + i + L);
      s0 += vexp_nonpositive(Vec<T>::load(p + i) - shift);
      s1 += vexp_nonpositive(Vec<T>::load(p + i + L) - shift);
    }
    for (; i < size; i += L) s0 += vexp_nonpositive(load_or(p + i, size - i, low) - shift);
    s += s0 + s1;
  }
  largest = m[0];
  total = largest == low[0] ? static_cast<T>(__builtin_nan("")) : sum(s);
}

// sum of w[c] x[c]
template <class T>
T weighted_sum(const T* x, const T* w, int64_t n) {
  constexpr int L = Vec<T>::size;
  Vec<T> s0 = Vec<T>::zero(), s1 = s0, s2 = s0, s3 = s0;
  const auto at = [&](int64_t i) {
    const Vec<T> v = load_or(x + i, n - i, Vec<T>::zero());
    return w ? v * load_or(w + i, n - i, Vec<T>::zero()) : v;
  };
  int64_t i = 0;
  for (; i + 4 * L <= n; i += 4 * L) {
    s0 += at(i);
    s1 += at(i + L);
    s2 += at(i + 2 * L);
    s3 += at(i + 3 * L);
  }
  for (; i < n; i += L) s0 += at(i);
  return sum((s0 + s2) + (s1 + s3));
}

template <class T>
void forward(const CrossEntropyArgs& a) {
  constexpr int L = Vec<T>::size;
  const T *x = static_cast<const T*>(a.logits), *w = static_cast<const T*>(a.weight);
  T *lse = static_cast<T*>(a.lse), *loss = static_cast<T*>(a.loss);
  const T smoothing = static_cast<T>(a.smoothing);
  for (int64_t begin = 0; begin < a.rows; begin += L) {
    // As many rows as a vector has lanes share one logarithm.
    const int count = static_cast<int>(a.rows - begin < L ? a.rows - begin : L);
    alignas(64) T largest[L] = {}, total[L] = {};
    for (int i = 0; i < count; ++i) exp_sum(x + (begin + i) * a.classes, a.classes, largest[i], total[i]);
    (Vec<T>::load(largest) + vlog(Vec<T>::load(total))).store(lse + begin, count);
  }
  for (int64_t i = 0; i < a.rows; ++i, x += a.classes) {
    const T l = lse[i];
    const int64_t t = a.target[i];
    if (t == a.ignore_index) {
      loss[i] = 0;
      continue;
    }
    T v = l - x[t];
    if (w) v *= w[t];
    if (smoothing != 0) {
      const T away = l * static_cast<T>(a.weight_sum) - weighted_sum(x, w, a.classes);
      v = v * (1 - smoothing) + away * (smoothing / static_cast<T>(a.classes));
    }
    loss[i] = v;
  }
}

// dx = g ((a + b) softmax - a onehot - u w), a = (1 - s) w[t], u = s / C, b = u sum(w).
template <class T>
void backward(const CrossEntropyArgs& a) {
  constexpr int L = Vec<T>::size;
  const T *x = static_cast<const T*>(a.logits), *w = static_cast<const T*>(a.weight);
  const T *lse = static_cast<const T*>(a.lse), *dloss = static_cast<const T*>(a.dloss);
  T* dx = static_cast<T*>(a.dlogits);
  const T smoothing = static_cast<T>(a.smoothing), scale = static_cast<T>(a.scale);
  const T u = smoothing / static_cast<T>(a.classes);
  const int64_t n = a.classes;
  for (int64_t i = 0; i < a.rows; ++i, x += n, dx += n) {
    const int64_t t = a.target[i];
    const bool ignored = t == a.ignore_index;
    const T g = ignored ? 0 : dloss[i * a.dloss_stride] * scale;
    const T own = ignored ? 0 : (1 - smoothing) * (w ? w[t] : 1);
    const Vec<T> l(lse[i]), factor(g * (own + u * static_cast<T>(a.weight_sum))), even(g * u);
    const bool plain = smoothing == 0;
    const auto at = [&](int64_t j, int count) {
      if (ignored) return Vec<T>::zero();
      const Vec<T> p = vexp_nonpositive((count == L ? Vec<T>::load(x + j) : Vec<T>::load(x + j, count)) - l) * factor;
      if (plain) return p;
      return w ? p - even * (count == L ? Vec<T>::load(w + j) : Vec<T>::load(w + j, count)) : p - even;
    };
    int64_t j = 0;
    if (a.stream) {
      // Up to the first aligned store, then whole lines past the caches.
      const int head =
          static_cast<int>((kVecBytes - reinterpret_cast<uintptr_t>(dx) % kVecBytes) % kVecBytes / sizeof(T));
      if (head > 0 && head <= n) {
        at(0, head).store(dx, head);
        j = head;
      }
      if (head <= n)
        for (; j + L <= n; j += L) stream(dx + j, at(j, L));
    } else {
      for (; j + 2 * L <= n; j += 2 * L) {
        const Vec<T> p = at(j, L), q = at(j + L, L);
        p.store(dx + j);
        q.store(dx + j + L);
      }
    }
    for (; j < n; j += L) {
      const int count = static_cast<int>(n - j < L ? n - j : L);
      at(j, count).store(dx + j, count);
    }
    if (!ignored) {
      if (a.stream) stream_end();  // this row's lines before the one element that is changed again
      dx[t] -= g * own;
    }
  }
  if (a.stream) stream_end();
}

}  // namespace

void cross_entropy(const CrossEntropyArgs& a) { a.dtype == Dtype::F32 ? forward<float>(a) : forward<double>(a); }
void cross_entropy_backward(const CrossEntropyArgs& a) {
  a.dtype == Dtype::F32 ? backward<float>(a) : backward<double>(a);
}

}  // namespace FASTNN_ISA
}  // namespace fastnn
