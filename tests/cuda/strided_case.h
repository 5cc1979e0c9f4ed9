// What the tests of elementwise ops and of copies share.
#pragma once
#include "arrays.h"

namespace fastnn {
namespace cuda {

using Shape = std::vector<int64_t>;

// What an integer dtype makes of a 64-bit value.
inline int64_t wrapped(Dtype d, int64_t v) {
  switch (d) {
    case Dtype::I32:
      return static_cast<int32_t>(v);
    case Dtype::I16:
      return static_cast<int16_t>(v);
    case Dtype::I8:
      return static_cast<int8_t>(v);
    case Dtype::U8:
      return static_cast<uint8_t>(v);
    case Dtype::Bool:
      return v != 0;
    default:
      return v;
  }
}
inline int64_t reach(const Shape& shape, const Shape& stride) {  // the highest place + 1
  int64_t n = 1;
  for (size_t d = 0; d < shape.size(); ++d) n += shape[d] ? (shape[d] - 1) * stride[d] : 0;
  return count(shape) ? n : 0;
}
}  // namespace cuda
}  // namespace fastnn
