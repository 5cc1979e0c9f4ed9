// Windows added back into images, and padding by index. Limit: the memory's bandwidth; a plane is a task's own, and
// stays in its first or second cache while all that goes there is added, in a fixed order.
#include "cpu/rows.h"
#include "kernels.h"

namespace fastnn {
namespace FASTNN_ISA {
namespace {

FASTNN_INLINE int64_t at_least_zero(int64_t x) { return x < 0 ? 0 : x; }
// The first p with p * stride + shift >= low.
FASTNN_INLINE int64_t first_inside(int64_t low, int64_t shift, int64_t stride) {
  return low <= shift ? 0 : (low - shift + stride - 1) / stride;
}

template <class T>
void add_to(T* to, const T* from, int64_t n) {
  across<T>(n, [&](int64_t j, auto w) { put(to + j, get(to + j, w) + get(from + j, w), w); });
}

template <class T>
void col2im_of(const Col2imArgs& a) {
  const T* columns = static_cast<const T*>(a.columns);
  T* image = static_cast<T*>(a.images);
  for (int64_t plane = 0; plane < a.planes; ++plane, image += a.H * a.W) {
    __builtin_memset(image, 0, static_cast<size_t>(a.H * a.W) * sizeof(T));
    for (int64_t r = 0; r < a.R; ++r) {
      const int64_t down = r * a.dilation_h - a.pad_h;
      for (int64_t s = 0; s < a.S; ++s, columns += a.P * a.Q) {
        const int64_t across_ = s * a.dilation_w - a.pad_w;
        const int64_t q0 = first_inside(0, across_, a.stride_w);
        int64_t q1 = first_inside(a.W, across_, a.stride_w);
        if (q1 > a.Q) q1 = a.Q;
        for (int64_t p = 0; p < a.P; ++p) {
          const int64_t h = p * a.stride_h + down;
          if (h < 0 || h >= a.H || q0 >= q1) continue;
          const T* from = columns + p * a.Q + q0;
          T* to = image + h * a.W + q0 * a.stride_w + across_;
          if (a.stride_w == 1) {
            add_to(to, from, q1 - q0);
          } else {
            for (int64_t q = 0; q < q1 - q0; ++q) to[q * a.stride_w] += from[q];
          }
        }
      }
    }
  }
}

template <class T>
void pad_of(const IndexPadArgs& a) {
  const T* x = static_cast<const T*>(a.x);
  T* y = static_cast<T*>(a.y);
  for (int64_t plane = 0; plane < a.planes; ++plane, x += a.H * a.W) {
    for (int64_t p = 0; p < a.P; ++p, y += a.Q) {
      const T* row = x + a.row[p] * a.W;
      for (int64_t q = 0; q < a.begin; ++q) y[q] = row[a.col[q]];
      across<T>(a.end - a.begin, [&](int64_t j, auto w) { put(y + a.begin + j, get(row + a.first + j, w), w); });
      for (int64_t q = a.end; q < a.Q; ++q) y[q] = row[a.col[q]];
    }
  }
}

template <class T>
void pad_backward_of(const IndexPadArgs& a) {
  const T* dy = static_cast<const T*>(a.x);
  T* dx = static_cast<T*>(a.y);
  for (int64_t plane = 0; plane < a.planes; ++plane, dx += a.H * a.W) {
    __builtin_memset(dx, 0, static_cast<size_t>(a.H * a.W) * sizeof(T));
    for (int64_t p = 0; p < a.P; ++p, dy += a.Q) {
      T* row = dx + a.row[p] * a.W;
      add_to(row + a.first, dy + a.begin, at_least_zero(a.end - a.begin));
      for (int64_t q = 0; q < a.begin; ++q) row[a.col[q]] += dy[q];
      for (int64_t q = a.end; q < a.Q; ++q) row[a.col[q]] += dy[q];
    }
  }
}

}  // namespace

void col2im(const Col2imArgs& a) { a.dtype == Dtype::F32 ? col2im_of<float>(a) : col2im_of<double>(a); }
void index_pad2d(const IndexPadArgs& a) { a.dtype == Dtype::F32 ? pad_of<float>(a) : pad_of<double>(a); }
void index_pad2d_backward(const IndexPadArgs& a) {
  a.dtype == Dtype::F32 ? pad_backward_of<float>(a) : pad_backward_of<double>(a);
}

}  // namespace FASTNN_ISA
}  // namespace fastnn
