// Elementwise ops, copies and casts against float64: every op and dtype, ragged sizes, broadcasting, strides.
#include "cuda/elementwise.cu"
#include "cuda/elementwise_rare.cu"
#include "strided_case.h"

using namespace fastnn::cuda;
using fastnn::Dtype;

namespace {

const double kNan = NAN, kInfinity = INFINITY;

const char* name_of(Op op) {
  static const char* const names[] = {
#define FASTNN_NAME(name) #name,
      FASTNN_CUDA_ELEMENTWISE_OPS(FASTNN_NAME)
#undef FASTNN_NAME
  };
  return names[static_cast<int>(op)];
}
constexpr int kOps = static_cast<int>(Op::where) + 1;

double cdf(double x) { return 0.5 * std::erfc(-x / std::sqrt(2.0)); }
double sigm(double x) { return 1 / (1 + std::exp(-x)); }

// The definitions, in float64. p: 0.3, 1.7 below.
double reference(Op op, double x, double y, double p0, double p1) {
  const double k = std::sqrt(2 / M_PI), u = k * (x + 0.044715 * x * x * x);
  const double v = k * (y + 0.044715 * y * y * y);
  switch (op) {
    case Op::neg:
      return -x;
    case Op::abs:
      return std::fabs(x);
    case Op::sign:
      return x > 0 ? 1 : x < 0 ? -1 : 0;
    case Op::sqrt:
      return std::sqrt(x);
    case Op::rsqrt:
      return 1 / std::sqrt(x);
    case Op::reciprocal:
      return 1 / x;
    case Op::square:
      return x * x;
    case Op::cube:
      return x * x * x;
    case Op::floor:
      return std::floor(x);
    case Op::ceil:
      return std::ceil(x);
    case Op::round:
      return std::nearbyint(x);
    case Op::trunc:
      return std::trunc(x);
    case Op::exp:
      return std::exp(x);
    case Op::exp2:
      return std::exp2(x);
    case Op::expm1:
      return std::expm1(x);
    case Op::log:
      return std::log(x);
    case Op::log1p:
      return std::log1p(x);
    case Op::log2:
      return std::log2(x);
    case Op::log10:
      return std::log10(x);
    case Op::tanh:
      return std::tanh(x);
    case Op::sigmoid:
      return sigm(x);
    case Op::erf:
      return std::erf(x);
    case Op::relu:
      return x <= 0 ? 0 : x;
    case Op::leaky_relu:
      return x > 0 ? x : p0 * x;
    case Op::elu:
      return x > 0 ? x : p0 * std::expm1(x);
    case Op::silu:
      return x * sigm(x);
    case Op::gelu:
      return x * cdf(x);
    case Op::gelu_tanh:
      return x * sigm(2 * u);
    case Op::softplus:
      return x * p0 > p1 ? x : std::log1p(std::exp(x * p0)) / p0;
    case Op::clamp:
      return std::isnan(x) ? x : std::fmin(std::fmax(x, p0), p1);
    case Op::hardsigmoid:
      return std::isnan(x) ? x : std::fmin(std::fmax(x + 3, 0), 6) / 6;
    case Op::hardswish:
      return std::isnan(x) ? x : x * std::fmin(std::fmax(x + 3, 0), 6) / 6;
    case Op::mish:
      return x * std::tanh(std::log1p(std::exp(x)));
    case Op::logsigmoid:
      return std::isnan(x) ? x : std::fmin(x, 0) - std::log1p(std::exp(-std::fabs(x)));
    case Op::softshrink:
      return std::isnan(x) ? x : std::fabs(x) <= p0 ? 0 : x - std::copysign(p0, x);
    case Op::hardshrink:
      return std::fabs(x) <= p0 ? 0 : x;
    case Op::threshold:
      return x <= p0 ? p1 : x;
    case Op::erfc:
      return std::erfc(x);
    case Op::sinh:
      return std::sinh(x);
    case Op::cosh:
      return std::cosh(x);
    case Op::asinh:
      return std::asinh(x);
    case Op::acosh:
      return std::acosh(x);
    case Op::atanh:
      return std::atanh(x);
    case Op::asin:
      return std::asin(x);
    case Op::acos:
      return std::acos(x);
    case Op::atan:
      return std::atan(x);
    case Op::sin:
      return std::sin(x);
    case Op::cos:
      return std::cos(x);
    case Op::tan:
      return std::tan(x);
    case Op::isnan:
      return std::isnan(x);
    case Op::isinf:
      return std::isinf(x);
    case Op::isfinite:
      return std::isfinite(x);
    case Op::logical_not:
      return x == 0;
    case Op::bitwise_not:
      return static_cast<double>(~static_cast<int64_t>(x));
    case Op::add:
      return x + y;
    case Op::sub:
      return x - y;
    case Op::mul:
      return x * y;
    case Op::div:
      return x / y;
    case Op::maximum:
      return std::isnan(x) || std::isnan(y) ? kNan : std::fmax(x, y);
    case Op::minimum:
      return std::isnan(x) || std::isnan(y) ? kNan : std::fmin(x, y);
    case Op::axpy:
      return x + p0 * y;
    case Op::relu_backward:
      return y <= 0 ? 0 : x;
    case Op::leaky_relu_backward:
      return y > 0 ? x : x * p0;
    case Op::elu_backward:
      return y > 0 ? x : x * p0 * std::exp(y);
    case Op::silu_backward:
      return x * sigm(y) * (1 + y * (1 - sigm(y)));
    case Op::gelu_backward:
      return x * (cdf(y) + y * std::exp(-0.5 * y * y) / std::sqrt(2 * M_PI));
    case Op::gelu_tanh_backward:
      return x * sigm(2 * v) * (1 + y * sigm(-2 * v) * 2 * k * (1 + 3 * 0.044715 * y * y));
    case Op::tanh_backward:
      return x * (1 - y * y);
    case Op::sigmoid_backward:
      return x * (1 - y) * y;
    case Op::softplus_backward:
      return y * p0 > p1 ? x : x * sigm(y * p0);
    case Op::clamp_backward:
      return y >= p0 && y <= p1 ? x : 0;
    case Op::hardtanh_backward:
      return y <= p0 || y >= p1 ? 0 : x;
    case Op::hardsigmoid_backward:
      return std::fabs(y) < 3 ? x / 6 : 0;
    case Op::hardswish_backward:
      return y <= -3 ? 0 : y < 3 ? x * (2 * y + 3) / 6 : x;
    case Op::mish_backward: {
      const double t = std::tanh(std::log1p(std::exp(y)));
      return x * (t + y * sigm(y) * (1 - t * t));
    }
    case Op::logsigmoid_backward:
      return x * sigm(-y);
    case Op::shrink_backward:
      return std::fabs(y) <= p0 ? 0 : x;
    case Op::threshold_backward:
      return y <= p0 ? 0 : x;
    case Op::prelu:
      return x > 0 ? x : x * y;
    case Op::prelu_backward_weight:
      return y > 0 ? 0 : x * y;
    case Op::squared_difference:
      return (x - y) * (x - y);
    case Op::absolute_difference:
      return std::fabs(x - y);
    case Op::huber: {
      const double d = std::fabs(x - y);
      return (d > p0 ? p0 * (d - p0 / 2) : d * d / 2) / p1;
    }
    case Op::bce: {
      const double yes = std::log(x), no = std::log1p(-x);
      return -(y * (yes < -100 ? -100 : yes) + (1 - y) * (no < -100 ? -100 : no));
    }
    case Op::bce_with_logits:
      return (x < 0 ? 0 : x) - x * y + std::log1p(std::exp(-std::fabs(x)));
    case Op::atan2:
      return std::atan2(x, y);
    case Op::pow:
      return std::pow(x, y);
    case Op::fmod:
      return std::fmod(x, y);
    case Op::remainder:
      return y == 0 ? kNan : x - y * std::floor(x / y);
    case Op::floor_divide:
      return std::floor(x / y);
    case Op::div_trunc:
      return std::trunc(x / y);
    case Op::eq:
      return x == y;
    case Op::ne:
      return x != y;
    case Op::lt:
      return x < y;
    case Op::le:
      return x <= y;
    case Op::gt:
      return x > y;
    case Op::ge:
      return x >= y;
    case Op::logical_and:
      return x != 0 && y != 0;
    case Op::logical_or:
      return x != 0 || y != 0;
    case Op::logical_xor:
      return (x != 0) != (y != 0);
    default:
      return kNan;
  }
}
int64_t reference_integer(Op op, Dtype d, int64_t x, int64_t y) {
  const double q = y ? std::floor(static_cast<double>(x) / static_cast<double>(y)) : 0;
  const int64_t down = static_cast<int64_t>(q);
  switch (op) {
    case Op::relu:
      return x < 0 ? 0 : x;
    case Op::bitwise_not:
      return d == Dtype::Bool ? !x : ~x;
    case Op::axpy:
      return x + 3 * y;
    case Op::fmod:
      return y ? x - y * (x / y) : 0;
    case Op::remainder:
      return y ? x - y * down : 0;
    case Op::floor_divide:
      return down;
    case Op::div_trunc:
      return y ? x / y : 0;
    case Op::bitwise_and:
      return x & y;
    case Op::bitwise_or:
      return x | y;
    case Op::bitwise_xor:
      return x ^ y;
    case Op::left_shift:
      return y < 0 || y > 63 ? 0 : static_cast<int64_t>(static_cast<uint64_t>(x) << y);
    case Op::right_shift:
      return y < 0 || y > 63 ? (x < 0 ? -1 : 0) : x >> y;
    case Op::pow: {
      if (y < 0) return x == 1 ? 1 : x == -1 ? (y % 2 ? -1 : 1) : 0;
      int64_t r = 1;
      for (int64_t i = 0; i < y; ++i) r = static_cast<int64_t>(static_cast<uint64_t>(r) * static_cast<uint64_t>(x));
      return r;
    }
    default:
      return static_cast<int64_t>(reference(op, static_cast<double>(x), static_cast<double>(y), 0, 0));
  }
}
bool gives_bytes(Op op) {
  return (op >= Op::isnan && op <= Op::logical_not) || (op >= Op::eq && op <= Op::logical_xor);
}

// One call over a shape; strides of out, a, b in elements (null: one number). The arrays reach from low to high.
struct Case {
  Shape shape;
  Shape out, a, b;
  int shift = 0;  // elements off alignment
};
void check_case(Op op, Dtype d, const Case& c, double scale) {
  Array out(gives_bytes(op) ? Dtype::Bool : d, reach(c.shape, c.out), c.shift);
  Array x(d, c.a.empty() && !c.shape.empty() ? 1 : reach(c.shape, c.a), c.shift),
      y(d, c.b.empty() && !c.shape.empty() ? 1 : reach(c.shape, c.b), c.shift);
  x.fill(scale), y.fill(scale);
  if (is_floating(d) && x.n > 12 && y.n > 12) {
    const double special[] = {0, -0.0, kNan, kInfinity, -kInfinity, 0.5};
    for (int i = 0; i < 6; ++i) {
      x.set(i, special[i]);
      y.set(11 - i, special[i]);
      y.set(i, special[(i + 1) % 6]);
    }
  }
  ElementwiseArgs e = {};
  e.op = op;
  e.dtype = d;
  e.ndim = static_cast<int>(c.shape.size());
  e.p[0] = is_floating(d) ? 0.3 : 3;
  e.p[1] = 1.7;
  for (size_t i = 0; i < c.shape.size(); ++i) {
    e.shape[i] = c.shape[i];
    e.out_stride[i] = c.out[i];
    e.a.stride[i] = c.a.empty() ? 0 : c.a[i];
    e.b.stride[i] = c.b.empty() ? 0 : c.b[i];
  }
  e.out = out.data();
  const bool number_a = c.a.empty() && !c.shape.empty(), number_b = c.b.empty() && !c.shape.empty();
  e.a.p = number_a ? nullptr : x.data();
  e.b.p = number_b ? nullptr : y.data();
  if (number_a) e.a.number = x[0], e.a.integer = static_cast<int64_t>(x[0]);
  if (number_b) e.b.number = y[0], e.b.integer = static_cast<int64_t>(y[0]);
  const std::vector<char> before(out.p, out.p + out.n * size_of(out.dtype));
  elementwise(e, nullptr);
  std::vector<bool> written(static_cast<size_t>(out.n));
  each_index(c.shape, [&](const Shape& i) {
    const int64_t at = place(i, c.out.data());
    written[static_cast<size_t>(at)] = true;
    const double u = x[number_a ? 0 : place(i, c.a.data())], v = y[number_b ? 0 : place(i, c.b.data())], got = out[at];
    double want, allowed = 0;
    if (is_floating(d) || gives_bytes(op)) {
      want = reference(op, u, v, e.p[0], e.p[1]);
      if (!gives_bytes(op)) {
        // Of the operands' rounding and of cancellation: the ops are of order 1 where the operands are.
        allowed = tolerance(d, want, 8, std::fmin(1, std::fabs(u) + std::fabs(v)));
        const Dtype compute = compute_dtype(d);
        if (op == Op::pow || op == Op::gelu_backward || op == Op::sinh || op == Op::cosh || op == Op::exp ||
            op == Op::exp2)
          allowed = std::fmax(allowed, tolerance(compute, want, 32) + tolerance(d, want, 1));
        if (op == Op::fmod || op == Op::remainder || op == Op::floor_divide || op == Op::div_trunc) {
          // At the edge of a multiple, rounding decides: compare in the compute type.
          const float fu = static_cast<float>(u), fv = static_cast<float>(v);
          if (d != Dtype::F64) {
            if (op == Op::div_trunc) want = std::trunc(fu / fv);
            if (op == Op::fmod) want = std::fmod(fu, fv);
            if (op == Op::remainder) allowed = tolerance(d, std::fabs(fv), 2);
          }
        }
        if (std::isinf(want) || std::fabs(want) > (d == Dtype::F16 ? 65504 : 3.3e38)) {
          if (d == Dtype::F16 && std::fabs(want) < 66000) return;  // near the edge
          want = std::copysign(kInfinity, want);
        }
        if (op == Op::floor_divide || op == Op::remainder) {
          if (std::isnan(want) || std::isinf(u) || std::isinf(v))
            return;  // NumPy's corner cases: tests/test_kernels.py
        }
        if (d == Dtype::F16 && std::fabs(want) < 6e-5) allowed = 6e-8;
      }
    } else {
      want =
          static_cast<double>(wrapped(d, reference_integer(op, d, static_cast<int64_t>(u), static_cast<int64_t>(v))));
    }
    if (std::isnan(want) ? !std::isnan(got) : !(got == want || std::fabs(got - want) <= allowed)) {
      char text[300];
      std::snprintf(text, sizeof text, "%s, dtype %d: f(%.9g, %.9g) is %.9g, not %.9g (allowed %.2g)", name_of(op),
                    static_cast<int>(d), u, v, got, want, allowed);
      fail_at(__FILE__, __LINE__, text);
    }
  });
  for (int64_t i = 0; i < out.n; ++i)
    if (!written[static_cast<size_t>(i)])
      CHECK(!std::memcmp(out.p + i * size_of(out.dtype), &before[static_cast<size_t>(i * size_of(out.dtype))],
                         static_cast<size_t>(size_of(out.dtype))));
}
bool bounded(Op op) {  // domain or growth: stay near 1
  return op == Op::pow || op == Op::sinh || op == Op::cosh || op == Op::exp || op == Op::exp2 || op == Op::tan;
}
Case flat(int64_t n, int shift = 0) { return {{n}, {1}, {1}, {1}, shift}; }

}  // namespace

