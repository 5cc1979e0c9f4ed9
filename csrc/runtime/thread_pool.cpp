#include "runtime/thread_pool.h"

namespace fastnn {
namespace {
int threads_wanted = 2;
}
int num_threads() { return threads_wanted; }
void set_num_threads(int n) { threads_wanted = n; }
void parallel_run(int64_t n, void (*body)(void*, int64_t, int), void* ctx) {
  for (int64_t i = 0; i < n; ++i) body(ctx, i, 0);
}
}  // namespace fastnn
