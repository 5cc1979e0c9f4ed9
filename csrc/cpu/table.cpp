// kernels.def -> this instruction set's declarations and table.
#include "kernels.h"

namespace fastnn {
namespace FASTNN_ISA {

#pragma GCC visibility push(hidden)
#define FASTNN_KERNEL(ret, name, args) ret name args;
#include "kernels.def"
#undef FASTNN_KERNEL
#pragma GCC visibility pop

#define FASTNN_STR2(x) #x
#define FASTNN_STR(x) FASTNN_STR2(x)
extern const Kernels table;
const Kernels table = {
    FASTNN_STR(FASTNN_ISA),
#define FASTNN_KERNEL(ret, name, args) name,
#include "kernels.def"
#undef FASTNN_KERNEL
};

}  // namespace FASTNN_ISA
}  // namespace fastnn
