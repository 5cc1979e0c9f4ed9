// Binary ops: arithmetic, the gradients of activations (dy = x here, the saved tensor = y), and losses by element (of a
// prediction x and a target y; their gradients are in elementwise_ternary.cpp).
#include "cpu/elementwise_loops.h"

namespace fastnn {
namespace FASTNN_ISA {
namespace {

FASTNN_OP2(add, return x + y;)
FASTNN_OP2(sub, return x - y;)
FASTNN_OP2(mul, return x * y;)
FASTNN_OP2(div, return x / y;)
// The machine's max returns its second operand where either is NaN: y's NaN comes through, x's is put back.
FASTNN_OP2(maximum, return select(isnan(x), x, max(x, y));)
FASTNN_OP2(minimum, return select(isnan(x), x, min(x, y));)
FASTNN_OP2(axpy, return fma(p0, y, x);)  // x + alpha y

FASTNN_OP2(relu_backward, return select(le(y, zero), zero, x);)  // passes at NaN
FASTNN_OP2(leaky_relu_backward, return select(gt(y, zero), x, x* p0);)
FASTNN_OP2(elu_backward, return select(gt(y, zero), x, x*(p0* vexp(y)));)
FASTNN_OP2(tanh_backward, return x * (one - y * y);)
FASTNN_OP2(sigmoid_backward, return x * (one - y) * y;)
FASTNN_OP2(silu_backward, const V s = vsigmoid(y); return x * (s * fma(y, one - s, one));)
// Phi(y) + y phi(y)
FASTNN_OP2(gelu_backward, V bell; const V cdf = normal_cdf(y, bell);
           return x * fma(y * bell, vset<T>(0.3989422804014327), cdf);)
// y sigmoid(u): sigmoid(u) (1 + y (1 - sigmoid(u)) du/dy), u = 2 k (y + c y^3)
FASTNN_OP2(gelu_tanh_backward, const V k = vset<T>(1.5957691216057308); const V cyy = vset<T>(0.044715) * y * y;
           const V s = vsigmoid(k * fma(cyy, y, y)); const V slope = k * fma(cyy, vset<T>(3), one);
           return x * (s * fma(y * (one - s), slope, one));)
FASTNN_OP2(softplus_backward, const V z = y * p0; return select(gt(z, p1), x, x* vsigmoid(z));)
FASTNN_OP2(clamp_backward, return select(ge(y, p0) & le(y, p1), x, zero);)
FASTNN_OP2(hardtanh_backward, return select(le(y, p0) | ge(y, p1), zero, x);)
FASTNN_OP2(hardsigmoid_backward, const V three = vset<T>(3);
           return select(gt(y, -three) & lt(y, three), x* vset<T>(1.0 / 6.0), zero);)
FASTNN_OP2(hardswish_backward, const V three = vset<T>(3); const V middle = x * (y / three + vset<T>(0.5));
           return select(le(y, -three), zero, select(lt(y, three), middle, x));)
// t + y s (1 - t^2), t = tanh(softplus y), s = sigmoid y
FASTNN_OP2(mish_backward, const V t = tanh_softplus(y); return x * fma(y * vsigmoid(y), one - t * t, t);)
FASTNN_OP2(logsigmoid_backward, return x * vsigmoid(-y);)
FASTNN_OP2(shrink_backward, return select(ge(y, -p0) & le(y, p0), zero, x);)
FASTNN_OP2(threshold_backward, return select(le(y, p0), zero, x);)
// y: the weight, of the channel that the other operand's place has
FASTNN_OP2(prelu, return select(gt(x, zero), x, x* y);)
FASTNN_OP2(prelu_backward_weight, return select(gt(y, zero), zero, x* y);)

FASTNN_OP2(squared_difference, const V d = x - y; return d * d;)
FASTNN_OP2(absolute_difference, return abs(x - y);)
// c (d - c / 2) / p1, d = x - y and c = d kept within +-p0
FASTNN_OP2(huber, const V d = x - y; const V c = min(p0, max(-p0, d)); return (d - vset<T>(0.5) * c) * c / p1;)
// The logarithms kept above -100, NaN staying NaN: so a sum that is no NaN shows that x was within [0, 1].
FASTNN_OP2(bce, const V least = vset<T>(-100); const V yes = max(least, vlog(x)); const V no = max(least, vlog1p(-x));
           return (y - one) * no - y * yes;)
FASTNN_OP2(bce_with_logits, return max(zero, x) - x * y + vlog1p(vexp_nonpositive(-abs(x)));)

template <class T>
ElementwiseFn find(Elementwise op) {
  switch (op) {
#define FASTNN_CASE(name) \
  case Elementwise::name: \
    return &binary_loop<T, name##_op>;
    FASTNN_BINARY_OPS(FASTNN_CASE)
#undef FASTNN_CASE
    default:
      return nullptr;
  }
}
}  // namespace

ElementwiseFn elementwise_binary(Elementwise op, Dtype dtype) {
  return dtype == Dtype::F32 ? find<float>(op) : dtype == Dtype::F64 ? find<double>(op) : nullptr;
}

}  // namespace FASTNN_ISA
}  // namespace fastnn
