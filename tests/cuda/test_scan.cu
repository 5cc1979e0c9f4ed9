// Running sums and products against float64 and 64-bit integers.
#include "arrays.h"
#include "cuda/scan.cu"

using namespace fastnn::cuda;
using fastnn::Dtype;

TEST(running_totals) {
  const int64_t shapes[][3] = {{1, 1, 1}, {2, 40, 1}, {3, 1030, 1}, {1, 2500, 1}, {2, 7, 5}, {1, 9, 40}, {0, 3, 1}};
  for (const auto& s : shapes)
    for (bool product : {false, true})
      for (Dtype d :
           {Dtype::F32, Dtype::F64, Dtype::F16, Dtype::BF16, Dtype::I64, Dtype::I32, Dtype::U8, Dtype::Bool}) {
        const int64_t n = s[0] * s[1] * s[2];
        Array x = array(d, n), out(is_floating(d) ? d : Dtype::I64, n);
        if (product && is_floating(d))
          for (int64_t i = 0; i < n; ++i) x.set(i, 1 + x[i] / 100);
        scan({d, product, s[0], s[1], s[2], x.data(), out.data()}, nullptr);
        for (int64_t r = 0; r < s[0]; ++r)
          for (int64_t k = 0; k < s[2]; ++k) {
            double total = product;
            uint64_t whole = product;
            for (int64_t i = 0; i < s[1]; ++i) {
              const int64_t at = (r * s[1] + i) * s[2] + k;
              total = product ? total * x[at] : total + x[at];
              whole = product ? whole * static_cast<uint64_t>(static_cast<int64_t>(x[at]))
                              : whole + static_cast<uint64_t>(static_cast<int64_t>(x[at]));
              if (is_floating(d))
                NEAR(out[at], total, tolerance(d, total, 0.6, 1e-3) + 1e-12);
              else
                CHECK(out.as<int64_t>()[at] == static_cast<int64_t>(whole));
            }
          }
      }
}

MAIN()
