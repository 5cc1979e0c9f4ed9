// Matrix products: the type's kernel, and batches.
#include "cpu/gemm_one.h"
#include "cpu/gemm_tiny.h"
#include "cpu/tuning.h"
#include "runtime/thread_pool.h"

namespace fastnn {
namespace FASTNN_ISA {
namespace {

int64_t one_workspace(const GemmArgs& g, int threads) {
  const int64_t bytes = g.dtype == Dtype::F64    ? gemm_f64_workspace(g, threads)
                        : g.dtype == Dtype::BF16 ? gemm_bf16_workspace(g)
                                                 : gemm_f32_workspace(g, threads);
  return (bytes + 63) / 64 * 64;
}

// Products small enough that a batch is spread over the threads whole; larger ones are each spread themselves.
inline bool batch_in_parallel(const GemmArgs& g) { return g.batch > 1 && g.m * g.n * g.k <= 4 * 1024 * 1024; }

void run_item(const GemmArgs& g, int64_t i, const Ctx& ctx) {
  GemmArgs one = g;
  const int64_t es = g.dtype == Dtype::F64 ? 8 : g.dtype == Dtype::BF16 ? 2 : 4;
  one.a = static_cast<const char*>(g.a) + i * g.a_bs * es;
  one.b = static_cast<const char*>(g.b) + i * g.b_bs * es;
  one.c = static_cast<char*>(g.c) + i * g.c_bs * es;
  switch (g.dtype) {
    case Dtype::F64:
      return gemm_f64(one, ctx);
    case Dtype::BF16:
      return gemm_bf16(one, ctx.workspace);
    default:
      return gemm_f32(one, ctx);
  }
}
}  // namespace

int64_t gemm_workspace(const GemmArgs& g, int threads) {
  if (tiny_fits(g)) return 0;
  return batch_in_parallel(g) ? one_workspace(g, 1) * threads : one_workspace(g, threads);
}

void gemm(const GemmArgs& g, const Ctx& ctx) {
  if (!batch_in_parallel(g)) {
    for (int64_t i = 0; i < g.batch; i++) run_item(g, i, ctx);
    return;
  }
  const bool tiny = tiny_fits(g);
  const int64_t bytes = tiny ? 0 : one_workspace(g, 1);
  const int64_t work = tiny ? kTinyMacs : g.m * g.n * g.k + 1, per = work >= kGemmChunkMacs ? 1 : kGemmChunkMacs / work;
  parallel_for((g.batch + per - 1) / per, [&](int64_t chunk, int thread) {
    const int64_t end = (chunk + 1) * per < g.batch ? (chunk + 1) * per : g.batch;
    if (tiny)
      return g.dtype == Dtype::F64 ? tiny_batch<double>(g, chunk * per, end) : tiny_batch<float>(g, chunk * per, end);
    for (int64_t i = chunk * per; i < end; i++) run_item(g, i, {1, static_cast<char*>(ctx.workspace) + thread * bytes});
  });
}

}  // namespace FASTNN_ISA
}  // namespace fastnn
