// Copies, casts, fills and transposes.
#include "cuda/copy.cu"
#include "strided_case.h"

using namespace fastnn::cuda;
using fastnn::Dtype;

TEST(casts) {
  const Dtype all[] = {Dtype::F32, Dtype::F64, Dtype::F16, Dtype::BF16, Dtype::I64,
                       Dtype::I32, Dtype::I16, Dtype::I8,  Dtype::U8,   Dtype::Bool};
  for (Dtype from : all)
    for (Dtype to : all)
      for (int shift : {0, 1}) {
        const int64_t n = 83;
        Array x(from, n, shift), y(to, n, shift);
        x.fill(20);
        if (is_floating(from))
          for (int64_t i = 0; i < n; ++i) x.set(i, to == Dtype::U8 ? std::fabs(x[i]) : x[i]);
        CopyArgs a = {};
        a.from = from, a.to = to, a.ndim = 1, a.shape[0] = n;
        a.x.p = x.data(), a.x.stride[0] = 1, a.out = y.data(), a.out_stride[0] = 1;
        copy(a, nullptr);
        for (int64_t i = 0; i < n; ++i) {
          double want = x[i];
          if (to == Dtype::Bool)
            want = want != 0;
          else if (!is_floating(to))
            want = static_cast<double>(wrapped(to, static_cast<int64_t>(std::trunc(want))));
          NEAR(y[i], want, tolerance(to, want, 0.51));
        }
      }
}

TEST(copies_of_any_strides) {
  struct {
    Shape shape, out, x;
  } cases[] = {
      {{64, 48}, {48, 1}, {1, 64}},  // a transpose by tiles
      {{37, 45}, {45, 1}, {1, 37}},
      {{3, 33, 2, 40}, {2640, 80, 40, 1}, {2640, 1, 1320, 33}},
      {{2, 3, 20, 4}, {240, 4, 12, 1}, {240, 80, 4, 1}},  // heads
      {{9, 4}, {1, 9}, {4, 1}},
      {{7, 5}, {10, 2}, {0, 1}},
      {{5, 33}, {33, 1}, {33, 1}},
      {{0, 4}, {4, 1}, {4, 1}},
      {{}, {}, {}},
  };
  for (const auto& c : cases)
    for (Dtype d : {Dtype::F32, Dtype::F64, Dtype::BF16, Dtype::U8}) {
      Array x = array(d, reach(c.shape, c.x)), y(d, reach(c.shape, c.out)), z(Dtype::F32, reach(c.shape, c.out));
      CopyArgs a = {};
      a.from = a.to = d;
      a.ndim = static_cast<int>(c.shape.size());
      for (size_t i = 0; i < c.shape.size(); ++i)
        a.shape[i] = c.shape[i], a.x.stride[i] = c.x[i], a.out_stride[i] = c.out[i];
      a.x.p = x.data(), a.out = y.data();
      copy(a, nullptr);
      a.to = Dtype::F32;
      a.out = z.data();
      copy(a, nullptr);
      each_index(c.shape, [&](const Shape& i) {
        NEAR(y[place(i, c.out.data())], x[place(i, c.x.data())], 0);
        NEAR(z[place(i, c.out.data())], x[place(i, c.x.data())], tolerance(Dtype::F32, x[place(i, c.x.data())], 0.51));
      });
    }
}

TEST(fills) {
  for (Dtype d : {Dtype::F32, Dtype::F64, Dtype::F16, Dtype::BF16, Dtype::I64, Dtype::I32, Dtype::I8, Dtype::Bool})
    for (int64_t n : {1, 5, 64, 77})
      for (Dtype from : {Dtype::F64, Dtype::I64}) {
        Array y(d, n);
        CopyArgs a = {};
        a.from = from, a.to = d, a.ndim = 1, a.shape[0] = n, a.out = y.data(), a.out_stride[0] = 1;
        a.x.number = -3, a.x.integer = -3;
        copy(a, nullptr);
        for (int64_t i = 0; i < n; ++i) NEAR(y[i], d == Dtype::Bool ? 1 : -3, 0);
      }
}

MAIN()
