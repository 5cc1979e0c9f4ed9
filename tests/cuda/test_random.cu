// Philox against its published vectors, the distributions' moments, and dropout, whose mask is the same each time.
#include "arrays.h"
#include "cuda/random.cu"

using namespace fastnn::cuda;
using fastnn::Dtype;

TEST(known_answers) {  // of the authors' test vectors: counter and key of zeros, and of ones
  Words w = philox(0, 0);
  CHECK(w.w[0] == 0x6627e8d5u && w.w[1] == 0xe169c58du && w.w[2] == 0xbc57ac4cu && w.w[3] == 0x9b00dbd8u);
}
TEST(moments) {
  const int64_t n = 20001;
  for (Dtype d : kFloats) {
    Array u(d, n), z(d, n);
    const Philox g = {42, 7, nullptr};
    random_uniform(d, g, u.data(), n, -1, 3, nullptr);
    random_normal(d, g, z.data(), n, 2, 3, nullptr);
    double m = 0, v = 0, zm = 0, zv = 0, z4 = 0, pair = 0;
    for (int64_t i = 0; i < n; ++i) {
      CHECK(u[i] >= -1 && u[i] < 2);
      m += u[i], v += u[i] * u[i];
      const double t = (z[i] - 2) / 3;
      zm += t, zv += t * t, z4 += t * t * t * t;
      if (i) pair += t * (z[i - 1] - 2) / 3;
    }
    const double k = static_cast<double>(n);
    NEAR(m / k, 0.5, 0.03);
    NEAR(v / k - m / k * m / k, 0.75, 0.03);
    NEAR(zm / k, 0, 0.03);
    NEAR(zv / k, 1, 0.05);
    NEAR(z4 / k, 3, 0.25);
    NEAR(pair / k, 0, 0.03);
  }
}
TEST(streams) {
  // The offset counts blocks of four elements; a state on the device is added; seeds differ.
  Array a(Dtype::F32, 40), b(Dtype::F32, 40), c(Dtype::F32, 40);
  random_uniform(Dtype::F32, {5, 0, nullptr}, a.data(), 40, 0, 1, nullptr);
  const uint64_t state[2] = {2, 3};
  random_uniform(Dtype::F32, {3, 0, state}, b.data(), 40, 0, 1, nullptr);
  random_uniform(Dtype::F32, {6, 0, nullptr}, c.data(), 40, 0, 1, nullptr);
  int same = 0;
  for (int64_t i = 0; i + 12 < 40; ++i) {
    NEAR(b[i], a[i + 12], 0);
    same += a[i] == c[i];
  }
  CHECK(same == 0);
  CHECK(philox_blocks(Dtype::F32, 41) == 11 && philox_blocks(Dtype::F64, 41) == 21);
}
TEST(integers_and_bernoulli) {
  for (Dtype d : {Dtype::I64, Dtype::I32, Dtype::U8}) {
    Array x(d, 3000);
    random_integers(d, {9, 0, nullptr}, x.data(), 3000, 3, 7, nullptr);
    int seen[10] = {};
    for (int64_t i = 0; i < 3000; ++i) {
      CHECK(x[i] >= 3 && x[i] < 10);
      ++seen[static_cast<int>(x[i])];
    }
    for (int k = 3; k < 10; ++k) CHECK(seen[k] > 330 && seen[k] < 530);
  }
  for (Dtype d : {Dtype::F32, Dtype::F64, Dtype::BF16, Dtype::Bool, Dtype::I64}) {
    Array x(d, 4001);
    double sum = 0;
    random_bernoulli(d, {9, 0, nullptr}, x.data(), 4001, 0.3, nullptr);
    for (int64_t i = 0; i < 4001; ++i) {
      CHECK(x[i] == 0 || x[i] == 1);
      sum += x[i];
    }
    NEAR(sum / 4001, 0.3, 0.03);
    random_bernoulli(d, {9, 0, nullptr}, x.data(), 50, 1, nullptr);
    for (int64_t i = 0; i < 50; ++i) CHECK(x[i] == 1);
  }
}
TEST(dropout) {
  for (Dtype d : kFloats)
    for (int64_t n : {1, 6, 4003})
      for (int shift : {0, 1}) {
        Array x(d, n, shift), y(d, n, shift), again(d, n), mask(Dtype::Bool, n), z(d, n, shift);
        x.fill();
        const Philox g = {1234, 99, nullptr};
        dropout(d, g, x.data(), y.data(), mask.as<uint8_t>(), n, 0.25, nullptr);
        dropout(d, g, x.data(), again.data(), nullptr, n, 0.25, nullptr);
        mask_scale(d, x.data(), mask.as<uint8_t>(), z.data(), n, 1 / 0.75, nullptr);
        double kept = 0;
        for (int64_t i = 0; i < n; ++i) {
          kept += mask[i];
          NEAR(y[i], mask[i] ? x[i] / 0.75 : 0, tolerance(d, x[i] / 0.75, 1.1));
          NEAR(again[i], y[i], 0);
          NEAR(z[i], y[i], 0);
        }
        if (n > 1000) NEAR(kept / static_cast<double>(n), 0.75, 0.03);
        dropout(d, g, x.data(), y.data(), nullptr, n, 1, nullptr);
        for (int64_t i = 0; i < n; ++i) CHECK(y[i] == 0);
        dropout(d, g, x.data(), y.data(), nullptr, n, 0, nullptr);
        for (int64_t i = 0; i < n; ++i) CHECK(y[i] == x[i]);
      }
}

MAIN()
