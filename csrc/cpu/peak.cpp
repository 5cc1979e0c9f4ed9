// What bench/peak.py measures: the rate of independent multiply-adds, and of copies, that every kernel is scored
// against.
#include "cpu/vec.h"
#include "kernels.h"

namespace fastnn {
namespace FASTNN_ISA {
namespace {
// Enough independent chains to hide an FMA's latency, as many as fit the registers.
constexpr int kChains = kVecBytes == 64 ? 24 : 12;

template <class T>
double chains(int64_t steps, T* sink) {
  Vec<T> acc[kChains];
  const Vec<T> x(static_cast<T>(0.999)), y(static_cast<T>(0.001));
  unroll<kChains>([&](auto i) __attribute__((always_inline)) { acc[i] = Vec<T>(static_cast<T>(i)); });
  for (int64_t s = 0; s < steps; s++)
    unroll<kChains>([&](auto i) __attribute__((always_inline)) { acc[i] = fma(acc[i], x, y); });
  Vec<T> total = Vec<T>::zero();
  unroll<kChains>([&](auto i) __attribute__((always_inline)) { total += acc[i]; });
  *sink = sum(total);
  return 2.0 * kChains * Vec<T>::size * static_cast<double>(steps);
}

#if defined(__AVX512BF16__)
double bf16_chains(int64_t steps, float* sink) {
  __m512 acc[kChains];
  unroll<kChains>([&](auto i) __attribute__((always_inline)) { acc[i] = _mm512_setzero_ps(); });
  const __m512bh x = (__m512bh)_mm512_set1_epi32(0x3f803f80);
  for (int64_t s = 0; s < steps; s++)
    unroll<kChains>([&](auto i) __attribute__((always_inline)) { acc[i] = _mm512_dpbf16_ps(acc[i], x, x); });
  __m512 total = acc[0];
  unroll<kChains>([&](auto i) __attribute__((always_inline)) { total = _mm512_add_ps(total, acc[i]); });
  *sink = _mm512_reduce_add_ps(total);
  return 4.0 * kChains * 16 * static_cast<double>(steps);
}
#endif
}  // namespace

double peak_fma(Dtype dtype, int64_t steps, double* sink) {
  float f = 0;
  double flops = 0;
  if (dtype == Dtype::F64) return chains<double>(steps, sink);
#if defined(__AVX512BF16__)
  if (dtype == Dtype::BF16) flops = bf16_chains(steps, &f);
#endif
  if (dtype == Dtype::F32) flops = chains<float>(steps, &f);
  *sink = f;
  return flops;
}

void peak_copy(float* to, const float* from, int64_t n, bool streaming) {
  constexpr int W = Vec<float>::size;
  for (int64_t i = 0; i + 4 * W <= n; i += 4 * W)
    for (int v = 0; v < 4; v++) {
      const Vec<float> x = Vec<float>::load(from + i + v * W);
#if defined(__AVX512F__)
      if (streaming) {
        _mm512_stream_ps(to + i + v * W, (__m512)x.v);
        continue;
      }
#elif defined(__AVX2__)
      if (streaming) {
        _mm256_stream_ps(to + i + v * W, (__m256)x.v);
        continue;
      }
#endif
      x.store(to + i + v * W);
    }
#if defined(__AVX2__)
  if (streaming) _mm_sfence();
#else
  (void)streaming;
#endif
}

}  // namespace FASTNN_ISA
}  // namespace fastnn
