// Batches of matrices of at most 16 by 16: a few hundred multiply-adds, fewer than it takes to choose a form and to
// pack. Rows of B where they lie (copied to the stack where B is transposed), four rows of C at a time. Each element is
// one chain of FMAs in the order of k, as in gemm_core.h.
#pragma once
#include "cpu/gemm_core.h"

namespace fastnn {
namespace FASTNN_ISA {
namespace {

constexpr int64_t kTiny = 16;
constexpr int64_t kTinyMacs = 1024;  // a product's cost in those of a large one, about

FASTNN_INLINE bool tiny_fits(const GemmArgs& g) {
  return g.batch > 1 && g.m <= kTiny && g.n <= kTiny && g.k <= kTiny && !g.bias && g.act == GemmAct::None &&
         !g.accumulate && (g.dtype == Dtype::F32 || g.dtype == Dtype::F64);
}

template <class T>
void tiny_product(const GemmArgs& g, const T* a, const T* b, T* c) {
  constexpr int64_t W = Vec<T>::size;
  alignas(64) T turned[kTiny * kTiny];
  int64_t ldb = g.b_rs;
  if (g.b_cs != 1) {
    for (int64_t k = 0; k < g.k; k++)
      for (int64_t j = 0; j < g.n; j++) turned[k * kTiny + j] = b[k * g.b_rs + j * g.b_cs];
    b = turned;
    ldb = kTiny;
  }
  for (int64_t j = 0; j < g.n; j += W) {
    const int cols = static_cast<int>(min_i(W, g.n - j));
    const auto rows = [&](auto count, int64_t i) __attribute__((always_inline)) {
      constexpr int R = decltype(count)::value;
      Vec<T> acc[R];
      unroll<R>([&](auto r) __attribute__((always_inline)) { acc[r] = Vec<T>::zero(); });
      for (int64_t k = 0; k < g.k; k++) {
        const Vec<T> row = Vec<T>::load(b + k * ldb + j, cols);
        unroll<R>([&](auto r) __attribute__((always_inline)) {
          acc[r] = fma(Vec<T>(a[(i + r) * g.a_rs + k * g.a_cs]), row, acc[r]);
        });
      }
      unroll<R>([&](auto r) __attribute__((always_inline)) { acc[r].store(c + (i + r) * g.ldc + j, cols); });
    };
    int64_t i = 0;
    for (; i + 4 <= g.m; i += 4) rows(Int<4>(), i);
    for (; i < g.m; i++) rows(Int<1>(), i);
  }
}

// Products begin .. end - 1 of a batch.
template <class T>
void tiny_batch(const GemmArgs& g, int64_t begin, int64_t end) {
  for (int64_t i = begin; i < end; i++)
    tiny_product(g, static_cast<const T*>(g.a) + i * g.a_bs, static_cast<const T*>(g.b) + i * g.b_bs,
                 static_cast<T*>(g.c) + i * g.c_bs);
}

}  // namespace
}  // namespace FASTNN_ISA
}  // namespace fastnn
