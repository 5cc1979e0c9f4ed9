// Reductions against float64: every op and dtype, any dimensions, strides, and lengths that are cut into parts.
#include "cuda/reduce.cu"
#include "reduce_case.h"

using namespace fastnn::cuda;
using fastnn::Dtype;

namespace {

long double reference(ReduceOp op, const std::vector<double>& v, double centre, double p) {
  long double r = 0;
  bool nan = false;
  switch (op) {
    case ReduceOp::Prod:
      r = 1;
      break;
    case ReduceOp::Max:
      r = -INFINITY;
      break;
    case ReduceOp::Min:
    case ReduceOp::MinAbs:
      r = INFINITY;
      break;
    case ReduceOp::All:
      r = 1;
      break;
    default:
      break;
  }
  for (double x : v) {
    nan |= std::isnan(x);
    switch (op) {
      case ReduceOp::Sum:
        r += x;
        break;
      case ReduceOp::Prod:
        r *= x;
        break;
      case ReduceOp::Max:
        r = std::fmax(r, 1.0L * x);
        break;
      case ReduceOp::Min:
        r = std::fmin(r, 1.0L * x);
        break;
      case ReduceOp::SumSquare:
        r += 1.0L * x * x;
        break;
      case ReduceOp::SumAbs:
        r += std::fabs(x);
        break;
      case ReduceOp::MaxAbs:
        r = std::fmax(r, 1.0L * std::fabs(x));
        break;
      case ReduceOp::MinAbs:
        r = std::fmin(r, 1.0L * std::fabs(x));
        break;
      case ReduceOp::SumSquareDiff:
        r += (x - 1.0L * centre) * (x - 1.0L * centre);
        break;
      case ReduceOp::SumPow:
        r += std::pow(std::fabs(x), p);
        break;
      case ReduceOp::CountNonzero:
        r += x != 0;
        break;
      case ReduceOp::All:
        r = r != 0 && x != 0;
        break;
      case ReduceOp::Any:
        r = r != 0 || x != 0;
        break;
    }
  }
  const bool logical = op == ReduceOp::CountNonzero || op == ReduceOp::All || op == ReduceOp::Any;
  return nan && !logical ? NAN : r;
}

void check(ReduceOp op, Dtype d, Dtype to, const Case& c, bool nan = false, Finish finish = Finish::None,
           double scale = 1) {
  Array x = array(d, reach(c));
  if (op == ReduceOp::Prod)
    for (int64_t i = 0; i < x.n; ++i) x.set(i, is_floating(d) ? 1 + 0.01 * x[i] : std::fabs(x[i]) < 18 ? 1 : 2);
  if (nan) x.set(x.n / 2, NAN);
  int64_t outputs = 1;
  for (size_t k = 0; k < c.shape.size(); ++k) outputs *= c.reduced >> k & 1 ? 1 : c.shape[k];
  Array out(to, outputs), centre = array(compute_dtype(d), outputs);
  ReduceArgs a = {};
  a.dtype = d;
  a.out_dtype = to;
  a.op = op;
  a.finish = finish;
  a.scale = scale;
  a.p = 3;
  a.ndim = static_cast<int>(c.shape.size());
  for (size_t k = 0; k < c.shape.size(); ++k) a.shape[k] = c.shape[k], a.stride[k] = c.stride[k];
  a.reduced = c.reduced;
  a.x = x.data();
  a.centre = op == ReduceOp::SumSquareDiff ? centre.data() : nullptr;
  a.out = out.data();
  Array workspace(Dtype::U8, static_cast<int64_t>(reduce_workspace(a)));
  reduce(a, workspace.data(), nullptr);
  each_output(c, [&](int64_t o, const std::vector<int64_t>& places) {
    std::vector<double> v;
    double size = 0;
    for (int64_t i : places) {
      v.push_back(x[i]);
      size += std::fabs(x[i]) * (op == ReduceOp::SumSquare || op == ReduceOp::SumSquareDiff ? std::fabs(x[i]) : 1);
    }
    double want = static_cast<double>(reference(op, v, centre[o], 3));
    if (is_floating(d)) want *= scale, size *= scale;
    if (finish == Finish::Sqrt) want = std::sqrt(want), size = want;
    if (finish == Finish::Root) want = std::cbrt(want), size = want;
    if (d == Dtype::I8 || d == Dtype::U8 || d == Dtype::I16) CHECK(to == Dtype::I64 || std::fabs(want) < 128);
    double allowed = is_floating(to) ? tolerance(to, want, 1) + tolerance(compute_dtype(d), want, 16, size) : 0;
    if (!std::isfinite(want)) allowed = 0;
    char name[80];
    std::snprintf(name, sizeof name, "op %d, dtype %d, output %lld", static_cast<int>(op), static_cast<int>(d),
                  static_cast<long long>(o));
    near_at(__FILE__, __LINE__, name, out[o], want, allowed);
  });
}

const ReduceOp kAll[] = {
    ReduceOp::Sum,          ReduceOp::Prod,   ReduceOp::Max,    ReduceOp::Min,           ReduceOp::SumSquare,
    ReduceOp::SumAbs,       ReduceOp::MaxAbs, ReduceOp::MinAbs, ReduceOp::SumSquareDiff, ReduceOp::SumPow,
    ReduceOp::CountNonzero, ReduceOp::All,    ReduceOp::Any};
bool logical(ReduceOp op) { return op >= ReduceOp::CountNonzero; }

}  // namespace

