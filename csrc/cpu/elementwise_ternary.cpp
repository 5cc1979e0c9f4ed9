// Ops of three floating operands.
#include "cpu/elementwise_loops.h"

namespace fastnn {
namespace FASTNN_ISA {
namespace {

// x + z (y - x), from the end that is nearer: exact at z = 0 and at z = 1.
FASTNN_OP3(lerp, const auto near_x = lt(abs(z), vset<T>(0.5));
           return fma(select(near_x, z, z - one), y - x, select(near_x, x, y));)
FASTNN_OP3(addcmul, return fma(p0 * y, z, x);)                    // x + value y z
FASTNN_OP3(addcdiv, return x + p0 * y / z;)                       // x + value y / z
FASTNN_OP3(prelu_backward, return select(gt(y, zero), x, x* z);)  // dy, input, weight

// The gradients of losses: dy, prediction, target.
FASTNN_OP3(squared_difference_backward, const V d = y - z; return (d + d) * x;)
FASTNN_OP3(absolute_difference_backward, const V d = y - z;
           return select(gt(d, zero), one, select(lt(d, zero), -one, zero)) * x;)
FASTNN_OP3(huber_backward, return min(p0, max(-p0, y - z)) / p1 * x;)
FASTNN_OP3(bce_backward, return (y - z) / max(vset<T>(1e-12), (one - y) * y) * x;)
FASTNN_OP3(bce_with_logits_backward, return (vsigmoid(y) - z) * x;)

template <class T>
ElementwiseFn find(Elementwise op) {
  switch (op) {
#define FASTNN_CASE(name) \
  case Elementwise::name: \
    return &ternary_loop<T, name##_op>;
    FASTNN_TERNARY_OPS(FASTNN_CASE)
#undef FASTNN_CASE
    default:
      return nullptr;
  }
}
}  // namespace

ElementwiseFn elementwise_ternary(Elementwise op, Dtype dtype) {
  return dtype == Dtype::F32 ? find<float>(op) : dtype == Dtype::F64 ? find<double>(op) : nullptr;
}

}  // namespace FASTNN_ISA
}  // namespace fastnn
