// Adaptive max pooling: windows that differ in size by at most one and may overlap. Limit: one comparison an element;
// planes are independent.
#include "cpu/vec.h"
#include "kernels.h"

namespace fastnn {
namespace FASTNN_ISA {
namespace {

FASTNN_INLINE int64_t first_of(int64_t i, int64_t n, int64_t out) { return i * n / out; }
FASTNN_INLINE int64_t end_of(int64_t i, int64_t n, int64_t out) { return ((i + 1) * n + out - 1) / out; }

template <class T>
void forward(const AdaptiveMaxArgs& a) {
  const T* x = static_cast<const T*>(a.x);
  T* y = static_cast<T*>(a.y);
  int64_t* index = a.index;
  for (int64_t plane = 0; plane < a.planes; ++plane, x += a.H * a.W) {
    for (int64_t p = 0; p < a.P; ++p) {
      const int64_t top = first_of(p, a.H, a.P), bottom = end_of(p, a.H, a.P);
      for (int64_t q = 0; q < a.Q; ++q) {
        const int64_t left = first_of(q, a.W, a.Q), right = end_of(q, a.W, a.Q);
        int64_t at = top * a.W + left;
        T best = x[at];
        for (int64_t h = top; h < bottom; ++h) {
          for (int64_t i = h * a.W + left; i < h * a.W + right; ++i) {
            const T v = x[i];
            if (!(v <= best) && (v > best || v != v)) {  // a NaN stays until the next one
              best = v;
              at = i;
            }
          }
        }
        *y++ = best;
        *index++ = at;
      }
    }
  }
}

template <class T>
void backward(const AdaptiveMaxArgs& a) {
  const T* dy = static_cast<const T*>(a.x);
  T* dx = static_cast<T*>(a.y);
  const int64_t* index = a.index;
  const int64_t out = a.P * a.Q;
  for (int64_t plane = 0; plane < a.planes; ++plane, dx += a.H * a.W, dy += out, index += out) {
    __builtin_memset(dx, 0, static_cast<size_t>(a.H * a.W) * sizeof(T));
    for (int64_t i = 0; i < out; ++i) dx[index[i]] += dy[i];
  }
}

}  // namespace

void adaptive_max_pool2d(const AdaptiveMaxArgs& a) { a.dtype == Dtype::F32 ? forward<float>(a) : forward<double>(a); }
void adaptive_max_pool2d_backward(const AdaptiveMaxArgs& a) {
  a.dtype == Dtype::F32 ? backward<float>(a) : backward<double>(a);
}

}  // namespace FASTNN_ISA
}  // namespace fastnn
