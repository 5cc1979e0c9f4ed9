// The ops on registers: V values at a time, the op's code decided once for all of them. Written for float and double;
// integers and bool (in int64) have their own.
#pragma once
#include "cuda/elementwise.h"
#include "cuda/storage.h"

namespace fastnn {
namespace cuda {

constexpr double kSqrtHalf = 0.70710678118654752, kInvSqrt2Pi = 0.3989422804014327;
constexpr double kTanhK = 0.79788456080286536, kTanhC = 0.044715;  // gelu_tanh: sqrt(2 / pi)

// 1 / (1 + exp(-x)) by exp(-|x|): no side loses its small results to an overflow.
template <class C>
__device__ inline C sigmoid(C x) {
  const C e = exp(-fabs(x));
  return (x >= 0 ? C(1) : x < 0 ? e : x) / (1 + e);
}
template <class C>
__device__ inline C normal_cdf(C x) {
  return C(0.5) * erfc(x * C(-kSqrtHalf));
}
template <class C>
__device__ inline C zero_to_six(C x) {  // NaN stays
  return x < 0 ? C(0) : x > 6 ? C(6) : x;
}
// tanh(ln(1 + e^x)) = n / (n + 2), n = e^x (e^x + 2); from 20 on it is 1.
template <class C>
__device__ inline C tanh_softplus(C x) {
  const C e = exp(x > 20 ? C(20) : x), n = e * (e + 2);
  return n / (n + 2);
}
template <class C>
__device__ inline C erf_inverse(C x) {
#ifdef FASTNN_EMU  // Winitzki's closed form, then Halley's steps on erf, or on erfc near 1
  const double v = x, a = std::fabs(v);
  if (!(a < 1)) return static_cast<C>(a == 1 ? v * INFINITY : NAN);
  const double l = std::log1p(-a * a), b = 2 / (M_PI * 0.147) + l / 2;
  double r = std::sqrt(std::sqrt(b * b - l / 0.147) - b);
  for (int i = 0; i < 3; ++i) {
    const double error = a < 0.5 ? std::erf(r) - a : (1 - a) - std::erfc(r);
    const double step = error / (2 / std::sqrt(M_PI) * std::exp(-r * r));
    r -= step / (1 + r * step);
  }
  return static_cast<C>(std::copysign(r, v));
#else
  return erfinv(x);
#endif
}
// Python's and NumPy's: the remainder has the divisor's sign, the quotient is rounded down.
template <class C>
__device__ inline C floor_remainder(C x, C y) {
  const C m = fmod(x, y);
  if (m == 0) return copysign(C(0), y);
  return (y < 0) != (m < 0) ? m + y : m;
}
template <class C>
__device__ inline C floor_quotient(C x, C y) {
  if (y == 0) return x / y;
  const C m = fmod(x, y);
  C q = (x - m) / y;
  if (m != 0 && (y < 0) != (m < 0)) q -= 1;
  if (q == 0) return copysign(C(0), x / y);
  const C f = floor(q);
  return q - f > C(0.5) ? f + 1 : f;
}
template <class C>
__device__ inline C larger(C x, C y) {  // a NaN wins
  return x > y || x != x ? x : y;
}
template <class C>
__device__ inline C smaller(C x, C y) {
  return x < y || x != x ? x : y;
}

template <class C>
__device__ inline C within(C x, C bound) {  // NaN stays NaN, as below
  return x < -bound ? -bound : x > bound ? bound : x;
}
template <class C>
__device__ inline C at_least(C x, C bound) {
  return x < bound ? bound : x;
}

#define FASTNN_EACH(name, expression)               \
  case Op::name:                                    \
    _Pragma("unroll") for (int i = 0; i < V; ++i) { \
      const C x = a[i];                             \
      r[i] = (expression);                          \
    }                                               \
    break;

template <class C, int V>
__device__ inline void unary(Op op, const C (&a)[V], C p0, C p1, C (&r)[V]) {
  switch (op) {
    FASTNN_EACH(neg, -x)
    FASTNN_EACH(abs, fabs(x))
    FASTNN_EACH(sign, C((x > 0) - (x < 0)))
    FASTNN_EACH(sqrt, sqrt(x))
    FASTNN_EACH(rsqrt, C(1) / sqrt(x))
    FASTNN_EACH(reciprocal, C(1) / x)
    FASTNN_EACH(square, x * x)
    FASTNN_EACH(cube, x * x * x)
    FASTNN_EACH(floor, floor(x))
    FASTNN_EACH(ceil, ceil(x))
    FASTNN_EACH(round, rint(x))
    FASTNN_EACH(trunc, trunc(x))
    FASTNN_EACH(exp, exp(x))
    FASTNN_EACH(exp2, exp2(x))
    FASTNN_EACH(expm1, expm1(x))
    FASTNN_EACH(log, log(x))
    FASTNN_EACH(log1p, log1p(x))
    FASTNN_EACH(log2, log2(x))
    FASTNN_EACH(log10, log10(x))
    FASTNN_EACH(tanh, tanh(x))
    FASTNN_EACH(sigmoid, sigmoid(x))
    FASTNN_EACH(erf, erf(x))
    FASTNN_EACH(erfc, erfc(x))
    FASTNN_EACH(relu, x <= 0 ? C(0) : x)
    FASTNN_EACH(leaky_relu, x > 0 ? x : x * p0)
    FASTNN_EACH(elu, x > 0 ? x : expm1(x) * p0)
    FASTNN_EACH(silu, x * sigmoid(x))
    FASTNN_EACH(gelu, x * normal_cdf(x))
    FASTNN_EACH(gelu_tanh, x * sigmoid(C(2 * kTanhK) * (x + C(kTanhC) * x * x * x)))
    FASTNN_EACH(softplus, x * p0 > p1 ? x : log1p(exp(x * p0)) / p0)
    FASTNN_EACH(clamp, (x < p0 ? p0 : x) > p1 ? p1 : (x < p0 ? p0 : x))
    FASTNN_EACH(hardsigmoid, zero_to_six(x + 3) / 6)
    FASTNN_EACH(hardswish, x * zero_to_six(x + 3) / 6)
    FASTNN_EACH(mish, x * tanh_softplus(x))
    FASTNN_EACH(logsigmoid, (x < 0 ? x : C(0)) - log1p(exp(-fabs(x))))
    FASTNN_EACH(softshrink, x > p0 ? x - p0 : x >= -p0 ? C(0) : x + p0)
    FASTNN_EACH(hardshrink, x >= -p0 && x <= p0 ? C(0) : x)
    FASTNN_EACH(threshold, x <= p0 ? p1 : x)
    default:
      break;
  }
}
// Those that are called seldom, and whose reduction of large arguments needs a stack.
template <class C, int V>
__device__ inline void unary_rare(Op op, const C (&a)[V], C (&r)[V]) {
  switch (op) {
    FASTNN_EACH(erfinv, erf_inverse(x))
    FASTNN_EACH(sinh, sinh(x))
    FASTNN_EACH(cosh, cosh(x))
    FASTNN_EACH(asinh, asinh(x))
    FASTNN_EACH(acosh, acosh(x))
    FASTNN_EACH(atanh, atanh(x))
    FASTNN_EACH(asin, asin(x))
    FASTNN_EACH(acos, acos(x))
    FASTNN_EACH(atan, atan(x))
    FASTNN_EACH(sin, sin(x))
    FASTNN_EACH(cos, cos(x))
    FASTNN_EACH(tan, tan(x))
    default:
      break;
  }
}
template <int V>
__device__ inline void unary_integer(Op op, const int64_t (&a)[V], int64_t (&r)[V]) {
  using C = int64_t;
  switch (op) {
    FASTNN_EACH(neg, static_cast<C>(0 - static_cast<uint64_t>(x)))
    FASTNN_EACH(abs, x < 0 ? static_cast<C>(0 - static_cast<uint64_t>(x)) : x)
    FASTNN_EACH(sign, C((x > 0) - (x < 0)))
    FASTNN_EACH(square, static_cast<C>(static_cast<uint64_t>(x) * static_cast<uint64_t>(x)))
    FASTNN_EACH(relu, x < 0 ? C(0) : x)
    FASTNN_EACH(bitwise_not, ~x)
    default:
      break;
  }
}
template <class C, int V>
__device__ inline void test(Op op, const C (&a)[V], uint8_t (&r)[V]) {
  constexpr bool kInteger = C(0.5) == 0;
  switch (op) {
    FASTNN_EACH(isnan, x != x)
    FASTNN_EACH(isinf, !kInteger && fabs(static_cast<double>(x)) == static_cast<double>(INFINITY))
    FASTNN_EACH(isfinite, kInteger || fabs(static_cast<double>(x)) < static_cast<double>(INFINITY))
    FASTNN_EACH(logical_not, x == 0)
    default:
      break;
  }
}
#undef FASTNN_EACH

#define FASTNN_EACH(name, expression)               \
  case Op::name:                                    \
    _Pragma("unroll") for (int i = 0; i < V; ++i) { \
      const C x = a[i], y = b[i];                   \
      r[i] = (expression);                          \
    }                                               \
    break;

// Gradients: x is dy, y what forward saved.
template <class C, int V>
__device__ inline void binary(Op op, const C (&a)[V], const C (&b)[V], C p0, C p1, C (&r)[V]) {
  switch (op) {
    FASTNN_EACH(add, x + y)
    FASTNN_EACH(sub, x - y)
    FASTNN_EACH(mul, x * y)
    FASTNN_EACH(div, x / y)
    FASTNN_EACH(maximum, larger(x, y))
    FASTNN_EACH(minimum, smaller(x, y))
    FASTNN_EACH(axpy, fma(p0, y, x))
    FASTNN_EACH(relu_backward, y <= 0 ? C(0) : x)
    FASTNN_EACH(leaky_relu_backward, y > 0 ? x : x * p0)
    FASTNN_EACH(elu_backward, y > 0 ? x : x * (p0 * exp(y)))
    FASTNN_EACH(tanh_backward, x * (1 - y * y))
    FASTNN_EACH(sigmoid_backward, x * (1 - y) * y)
    FASTNN_EACH(softplus_backward, y * p0 > p1 ? x : x * sigmoid(y * p0))
    FASTNN_EACH(clamp_backward, y >= p0 && y <= p1 ? x : C(0))
    FASTNN_EACH(hardtanh_backward, y <= p0 || y >= p1 ? C(0) : x)
    FASTNN_EACH(hardsigmoid_backward, y > -3 && y < 3 ? x * C(1.0 / 6.0) : C(0))
    FASTNN_EACH(hardswish_backward, y <= -3 ? C(0) : y < 3 ? x * (y / 3 + C(0.5)) : x)
    FASTNN_EACH(mish_backward, x * (tanh_softplus(y) + y * sigmoid(y) * (1 - tanh_softplus(y) * tanh_softplus(y))))
    FASTNN_EACH(logsigmoid_backward, x * sigmoid(-y))
    FASTNN_EACH(shrink_backward, y >= -p0 && y <= p0 ? C(0) : x)
    FASTNN_EACH(threshold_backward, y <= p0 ? C(0) : x)
    FASTNN_EACH(prelu, x > 0 ? x : x * y)
    FASTNN_EACH(prelu_backward_weight, y > 0 ? C(0) : x * y)
    FASTNN_EACH(squared_difference, (x - y) * (x - y))
    FASTNN_EACH(absolute_difference, fabs(x - y))
    FASTNN_EACH(huber, (x - y - C(0.5) * within(x - y, p0)) * within(x - y, p0) / p1)
    FASTNN_EACH(bce, (y - 1) * at_least(log1p(-x), C(-100)) - y * at_least(log(x), C(-100)))
    FASTNN_EACH(bce_with_logits, (x < 0 ? C(0) : x) - x * y + log1p(exp(-fabs(x))))
    FASTNN_EACH(gelu_backward, x * (normal_cdf(y) + y * C(kInvSqrt2Pi) * exp(C(-0.5) * y * y)))
    case Op::silu_backward:
#pragma unroll
      for (int i = 0; i < V; ++i) {
        const C y = b[i], s = sigmoid(y);
        r[i] = a[i] * (s * (1 + y * (1 - s)));
      }
      break;
    case Op::gelu_tanh_backward:  // y sigmoid(u): sigmoid(u) (1 + y (1 - sigmoid(u)) du/dy)
#pragma unroll
      for (int i = 0; i < V; ++i) {
        const C y = b[i], k = C(2 * kTanhK), cyy = C(kTanhC) * y * y, u = k * (cyy * y + y);
        r[i] = a[i] * (sigmoid(u) * (1 + y * sigmoid(-u) * (k * (3 * cyy + 1))));  // 1 - sigmoid(u) loses digits
      }
      break;
    default:
      break;
  }
}
template <class C, int V>
__device__ inline void binary_rare(Op op, const C (&a)[V], const C (&b)[V], C (&r)[V]) {
  switch (op) {
    FASTNN_EACH(atan2, atan2(x, y))
    FASTNN_EACH(pow, pow(x, y))
    FASTNN_EACH(fmod, fmod(x, y))
    FASTNN_EACH(remainder, floor_remainder(x, y))
    FASTNN_EACH(floor_divide, floor_quotient(x, y))
    FASTNN_EACH(div_trunc, trunc(x / y))
    default:
      break;
  }
}

// Integers wrap around; x / 0 is 0, and the smallest one divided by -1 itself.
__device__ inline int64_t quotient(int64_t x, int64_t y) {
  return y == 0 ? 0 : y == -1 ? static_cast<int64_t>(0 - static_cast<uint64_t>(x)) : x / y;
}
__device__ inline int64_t rest(int64_t x, int64_t y) { return y == 0 || y == -1 ? 0 : x % y; }
__device__ inline int64_t power(int64_t x, int64_t y) {
  if (y < 0) return x == 1 ? 1 : x == -1 ? 1 - 2 * (y & 1) : 0;
  uint64_t r = 1, base = static_cast<uint64_t>(x);
  for (uint64_t e = static_cast<uint64_t>(y); e; e >>= 1) {
    if (e & 1) r *= base;
    base *= base;
  }
  return static_cast<int64_t>(r);
}
template <int V>
__device__ inline void binary_integer(Op op, const int64_t (&a)[V], const int64_t (&b)[V], int64_t p0,
                                      int64_t (&r)[V]) {
  using C = int64_t;
  using U = uint64_t;
  switch (op) {
    FASTNN_EACH(add, static_cast<C>(static_cast<U>(x) + static_cast<U>(y)))
    FASTNN_EACH(sub, static_cast<C>(static_cast<U>(x) - static_cast<U>(y)))
    FASTNN_EACH(mul, static_cast<C>(static_cast<U>(x) * static_cast<U>(y)))
    FASTNN_EACH(axpy, static_cast<C>(static_cast<U>(x) + static_cast<U>(p0) * static_cast<U>(y)))
    FASTNN_EACH(maximum, x > y ? x : y)
    FASTNN_EACH(minimum, x < y ? x : y)
    FASTNN_EACH(pow, power(x, y))
    FASTNN_EACH(fmod, rest(x, y))
    FASTNN_EACH(remainder, rest(x, y) + (rest(x, y) != 0 && (rest(x, y) < 0) != (y < 0) ? y : 0))
    FASTNN_EACH(floor_divide, quotient(x, y) - (rest(x, y) != 0 && (rest(x, y) < 0) != (y < 0)))
    FASTNN_EACH(div_trunc, quotient(x, y))
    FASTNN_EACH(bitwise_and, x & y)
    FASTNN_EACH(bitwise_or, x | y)
    FASTNN_EACH(bitwise_xor, x ^ y)
    FASTNN_EACH(left_shift, y < 0 || y > 63 ? C(0) : static_cast<C>(static_cast<U>(x) << y))
    FASTNN_EACH(right_shift, x >> (y < 0 || y > 63 ? 63 : y))
    default:
      break;
  }
}
template <class C, int V>
__device__ inline void compare(Op op, const C (&a)[V], const C (&b)[V], uint8_t (&r)[V]) {
  switch (op) {
    FASTNN_EACH(eq, x == y)
    FASTNN_EACH(ne, x != y)
    FASTNN_EACH(lt, x < y)
    FASTNN_EACH(le, x <= y)
    FASTNN_EACH(gt, x > y)
    FASTNN_EACH(ge, x >= y)
    FASTNN_EACH(logical_and, x != 0 && y != 0)
    FASTNN_EACH(logical_or, x != 0 || y != 0)
    FASTNN_EACH(logical_xor, (x != 0) != (y != 0))
    default:
      break;
  }
}
#undef FASTNN_EACH

}  // namespace cuda
}  // namespace fastnn
