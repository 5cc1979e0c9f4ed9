// The definition of gemm: three loops, in the accumulation type, k in order. What the other variants are tested
// against.
#include "cpu/gemm_act.h"
#include "cpu/gemm_bf16.h"
#include "kernels.h"

namespace fastnn {
namespace FASTNN_ISA {
namespace {
FASTNN_INLINE float widen(float x) { return x; }
FASTNN_INLINE double widen(double x) { return x; }
FASTNN_INLINE float widen(Bf16 x) { return bf16_to_float(x); }
FASTNN_INLINE void narrow(float x, float* to) { *to = x; }
FASTNN_INLINE void narrow(double x, double* to) { *to = x; }
FASTNN_INLINE void narrow(float x, Bf16* to) { *to = float_to_bf16(x); }

template <class T>
void triple_loop(const GemmArgs& g, const T* a, const T* b, T* c) {
  const T* bias = static_cast<const T*>(g.bias);
  for (int64_t i = 0; i < g.m; i++)
    for (int64_t j = 0; j < g.n; j++) {
      T* out = c + i * g.ldc + j;
      auto sum = widen(T());
      if (g.accumulate) sum = widen(*out);
      for (int64_t k = 0; k < g.k; k++) sum += widen(a[i * g.a_rs + k * g.a_cs]) * widen(b[k * g.b_rs + j * g.b_cs]);
      if (bias) sum += widen(bias[j]);
      narrow(activate_one(sum, g.act), out);
    }
}
template <class T>
void batched(const GemmArgs& g) {
  for (int64_t i = 0; i < g.batch; i++)
    triple_loop<T>(g, static_cast<const T*>(g.a) + i * g.a_bs, static_cast<const T*>(g.b) + i * g.b_bs,
                   static_cast<T*>(g.c) + i * g.c_bs);
}
}  // namespace

void gemm_naive(const GemmArgs& g) {
  if (g.dtype == Dtype::F64) return batched<double>(g);
  if (g.dtype == Dtype::BF16) return batched<Bf16>(g);
  batched<float>(g);
}

}  // namespace FASTNN_ISA
}  // namespace fastnn
