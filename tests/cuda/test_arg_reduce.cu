// Places of extremes: the first of equal ones, NaN first.
#include "cuda/arg_reduce.cu"
#include "reduce_case.h"

using namespace fastnn::cuda;
using fastnn::Dtype;

namespace {
void check_arg(Dtype d, bool max, const Case& c, int nans) {
  Array x = array(d, reach(c), 2);
  for (int k = 0; k < nans; ++k) x.set(x.n * (k + 1) / (nans + 2), NAN);
  int64_t outputs = 1;
  for (size_t k = 0; k < c.shape.size(); ++k) outputs *= c.reduced >> k & 1 ? 1 : c.shape[k];
  Array values(d, outputs), indices(Dtype::I64, outputs);
  ArgReduceArgs a = {};
  a.dtype = d;
  a.max = max;
  a.ndim = static_cast<int>(c.shape.size());
  for (size_t k = 0; k < c.shape.size(); ++k) a.shape[k] = c.shape[k], a.stride[k] = c.stride[k];
  a.reduced = c.reduced;
  a.x = x.data();
  a.values = outputs % 2 ? nullptr : values.data();
  a.indices = indices.as<int64_t>();
  Array workspace(Dtype::U8, static_cast<int64_t>(arg_reduce_workspace(a)));
  arg_reduce(a, workspace.data(), nullptr);
  each_output(c, [&](int64_t o, const std::vector<int64_t>& places) {
    size_t best = 0;
    for (size_t i = 1; i < places.size(); ++i) {
      const double v = x[places[i]], b = x[places[best]];
      if (!std::isnan(b) && (std::isnan(v) || (max ? v > b : v < b))) best = i;
    }
    NEAR(indices[o], static_cast<double>(best), 0);
    if (a.values) NEAR(values[o], x[places[best]], 0);
  });
}
}  // namespace

TEST(places_of_extremes) {
  const Case cases[] = {over({1}, 1),      over({13}, 1),      over({4, 70}, 2),    over({70, 4}, 1),
                        over({2, 600}, 2), over({300, 33}, 1), over({3, 4, 5}, 2),  over({3, 4, 5}, 5),
                        over({12000}, 1),  over({2000, 3}, 1), {{6, 10}, {1, 6}, 2}};
  for (const Case& c : cases)
    for (bool max : {false, true}) {
      for (Dtype d : kFloats)
        for (int nans : {0, 3})
          if (!kSanitized || (nans == 0) == max) check_arg(d, max, c, nans);
      for (Dtype d : {Dtype::I64, Dtype::I32, Dtype::U8, Dtype::Bool}) check_arg(d, max, c, 0);
    }
  THROWS(check_arg(Dtype::F32, true, over({2, 0}, 2), 0), "nothing to choose from");
}

MAIN()