TEST(every_op_and_dtype) {
  for (ReduceOp op : kAll) {
    for (Dtype d : kFloats)
      for (bool nan : {false, true})
        for (uint32_t reduced : {1u, 2u, 3u}) {
          check(op, d, logical(op) ? op == ReduceOp::CountNonzero ? Dtype::I64 : Dtype::Bool : d,
                over({7, 40}, reduced), nan);
          check(op, d, logical(op) ? Dtype::I64 : compute_dtype(d), over({9, 13}, reduced), nan);
        }
    if (logical(op) || op == ReduceOp::Sum || op == ReduceOp::Prod || op == ReduceOp::Max || op == ReduceOp::Min)
      for (Dtype d : kIntegers)
        for (uint32_t reduced : {1u, 2u, 3u})
          check(op, d,
                op == ReduceOp::Max || op == ReduceOp::Min   ? d
                : op == ReduceOp::All || op == ReduceOp::Any ? Dtype::Bool
                                                             : Dtype::I64,
                over({6, 48}, reduced));
  }
}

TEST(shapes_and_strides) {
  const Case cases[] = {
      over({1}, 1),         over({5}, 0),          over({}, 0),
      over({300}, 1),       over({3, 300}, 2),     over({300, 3}, 1),
      over({2, 1100}, 2),   over({2, 3, 4, 5}, 5), over({2, 3, 4, 5}, 10),
      over({3, 8, 16}, 2),  over({3, 8, 16}, 5),   over({4, 5, 6}, 6),
      over({64, 4}, 1),     over({17, 65}, 1),     over({8, 3, 5, 5}, 13),  // as batch norm
      {{6, 10}, {1, 6}, 1}, {{6, 10}, {1, 6}, 2},  {{6, 10}, {40, 3}, 2},
      {{6, 10}, {0, 1}, 1}, {{4, 10}, {1, 0}, 2},  over({0, 4}, 1),
      over({4, 0}, 1),      over({4, 0}, 2),       over({3, 1, 4}, 2),
  };
  for (const Case& c : cases)
    for (Dtype d : {Dtype::F32, Dtype::F64, Dtype::BF16}) {
      check(ReduceOp::Sum, d, d, c);
      check(ReduceOp::Max, d, d, c);
      check(ReduceOp::SumSquareDiff, d, compute_dtype(d), c);
    }
  for (const Case& c : cases) check(ReduceOp::Sum, Dtype::I32, Dtype::I64, c);
}

TEST(long_ones_are_cut_into_parts) {
  for (Dtype d : {Dtype::F32, Dtype::F64, Dtype::F16}) {
    check(ReduceOp::Sum, d, compute_dtype(d), over({20000}, 1));
    check(ReduceOp::Sum, d, compute_dtype(d), over({20003}, 1));
    check(ReduceOp::Min, d, d, over({2, 9000}, 2), true);
    check(ReduceOp::SumSquareDiff, d, compute_dtype(d), over({2000, 9}, 1));
    check(ReduceOp::Sum, d, compute_dtype(d), over({2100, 8}, 1));
    check(ReduceOp::Prod, d, compute_dtype(d), over({600, 3}, 1));
  }
}

TEST(the_result_is_scaled_and_finished) {
  for (Dtype d : kFloats) {
    check(ReduceOp::Sum, d, d, over({5, 12}, 2), false, Finish::None, 1 / 12.0);
    check(ReduceOp::SumSquare, d, d, over({5, 12}, 2), false, Finish::Sqrt);
    check(ReduceOp::SumPow, d, d, over({5, 12}, 1), false, Finish::Root);
    check(ReduceOp::SumSquare, d, compute_dtype(d), over({20000}, 1), false, Finish::Sqrt);
  }
}

TEST(float_sums_of_integers_raise) {
  THROWS(check(ReduceOp::SumSquare, Dtype::I32, Dtype::I32, over({3}, 1)), "no kernel");
}

MAIN()
