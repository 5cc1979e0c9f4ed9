// Elementwise ops that are called seldom and bound by arithmetic; those of angles and remainders need a stack.
#include "cuda/elementwise_kernels.h"

namespace fastnn {
namespace cuda {

void elementwise_rare(const ElementwiseArgs& a, bool unary, Stream stream) {
  with_float("elementwise", a.dtype, [&](auto type) {
    using T = typename decltype(type)::type;
    unary ? run_unary<Family::Rare, T>(a, stream) : run_binary<Family::Rare, T>(a, stream);
  });
}

}  // namespace cuda
}  // namespace fastnn
