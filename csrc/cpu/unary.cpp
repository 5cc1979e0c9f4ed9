// Unary ops: arithmetic, vector mathematics, activations. NaN as torch has it: relu and clamp keep it, sign gives 0.
#include "cpu/elementwise_loops.h"

namespace fastnn {
namespace FASTNN_ISA {
namespace {

FASTNN_OP1(neg, return -x;)
FASTNN_OP1(abs, return abs(x);)
FASTNN_OP1(sign, return select(gt(x, zero), one, select(lt(x, zero), -one, zero));)
FASTNN_OP1(sqrt, return sqrt(x);)
FASTNN_OP1(rsqrt, return one / sqrt(x);)
FASTNN_OP1(reciprocal, return one / x;)
FASTNN_OP1(square, return x * x;)
FASTNN_OP1(cube, return x * x * x;)
FASTNN_OP1(floor, return vfloor(x);)
FASTNN_OP1(ceil, return vceil(x);)
FASTNN_OP1(round, return vround(x);)
FASTNN_OP1(trunc, return vtrunc(x);)
FASTNN_OP1(exp, return vexp(x);)
FASTNN_OP1(exp2, return vexp2(x);)
FASTNN_OP1(expm1, return vexpm1(x);)
FASTNN_OP1(log, return vlog(x);)
FASTNN_OP1(log1p, return vlog1p(x);)
FASTNN_OP1(log2, return vlog2(x);)
FASTNN_OP1(log10, return vlog10(x);)
FASTNN_OP1(tanh, return vtanh(x);)
FASTNN_OP1(sigmoid, return vsigmoid(x);)
FASTNN_OP1(erf, return verf(x);)
FASTNN_OP1(erfc, return verfc(x);)
FASTNN_OP1(relu, return max(zero, x);)
FASTNN_OP1(leaky_relu, return select(gt(x, zero), x, x* p0);)
FASTNN_OP1(elu, return select(gt(x, zero), x, p0* vexpm1(x));)
FASTNN_OP1(silu, return x * vsigmoid(x);)
FASTNN_OP1(gelu, V bell; return x * normal_cdf(x, bell);)
// 0.5 x (1 + tanh(k (x + c x^3))) = x sigmoid(2 k (x + c x^3))
FASTNN_OP1(gelu_tanh, const V k = vset<T>(1.5957691216057308);
           return x * vsigmoid(k * fma(vset<T>(0.044715) * x * x, x, x));)
FASTNN_OP1(softplus, const V z = x * p0; return select(gt(z, p1), x, vlog1p(vexp(z)) / p0);)  // p: beta, threshold
FASTNN_OP1(clamp, return min(p1, max(p0, x));)
FASTNN_OP1(hardsigmoid, const V six = vset<T>(6); return min(six, max(zero, x + vset<T>(3))) / six;)
FASTNN_OP1(hardswish, const V six = vset<T>(6); return x * min(six, max(zero, x + vset<T>(3))) / six;)
FASTNN_OP1(mish, return x * tanh_softplus(x);)
// ln(1 / (1 + e^-x)), with the exponent of the sign that does not overflow
FASTNN_OP1(logsigmoid, return min(x, zero) - vlog1p(vexp_nonpositive(-abs(x)));)
FASTNN_OP1(softshrink, return select(gt(x, p0), x - p0, select(ge(x, -p0), zero* x, x + p0));)
FASTNN_OP1(hardshrink, return select(ge(x, -p0) & le(x, p0), zero, x);)
FASTNN_OP1(threshold, return select(le(x, p0), p1, x);)  // p: threshold, value

template <class T>
ElementwiseFn find(Elementwise op) {
  switch (op) {
#define FASTNN_CASE(name) \
  case Elementwise::name: \
    return &unary_loop<T, name##_op>;
    FASTNN_UNARY_OPS(FASTNN_CASE)
#undef FASTNN_CASE
    default:
      return nullptr;
  }
}
}  // namespace

ElementwiseFn elementwise_unary(Elementwise op, Dtype dtype) {
  return dtype == Dtype::F32 ? find<float>(op) : dtype == Dtype::F64 ? find<double>(op) : nullptr;
}

}  // namespace FASTNN_ISA
}  // namespace fastnn