TEST(every_op_and_dtype) {
  for (int k = 0; k < kOps; ++k) {
    const Op op = static_cast<Op>(k);
    if (op == Op::where || op == Op::erfinv) continue;
    for (Dtype d : kFloats)
      if (elementwise_takes(op, d)) check_case(op, d, flat(37), bounded(op) ? 1 : 3);
    for (Dtype d : kIntegers)
      if (elementwise_takes(op, d)) check_case(op, d, flat(45), 1);
  }
}

TEST(erf_inverse) {
  for (Dtype d : kFloats) {
    Array x(d, 21), y(d, 21);
    for (int i = 0; i < 21; ++i) x.set(i, (i - 10) / 10.0);
    x.set(3, 1.5);
    x.set(4, 0.99);
    ElementwiseArgs e = {};
    e.op = Op::erfinv;
    e.dtype = d;
    e.ndim = 1;
    e.shape[0] = 21;
    e.a.p = x.data();
    e.a.stride[0] = e.out_stride[0] = 1;
    e.out = y.data();
    elementwise(e, nullptr);
    for (int i = 0; i < 21; ++i) {
      if (i == 3) {
        CHECK(std::isnan(y[i]));
      } else if (std::fabs(x[i]) == 1) {
        CHECK(std::isinf(y[i]) && (y[i] < 0) == (x[i] < 0));
      } else {
        const double slope = 2 / std::sqrt(M_PI) * std::exp(-y[i] * y[i]);
        NEAR(std::erf(y[i]), x[i], epsilon(d) * 4 * (std::fabs(y[i]) * slope + 0.1));
      }
    }
  }
}

