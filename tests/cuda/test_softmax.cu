// Softmax and logsumexp against float64: short and long rows, rows beyond shared memory, columns, infinities, NaN.
#include "arrays.h"
#include "cuda/softmax.cu"

using namespace fastnn::cuda;
using fastnn::Dtype;
using fastnn::Softmax;

namespace {

void check(Dtype d, int64_t rows, int64_t n, int64_t inner, double scale, int shift = 0) {
  const int64_t count = rows * n * inner;
  Array x(d, count, shift), dy(d, count, shift), y(d, count, shift), dx(d, count, shift), lse(d, rows * inner);
  x.fill(scale), dy.fill();
  const double special[] = {INFINITY, -INFINITY, NAN};
  if (rows * inner > 4 && n > 2)
    for (int64_t c = 0; c < 3; ++c) {  // columns 0 .. 2 have one each; column 3 is -inf alone
      const auto at = [&](int64_t col, int64_t i) { return col / inner * n * inner + i * inner + col % inner; };
      x.set(at(c, n / 2), special[c]);
      for (int64_t i = 0; i < n; ++i) x.set(at(3, i), -INFINITY);
    }
  for (int log = 0; log < 2; ++log) {
    SoftmaxArgs a = {d, log ? Softmax::LogForward : Softmax::Forward, x.data(), nullptr, y.data(), rows, n, inner};
    softmax(a, nullptr);
    a = {d, log ? Softmax::LogBackward : Softmax::Backward, dy.data(), y.data(), dx.data(), rows, n, inner};
    softmax(a, nullptr);
    a = {d, Softmax::Forward, x.data(), nullptr, lse.data(), rows, n, inner};
    logsumexp(a, nullptr);
    for (int64_t c = 0; c < rows * inner; ++c) {
      const int64_t first = c / inner * n * inner + c % inner;
      double m = -INFINITY, s = 0, dot = 0, size = 0;
      bool nan = false;
      for (int64_t i = 0; i < n; ++i) {
        m = std::fmax(m, x[first + i * inner]);
        nan |= std::isnan(x[first + i * inner]);
      }
      for (int64_t i = 0; i < n; ++i) s += std::exp(x[first + i * inner] - m);
      nan |= std::isinf(m);
      for (int64_t i = 0; i < n; ++i) {
        const double g = dy[first + i * inner] * (log ? 1 : y[first + i * inner]);
        dot += g, size += std::fabs(g);
      }
      double want_lse = std::isinf(m) ? m : m + std::log(s);
      for (int64_t i = 0; i < n; ++i)
        if (std::isnan(x[first + i * inner])) want_lse = NAN;
      NEAR(lse[c], want_lse, tolerance(d, want_lse, 2, 1));
      for (int64_t i = 0; i < n; ++i) {
        const int64_t k = first + i * inner;
        double want = nan ? NAN : log ? x[k] - m - std::log(s) : std::exp(x[k] - m) / s;
        NEAR(y[k], want,
             log ? tolerance(d, want, 2, std::fabs(m) + 1)
                 : tolerance(d, want, 1) + tolerance(compute_dtype(d), want, 8 * scale + 8));
        const double v = y[k];
        want = log ? dy[k] - std::exp(v) * dot : v * (dy[k] - dot);
        if (!nan)
          NEAR(dx[k], want,
               tolerance(d, want, 1) +
                   tolerance(compute_dtype(d), want, 16, (log ? std::exp(v) : v) * size + std::fabs(dy[k])));
        else
          CHECK(std::isnan(dx[k]));
      }
    }
  }
}

}  // namespace

TEST(rows) {
  for (Dtype d : kFloats) {
    for (int64_t n : {1, 3, 10, 32, 77, 256, 1000}) check(d, 11, n, 1, 3);
    check(d, 3, 1030, 1, 3);
    check(d, 5, 1536, 1, 10);
    check(d, 2, 64, 1, 3, 1);
  }
}
TEST(rows_of_a_block_and_rows_beyond_shared_memory) {
  check(Dtype::F32, 2, 4100, 1, 3);
  check(Dtype::F32, 1, kRowShared / 4 + 4, 1, 3);  // 1024 threads; kept nowhere
  check(Dtype::F64, 1, kRowShared / 8 + 212, 1, 3);
  check(Dtype::BF16, 1, kRowShared / 4 + 8, 1, 3);
}
TEST(columns) {
  for (Dtype d : kFloats) {
    check(d, 2, 5, 40, 3);
    check(d, 3, 19, 2, 3);
    check(d, 1, 1, 7, 3);
  }
}
TEST(empty) {
  check(Dtype::F32, 0, 4, 1, 1);
  check(Dtype::F32, 4, 0, 1, 1);
  check(Dtype::F32, 4, 3, 0, 1);
}

MAIN()
