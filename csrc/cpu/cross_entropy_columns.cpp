// Cross-entropy of images: the classes of a pixel lie a plane apart, neighbouring pixels follow each other. So a vector
// is as many pixels; cross_entropy.cpp has the formulas. Forward reads each logit twice (the largest, then the
// exponentials), the second time from a near cache; backward once.
#include "cpu/rows.h"
#include "cpu/vecmath.h"
#include "kernels.h"

namespace fastnn {
namespace FASTNN_ISA {
namespace {

template <class T>
void forward(const CrossEntropyArgs& a) {
  const T *x = static_cast<const T*>(a.logits), *weight = static_cast<const T*>(a.weight);
  T *lse = static_cast<T*>(a.lse), *loss = static_cast<T*>(a.loss);
  const T smoothing = static_cast<T>(a.smoothing), share = smoothing / static_cast<T>(a.classes);
  const Vec<T> low = vset<T>(-__builtin_inf());
  across<T>(a.rows, [&](int64_t i, auto n) {
    Vec<T> m = low, total = Vec<T>::zero(), weighted = total;
    for (int64_t c = 0; c < a.classes; ++c) m = max(m, get(x + c * a.inner + i, n));
    for (int64_t c = 0; c < a.classes; ++c) {
      const Vec<T> v = get(x + c * a.inner + i, n);
      total += vexp_nonpositive(v - m);  // a NaN, +inf or -inf alone: NaN, as torch's log_softmax
      if (smoothing != 0) weighted += weight ? v * Vec<T>(weight[c]) : v;
    }
    const Vec<T> l = m + log_of(total);
    put(lse + i, l, n);
    if (smoothing != 0) put(loss + i, (l * vset<T>(a.weight_sum) - weighted) * Vec<T>(share), n);
  });
  for (int64_t i = 0; i < a.rows; ++i) {
    const int64_t t = a.target[i];
    if (t == a.ignore_index) {
      loss[i] = 0;
      continue;
    }
    T v = lse[i] - x[t * a.inner + i];
    if (weight) v *= weight[t];
    loss[i] = smoothing != 0 ? v * (1 - smoothing) + loss[i] : v;
  }
}

template <class T>
void backward(const CrossEntropyArgs& a) {
  constexpr int L = Vec<T>::size;
  const T *x = static_cast<const T*>(a.logits), *weight = static_cast<const T*>(a.weight);
  const T *lse = static_cast<const T*>(a.lse), *dloss = static_cast<const T*>(a.dloss);
  T* dx = static_cast<T*>(a.dlogits);
  const T smoothing = static_cast<T>(a.smoothing), scale = static_cast<T>(a.scale);
  const T share = smoothing / static_cast<T>(a.classes);
  across<T>(a.rows, [&](int64_t i, auto n) {
    alignas(64) T own[L] = {}, factor[L] = {}, even[L] = {};
    for (int j = 0; j < n; ++j) {
      const int64_t t = a.target[i + j];
      if (t == a.ignore_index) continue;
      const T g = dloss[(i + j) * a.dloss_stride] * scale;
      const T part = (1 - smoothing) * (weight ? weight[t] : 1);
      own[j] = g * part;
      factor[j] = g * (part + share * static_cast<T>(a.weight_sum));
      even[j] = g * share;
    }
    const Vec<T> l = get(lse + i, n), f = Vec<T>::load(factor), e = Vec<T>::load(even);
    for (int64_t c = 0; c < a.classes; ++c) {
      Vec<T> p = vexp_nonpositive(get(x + c * a.inner + i, n) - l) * f;
      if (smoothing != 0) p -= weight ? e * Vec<T>(weight[c]) : e;
      put(dx + c * a.inner + i, p, n);
    }
    for (int j = 0; j < n; ++j) {
      const int64_t t = a.target[i + j];
      if (t != a.ignore_index) {
        dx[t * a.inner + i + j] -= own[j];
      } else {  // also where the logits are not finite
        for (int64_t c = 0; c < a.classes; ++c) dx[c * a.inner + i + j] = 0;
      }
    }
  });
}

}  // namespace

void cross_entropy_columns(const CrossEntropyArgs& a) {
  a.dtype == Dtype::F32 ? forward<float>(a) : forward<double>(a);
}
void cross_entropy_columns_backward(const CrossEntropyArgs& a) {
  a.dtype == Dtype::F32 ? backward<float>(a) : backward<double>(a);
}

}  // namespace FASTNN_ISA
}  // namespace fastnn