TEST(shapes_and_strides) {
  const Op ops[] = {Op::add, Op::gelu_backward, Op::lt, Op::exp, Op::isnan};
  const Case cases[] = {
      flat(1),
      flat(3),
      flat(4),
      flat(255),
      flat(1027),
      flat(1027, 1),
      flat(0),
      {{}, {}, {}, {}},                                            // 0-d
      {{13, 7}, {7, 1}, {7, 1}, {0, 1}},                           // a row for all rows
      {{13, 8}, {8, 1}, {8, 1}, {0, 1}},                           // the same, in packs
      {{13, 8}, {8, 1}, {1, 0}, {0, 1}},                           // outer
      {{5, 9}, {9, 1}, {1, 5}, {9, 1}},                            // a transposed operand
      {{5, 16}, {1, 5}, {1, 5}, {1, 5}},                           // all of them transposed: flat
      {{6, 10}, {40, 3}, {20, 2}, {10, 1}},                        // strided everywhere
      {{2, 3, 4, 5}, {60, 20, 5, 1}, {0, 5, 0, 1}, {4, 0, 1, 0}},  // 4-d broadcasting
      {{2, 1, 3, 1, 2, 2, 2, 2, 2},
       {96, 96, 32, 32, 16, 8, 4, 2, 1},
       {0, 0, 1, 0, 3, 0, 6, 0, 12},
       {1, 0, 2, 0, 6, 12, 24, 48, 96}},
      {{4, 12}, {12, 1}, {}, {12, 1}},
      {{4, 12}, {12, 1}, {12, 1}, {}},  // numbers
      {{2, 300}, {304, 1}, {300, 1}, {300, 1}},
      {{3, 6}, {8, 1}, {8, 1}, {0, 1}},  // rows of a pack and a half
  };
  for (const Case& c : cases)
    for (Op op : ops)
      for (Dtype d : {Dtype::F32, Dtype::BF16}) check_case(op, d, c, 1);
  for (const Case& c : cases) {
    check_case(Op::mul, Dtype::F64, c, 1);
    check_case(Op::sub, Dtype::I32, c, 1);
    check_case(Op::bitwise_xor, Dtype::Bool, c, 1);
  }
}

