// kernels.def -> this instruction set's declarations and table.
#include "kernels.h"

namespace fastnn {
#pragma GCC visibility push(hidden)
#define FASTNN_KERNEL(ret, name, args) ret name args;
#ifdef FASTNN_ISA_avx512_bf16
// Only the rows marked so are compiled for this set; the other names are found in avx512.
#define FASTNN_KERNEL_BF16(ret, name, args)
namespace avx512 {
#include "kernels.def"
}
namespace FASTNN_ISA {
using namespace avx512;
#undef FASTNN_KERNEL
#define FASTNN_KERNEL(ret, name, args)
#define FASTNN_KERNEL_BF16(ret, name, args) ret name args;
#include "kernels.def"
}  // namespace FASTNN_ISA
#else
namespace FASTNN_ISA {
#include "kernels.def"
}
#endif
#undef FASTNN_KERNEL
#pragma GCC visibility pop

namespace FASTNN_ISA {
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
