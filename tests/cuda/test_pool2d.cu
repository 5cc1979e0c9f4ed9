// Pooling against its definition in float64: padding, dilation, strides, windows of more taps than a byte counts.
#include "arrays.h"
#include "cuda/pool2d.cu"

using namespace fastnn::cuda;
using fastnn::Dtype;
using fastnn::Pool2dShape;

namespace {
Pool2dShape shape(int64_t planes, int64_t H, int64_t W, int64_t R, int64_t S, int64_t stride, int64_t pad,
                  int64_t dilation, bool ceil = false) {
  Pool2dShape s = {};
  s.planes = planes, s.H = H, s.W = W, s.R = R, s.S = S;
  s.stride_h = stride, s.stride_w = stride + (W > 8), s.pad_h = pad, s.pad_w = pad,
  s.dilation_h = s.dilation_w = dilation;
  const auto size = [&](int64_t n, int64_t k, int64_t st) {
    const int64_t room = n + 2 * pad - dilation * (k - 1) - 1;
    int64_t out = (room + (ceil ? st - 1 : 0)) / st + 1;
    return ceil && (out - 1) * st >= n + pad ? out - 1 : out;
  };
  s.P = size(H, R, s.stride_h), s.Q = size(W, S, s.stride_w);
  return s;
}
template <class F>
void each_window(const Pool2dShape& s, const F& f) {  // f(place in y, plane's first element of x, p, q)
  for (int64_t n = 0; n < s.planes; ++n)
    for (int64_t p = 0; p < s.P; ++p)
      for (int64_t q = 0; q < s.Q; ++q) f((n * s.P + p) * s.Q + q, n * s.H * s.W, p, q);
}

void check_max(Dtype d, const Pool2dShape& s, bool nan) {
  Array x = array(d, s.planes * s.H * s.W), y(d, s.planes * s.P * s.Q), dy(d, y.n), dx(d, x.n), flat(Dtype::I64, y.n);
  Array idx(max_pool2d_compact(s) ? Dtype::U8 : Dtype::I64, y.n);
  for (int64_t i = 0; i < dy.n; ++i) dy.set(i, static_cast<double>(i % 7) - 3);
  if (nan && x.n > 3) x.set(1, NAN), x.set(2, NAN), x.set(x.n - 1, -INFINITY);
  max_pool2d(d, s, x.data(), y.data(), idx.data(), nullptr);
  max_pool2d_indices(s, idx.data(), flat.as<int64_t>(), nullptr);
  std::vector<double> want_dx(static_cast<size_t>(x.n));
  each_window(s, [&](int64_t at, int64_t plane, int64_t p, int64_t q) {
    double best = -INFINITY;
    int64_t where = -1;
    for (int64_t r = 0; r < s.R; ++r)
      for (int64_t t = 0; t < s.S; ++t) {
        const int64_t h = p * s.stride_h - s.pad_h + r * s.dilation_h, w = q * s.stride_w - s.pad_w + t * s.dilation_w;
        if (h < 0 || h >= s.H || w < 0 || w >= s.W) continue;
        const double v = x[plane + h * s.W + w];
        if (where < 0 || v > best || std::isnan(v)) best = v, where = h * s.W + w;
      }
    NEAR(y[at], best, 0);
    CHECK(flat.as<int64_t>()[at] == where);
    want_dx[static_cast<size_t>(plane + where)] += dy[at];
  });
  if (!is_floating(d)) return;
  max_pool2d_backward(d, s, dy.data(), idx.data(), dx.data(), nullptr);
  for (int64_t i = 0; i < x.n; ++i) NEAR(dx[i], want_dx[static_cast<size_t>(i)], 0);
}

void check_avg(Dtype d, Pool2dShape s, bool include, int64_t divisor) {
  s.count_include_pad = include;
  s.divisor_override = divisor;
  Array x = array(d, s.planes * s.H * s.W), y(d, s.planes * s.P * s.Q), dy = array(d, y.n), dx(d, x.n);
  avg_pool2d(d, s, x.data(), y.data(), nullptr);
  avg_pool2d_backward(d, s, dy.data(), dx.data(), nullptr);
  std::vector<double> want_dx(static_cast<size_t>(x.n));
  each_window(s, [&](int64_t at, int64_t plane, int64_t p, int64_t q) {
    const int64_t h0 = p * s.stride_h - s.pad_h, w0 = q * s.stride_w - s.pad_w;
    double sum = 0, taps = 0, inside = 0;
    for (int pass = 0; pass < 2; ++pass)
      for (int64_t h = h0; h < h0 + s.R; ++h)
        for (int64_t w = w0; w < w0 + s.S; ++w) {
          const bool in = h >= 0 && h < s.H && w >= 0 && w < s.W;
          if (pass == 0) {
            taps += h < s.H + s.pad_h && w < s.W + s.pad_w;
            inside += in;
            if (in) sum += x[plane + h * s.W + w];
          } else if (in) {
            want_dx[static_cast<size_t>(plane + h * s.W + w)] += dy[at] / (divisor   ? static_cast<double>(divisor)
                                                                           : include ? taps
                                                                                     : inside);
          }
        }
    const double want = sum / (divisor ? static_cast<double>(divisor) : include ? taps : inside);
    NEAR(y[at], want, tolerance(d, want, 0.6) + tolerance(compute_dtype(d), want, 8, 2));
  });
  for (int64_t i = 0; i < x.n; ++i)
    NEAR(dx[i], want_dx[static_cast<size_t>(i)],
         tolerance(d, want_dx[static_cast<size_t>(i)], 0.6) +
             tolerance(compute_dtype(d), want_dx[static_cast<size_t>(i)], 8, 2));
}
}  // namespace

TEST(max) {
  for (bool nan : {false, true}) {
    for (Dtype d : kFloats) {
      check_max(d, shape(3, 8, 7, 2, 2, 2, 0, 1), nan);
      check_max(d, shape(2, 9, 11, 3, 3, 2, 1, 1), nan);
      check_max(d, shape(2, 9, 11, 3, 2, 1, 1, 2), nan);
    }
    check_max(Dtype::F32, shape(2, 7, 7, 3, 3, 2, 1, 1, true), nan);
    check_max(Dtype::F32, shape(1, 20, 20, 17, 17, 1, 2, 1), nan);  // 289 taps: int64 indices
    check_max(Dtype::F32, shape(5, 1, 1, 1, 1, 1, 0, 1), nan);
  }
  check_max(Dtype::I32, shape(2, 6, 6, 2, 2, 2, 0, 1), false);
  check_max(Dtype::F32, shape(0, 6, 6, 2, 2, 2, 0, 1), false);
}
TEST(avg) {
  for (Dtype d : kFloats)
    for (bool include : {true, false})
      for (int64_t divisor : {0, 5}) {
        check_avg(d, shape(3, 8, 7, 2, 2, 2, 0, 1), include, divisor);
        check_avg(d, shape(2, 9, 11, 3, 3, 2, 1, 1), include, divisor);
        check_avg(d, shape(2, 7, 6, 3, 2, 2, 1, 1, true), include, divisor);
      }
  check_avg(Dtype::F32, shape(0, 6, 6, 2, 2, 2, 0, 1), true, 0);
}

MAIN()