TEST(negative_strides_and_in_place) {
  Array x = array(Dtype::F32, 40);
  std::vector<double> before;
  for (int i = 0; i < 40; ++i) before.push_back(x[i]);
  Array out(Dtype::F32, 40);
  ElementwiseArgs e = {};
  e.op = Op::neg;
  e.dtype = Dtype::F32;
  e.ndim = 1;
  e.shape[0] = 40;
  e.a.p = x.p + 39 * 4;
  e.a.stride[0] = -1;
  e.out = out.data();
  e.out_stride[0] = 1;
  elementwise(e, nullptr);
  for (int i = 0; i < 40; ++i) NEAR(out[i], -before[static_cast<size_t>(39 - i)], 0);
  e.op = Op::add;
  e.a = e.b = {};
  e.a.p = x.data();
  e.a.stride[0] = 1;
  e.b.number = 2;
  e.out = x.data();
  elementwise(e, nullptr);
  for (int i = 0; i < 40; ++i) NEAR(x[i], before[static_cast<size_t>(i)] + 2, 1e-6);
}

TEST(where_takes_numbers_and_masks) {
  for (Dtype d : {Dtype::F32, Dtype::F64, Dtype::F16, Dtype::BF16, Dtype::I64, Dtype::I32, Dtype::U8, Dtype::Bool}) {
    for (int64_t columns : {7, 16}) {
      const int64_t rows = 5, n = rows * columns;
      Array c = array(Dtype::Bool, n), x = array(d, columns), out(d, n);
      ElementwiseArgs e = {};
      e.op = Op::where;
      e.dtype = d;
      e.ndim = 2;
      e.shape[0] = rows, e.shape[1] = columns;
      e.a.p = x.data(), e.a.stride[1] = 1;
      e.b.number = 1, e.b.integer = 1;
      e.c.p = c.data(), e.c.stride[0] = columns, e.c.stride[1] = 1;
      e.out = out.data(), e.out_stride[0] = columns, e.out_stride[1] = 1;
      elementwise(e, nullptr);
      for (int64_t i = 0; i < n; ++i) NEAR(out[i], c[i] ? x[i % columns] : 1, 0);
    }
  }
}

TEST(what_is_not_taken_raises) {
  ElementwiseArgs e = {};
  e.dtype = Dtype::I32;
  e.op = Op::exp;
  THROWS(elementwise(e, nullptr), "no kernel for dtype");
  e.op = Op::add;
  e.ndim = 9;
  for (int d = 0; d < 9; ++d) {
    e.shape[d] = 2;
    e.out_stride[d] = 1 << (8 - d);
    e.a.stride[d] = d % 2;
    e.b.stride[d] = 0;
  }
  int32_t some[512] = {};
  e.a.p = e.b.p = some;
  e.out = some;
  THROWS(elementwise(e, nullptr), "more than 8 dimensions");
}

MAIN()
