// Which elements make up each output of a reduction.
#pragma once
#include "arrays.h"

namespace fastnn {
namespace cuda {

using Shape = std::vector<int64_t>;

struct Case {
  Shape shape, stride;
  uint32_t reduced;
};
template <class F>
void each_output(const Case& c, const F& f) {  // f(output, places in x)
  Shape kept, gone;
  Shape kept_stride, gone_stride;
  for (size_t d = 0; d < c.shape.size(); ++d) {
    (c.reduced >> d & 1 ? gone : kept).push_back(c.shape[d]);
    (c.reduced >> d & 1 ? gone_stride : kept_stride).push_back(c.stride[d]);
  }
  int64_t output = 0;
  each_index(kept, [&](const Shape& i) {
    std::vector<int64_t> places;
    each_index(gone,
               [&](const Shape& j) { places.push_back(place(i, kept_stride.data()) + place(j, gone_stride.data())); });
    f(output++, places);
  });
}
inline int64_t reach(const Case& c) {
  int64_t n = 1;
  for (size_t d = 0; d < c.shape.size(); ++d) n += c.shape[d] ? (c.shape[d] - 1) * c.stride[d] : 0;
  return n;
}

inline Case over(Shape shape, uint32_t reduced) { return {shape, contiguous(shape), reduced}; }

}  // namespace cuda
}  // namespace fastnn
