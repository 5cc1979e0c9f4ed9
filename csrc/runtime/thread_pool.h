// The thread pool. Work is cut into chunks by shape alone, never by the number of threads, so that results have the
// same bits at any thread count; the pool only decides who runs which chunk.
#pragma once
#include <cstdint>

namespace fastnn {

#pragma GCC visibility push(hidden)
constexpr int kMaxThreads = 1024;
int num_threads();            // what set_num_threads said, else OMP_NUM_THREADS, else affinity and cgroup quota
void set_num_threads(int n);  // n >= 1; starts n - 1 workers at the next parallel_run, on any number of cores

// Calls body(ctx, i, thread) for every i in [0, n); returns when all are done. 0 <= thread < what num_threads() last
// returned to the calling thread, so that scratch per thread can be sized by it. Runs serially on the caller for n <=
// 1, for one thread, when called from inside a parallel region (with the caller's thread index) and while another
// thread's job has the workers. A single chunk is no region: a call inside it may use the workers. Chunks are handed
// out in increasing order. body must not throw.
void parallel_run(int64_t n, void (*body)(void* ctx, int64_t i, int thread), void* ctx);
#pragma GCC visibility pop

namespace {
// f(i, thread). In an anonymous namespace: nothing of it may become a symbol that another instruction set links to.
template <class F>
inline void parallel_for(int64_t n, const F& f) {
  struct Thunk {
    static void run(void* ctx, int64_t i, int thread) { (*static_cast<const F*>(ctx))(i, thread); }
  };
  parallel_run(n, &Thunk::run, const_cast<void*>(static_cast<const void*>(&f)));
}
}  // namespace
}  // namespace fastnn
