// The loops of elementwise kernels over contiguous operands. An op is a functor on Vec<T>; the tail goes through the
// same vector code with the missing lanes masked, so that an element's bits do not depend on where it stands.
#pragma once
#include "cpu/vecmath.h"
#include "kernels.h"

namespace fastnn {
namespace FASTNN_ISA {
namespace {

// Two vectors a turn: enough for out-of-order execution to overlap the polynomials' latency.
template <class T, template <class> class Op>
void unary_loop(int64_t n, void* out, const void* a, const void*, const void*, const double* p) {
  constexpr int L = Vec<T>::size;
  const Op<T> op{p};
  const T* x = static_cast<const T*>(a);
  T* y = static_cast<T*>(out);
  int64_t i = 0;
  for (; i + 2 * L <= n; i += 2 * L) {
    const Vec<T> u = Vec<T>::load(x + i), v = Vec<T>::load(x + i + L);
    op(u).store(y + i);
    op(v).store(y + i + L);
  }
  if (i + L <= n) {
    op(Vec<T>::load(x + i)).store(y + i);
    i += L;
  }
  const int rest = static_cast<int>(n - i);
  if (rest > 0) op(Vec<T>::load(x + i, rest)).store(y + i, rest);
}

template <class T, template <class> class Op>
void binary_loop(int64_t n, void* out, const void* a, const void* b, const void*, const double* p) {
  constexpr int L = Vec<T>::size;
  const Op<T> op{p};
  const T *x = static_cast<const T*>(a), *z = static_cast<const T*>(b);
  T* y = static_cast<T*>(out);
  int64_t i = 0;
  for (; i + 2 * L <= n; i += 2 * L) {
    const Vec<T> u = Vec<T>::load(x + i), v = Vec<T>::load(x + i + L);
    const Vec<T> s = Vec<T>::load(z + i), t = Vec<T>::load(z + i + L);
    op(u, s).store(y + i);
    op(v, t).store(y + i + L);
  }
  if (i + L <= n) {
    op(Vec<T>::load(x + i), Vec<T>::load(z + i)).store(y + i);
    i += L;
  }
  const int rest = static_cast<int>(n - i);
  if (rest > 0) op(Vec<T>::load(x + i, rest), Vec<T>::load(z + i, rest)).store(y + i, rest);
}

template <class T, template <class> class Op>
void ternary_loop(int64_t n, void* out, const void* a, const void* b, const void* c, const double* p) {
  constexpr int L = Vec<T>::size;
  const Op<T> op{p};
  const T *x = static_cast<const T*>(a), *y = static_cast<const T*>(b), *z = static_cast<const T*>(c);
  T* r = static_cast<T*>(out);
  int64_t i = 0;
  for (; i + L <= n; i += L) op(Vec<T>::load(x + i), Vec<T>::load(y + i), Vec<T>::load(z + i)).store(r + i);
  const int rest = static_cast<int>(n - i);
  if (rest > 0) op(Vec<T>::load(x + i, rest), Vec<T>::load(y + i, rest), Vec<T>::load(z + i, rest)).store(r + i, rest);
}

// An op's numbers, in T. The base of every functor.
template <class T>
struct Numbers {
  Vec<T> p0, p1;
  FASTNN_INLINE explicit Numbers(const double* p) : p0(static_cast<T>(p[0])), p1(static_cast<T>(p[1])) {}
};
#define FASTNN_OP1(name, expression)                            \
  template <class T>                                            \
  struct name##_op : Numbers<T> {                               \
    using V = Vec<T>;                                           \
    FASTNN_INLINE name##_op(const double* p) : Numbers<T>(p) {} \
    FASTNN_INLINE V operator()(V x) const {                     \
      [[maybe_unused]] const V p0 = this->p0, p1 = this->p1;    \
      [[maybe_unused]] const V zero = V::zero(), one = V(T(1)); \
      expression                                                \
    }                                                           \
  };
#define FASTNN_OP2(name, expression)                            \
  template <class T>                                            \
  struct name##_op : Numbers<T> {                               \
    using V = Vec<T>;                                           \
    FASTNN_INLINE name##_op(const double* p) : Numbers<T>(p) {} \
    FASTNN_INLINE V operator()(V x, V y) const {                \
      [[maybe_unused]] const V p0 = this->p0, p1 = this->p1;    \
      [[maybe_unused]] const V zero = V::zero(), one = V(T(1)); \
      expression                                                \
    }                                                           \
  };
#define FASTNN_OP3(name, expression)                            \
  template <class T>                                            \
  struct name##_op : Numbers<T> {                               \
    using V = Vec<T>;                                           \
    FASTNN_INLINE name##_op(const double* p) : Numbers<T>(p) {} \
    FASTNN_INLINE V operator()(V x, V y, V z) const {           \
      [[maybe_unused]] const V p0 = this->p0, p1 = this->p1;    \
      [[maybe_unused]] const V zero = V::zero(), one = V(T(1)); \
      expression                                                \
    }                                                           \
  };

}  // namespace
}  // namespace FASTNN_ISA
}  // namespace fastnn
