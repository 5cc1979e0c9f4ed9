// Ops that give or take bytes of 0 and 1: comparisons, isnan and its like, where. Plain loops: the compiler's own
// vectorisation of them is bound by memory already. Operands may be unaligned.
#include "kernels.h"

namespace fastnn {
namespace FASTNN_ISA {
namespace {

template <class T>
struct Any {
  typedef T type __attribute__((aligned(1), may_alias));
};

#define FASTNN_COMPARE(name, expression)                                                             \
  template <class T>                                                                                 \
  void name##_loop(int64_t n, void* out, const void* a, const void* b, const void*, const double*) { \
    const typename Any<T>::type *x = static_cast<const typename Any<T>::type*>(a),                   \
                                *y = static_cast<const typename Any<T>::type*>(b);                   \
    uint8_t* r = static_cast<uint8_t*>(out);                                                         \
    (void)y;                                                                                         \
    for (int64_t i = 0; i < n; ++i) r[i] = expression;                                               \
  }
FASTNN_COMPARE(eq, x[i] == y[i])
FASTNN_COMPARE(ne, x[i] != y[i])
FASTNN_COMPARE(lt, x[i] < y[i])
FASTNN_COMPARE(le, x[i] <= y[i])
FASTNN_COMPARE(gt, x[i] > y[i])
FASTNN_COMPARE(ge, x[i] >= y[i])
FASTNN_COMPARE(isnan, x[i] != x[i])
FASTNN_COMPARE(isinf, (x[i] < 0 ? -x[i] : x[i]) == T(__builtin_inf()))
FASTNN_COMPARE(isfinite, (x[i] < 0 ? -x[i] : x[i]) < T(__builtin_inf()))
#undef FASTNN_COMPARE

template <class T>
void where_loop(int64_t n, void* out, const void* c, const void* a, const void* b, const double*) {
  const uint8_t* m = static_cast<const uint8_t*>(c);
  const typename Any<T>::type *x = static_cast<const typename Any<T>::type*>(a),
                              *y = static_cast<const typename Any<T>::type*>(b);
  typename Any<T>::type* r = static_cast<typename Any<T>::type*>(out);
  for (int64_t i = 0; i < n; ++i) {
    const T u = x[i], v = y[i];
    r[i] = m[i] ? u : v;
  }
}

template <class T>
ElementwiseFn find(Elementwise op) {
  switch (op) {
#define FASTNN_CASE(name) \
  case Elementwise::name: \
    return &name##_loop<T>;
    FASTNN_COMPARE_OPS(FASTNN_CASE)
    FASTNN_TEST_OPS(FASTNN_CASE)
    FASTNN_CASE(where)
#undef FASTNN_CASE
    default:
      return nullptr;
  }
}
}  // namespace

ElementwiseFn elementwise_compare(Elementwise op, Dtype dtype) {
  return dtype == Dtype::F32 ? find<float>(op) : dtype == Dtype::F64 ? find<double>(op) : nullptr;
}

}  // namespace FASTNN_ISA
}  // namespace fastnn
