// The pool: one job at a time, its chunks handed out by an atomic counter, the caller taking part.
//
// A worker that is late is never waited for: it must *enter* a job (state: open bit + number inside), and once the
// chunks are gone the caller closes the job and waits only for those inside. On a busy machine a sleeping worker can
// take 50 us or a whole time slice to wake; the caller then simply does the work itself.
#include "runtime/thread_pool.h"

#include <atomic>
#include <chrono>
#include <cmath>
#include <cstdlib>
#include <mutex>
#include <vector>

#include "runtime/os.h"

namespace fastnn {
namespace {
constexpr uint32_t kOpen = 1u << 31;     // state: the job may be entered; the lower bits count who is inside
constexpr uint32_t kWaiting = 1u << 30;  // state: the caller sleeps until the count is 0
constexpr uint32_t kInside = kWaiting - 1;
constexpr int kSpinMicroseconds = 50;  // a training step's next kernel usually comes sooner; then the core is freed

inline void pause_cpu() {
#if defined(__x86_64__) || defined(__i386__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

// The floating-point control register (rounding, flush-to-zero). Workers take the caller's for each job: with its own,
// a worker started earlier could give other bits than the caller would.
#if defined(__x86_64__)
using FpControl = uint32_t;
constexpr FpControl kControlBits = 0xffc0;  // the rest are sticky exception flags
inline FpControl fp_control() { return __builtin_ia32_stmxcsr() & kControlBits; }
inline void set_fp_control(FpControl c) { __builtin_ia32_ldmxcsr(c); }
#elif defined(__aarch64__)
using FpControl = uint64_t;
inline FpControl fp_control() {
  FpControl c;
  asm volatile("mrs %0, fpcr" : "=r"(c));
  return c;
}
inline void set_fp_control(FpControl c) { asm volatile("msr fpcr, %0" ::"r"(c)); }
#else
using FpControl = int;
inline FpControl fp_control() { return 0; }
inline void set_fp_control(FpControl) {}
#endif

// Spins until done() or the time is over; true when done. The clock costs as much as a few pauses, so it is read
// only now and then.
template <class F>
bool spin_until(F done, int microseconds) {
  if (microseconds <= 0) return done();
  const auto stop = std::chrono::steady_clock::now() + std::chrono::microseconds(microseconds);
  do {
    for (int i = 0; i < 16; ++i) {
      if (done()) return true;
      pause_cpu();
    }
  } while (std::chrono::steady_clock::now() < stop);
  return done();
}

// Per thread. initial-exec: a fixed offset instead of a call per access; the few bytes fit the loader's reserve.
#if defined(__linux__)
#define FASTNN_TLS __attribute__((tls_model("initial-exec")))
#else
#define FASTNN_TLS
#endif
thread_local int region FASTNN_TLS = -1;  // the thread index inside a parallel region; -1 outside
// What num_threads() last told this thread. Scratch was sized by it, so no index beyond it is handed out even when
// another thread raises the number meanwhile.
thread_local int promised FASTNN_TLS = 0;

int default_threads() {
  if (const char* env = std::getenv("OMP_NUM_THREADS")) {  // may be a list, one entry per nesting level
    long n = std::strtol(env, nullptr, 10);
    if (n >= 1) return static_cast<int>(n < kMaxThreads ? n : kMaxThreads);
  }
  int n = os::usable_cpus();
  double quota = os::cpu_quota("");
  if (quota > 0 && std::ceil(quota) < n) n = static_cast<int>(std::ceil(quota));
  return n < kMaxThreads ? n : kMaxThreads;
}

class Pool {
 public:
  void run(int64_t n, void (*body)(void*, int64_t, int), void* ctx, int threads);
  void before_fork();
  void after_fork() { busy_.unlock(); }

 private:
  void build(int threads);
  void stop();
  void keep_workers_off_this_cpu();
  void work(int index);
  void take_chunks(int index);

  std::mutex busy_;  // held for the length of a job, and across fork()
  int built_for_ = 1;
  std::vector<os::Thread*> workers_;
  int spin_ = kSpinMicroseconds;
  int kept_off_ = -1;  // the processor that the workers were last told to leave to the caller
  std::atomic<bool> stopping_{false};

  // The job: written while the pool is closed and empty.
  void (*body_)(void*, int64_t, int) = nullptr;
  void* ctx_ = nullptr;
  int64_t n_ = 0;
  int threads_ = 1;
  FpControl fp_ = 0;

  // Each on a line of its own: workers watch epoch_ while others hammer next_.
  alignas(64) std::atomic<uint32_t> epoch_{0};  // counts jobs; what idle workers watch and sleep on
  std::atomic<int> sleepers_{0};
  alignas(64) std::atomic<uint32_t> state_{0};
  alignas(64) std::atomic<int64_t> next_{0};
  char pad_[64 - sizeof(std::atomic<int64_t>)] = {};
};

std::atomic<int> wanted{0};  // 0: not decided yet

Pool& pool() {
  // Never destroyed: at exit workers may still watch it.
  static Pool* p = [] {
    Pool* made = new Pool;
    os::at_fork([] { pool().before_fork(); }, [] { pool().after_fork(); }, [] { pool().after_fork(); });
    return made;
  }();
  return *p;
}

void Pool::build(int threads) {
  stop();
  built_for_ = threads;  // also when the system refuses some of them: not tried again for every job
  // More threads than processors: a spinning one would keep a working one from running.
  int cpus = os::usable_cpus();
  double quota = os::cpu_quota("");
  if (quota > 0 && quota < cpus) cpus = static_cast<int>(std::ceil(quota));
  spin_ = threads <= cpus ? kSpinMicroseconds : 0;
  kept_off_ = -1;
  struct Start {
    Pool* pool;
    int index;
  };
  for (int i = 1; i < threads; ++i) {
    Start* s = new Start{this, i};
    os::Thread* t = os::start_thread(
        [](void* p) {
          Start start = *static_cast<Start*>(p);
          delete static_cast<Start*>(p);
          start.pool->work(start.index);
        },
        s);
    if (!t) {
      delete s;
      break;
    }
    workers_.push_back(t);
  }
  keep_workers_off_this_cpu();
}

void Pool::stop() {
  if (workers_.empty()) return;
  stopping_.store(true);
  epoch_.fetch_add(1);
  os::wake(&epoch_, static_cast<int>(workers_.size()));
  for (os::Thread* t : workers_) os::join_thread(t);
  workers_.clear();
  stopping_.store(false);
}

// Linux may wake a sleeper on its waker's own processor. There it waits for the caller's time slice to end, which does
// the whole job meanwhile; then it finds no job and sleeps again, and so on for good (seen: a product that took 300 us
// instead of 150 for the life of the process). So sleepers are sent elsewhere before they are woken.
void Pool::keep_workers_off_this_cpu() {
  if (spin_ == 0) return;  // more threads than processors
  const int cpu = os::current_cpu();
  if (cpu == kept_off_) return;
  kept_off_ = cpu;
  for (os::Thread* t : workers_) os::keep_off(t, cpu);
}

// Before a fork the workers end (after the job that may be running); both sides start new ones when they need them.
void Pool::before_fork() {
  busy_.lock();
  stop();
  built_for_ = 1;
}

void Pool::take_chunks(int index) {
  void (*const body)(void*, int64_t, int) = body_;
  void* const ctx = ctx_;
  const int64_t n = n_;
  // Many small chunks are taken several at a time: on many cores the counter would be what limits. At most 1/32 of a
  // thread's share, so that the last ones out still finish together.
  const int64_t batch = n / (32 * int64_t{threads_}) + 1;
  for (int64_t i; (i = next_.fetch_add(batch, std::memory_order_relaxed)) < n;)
    for (int64_t end = i + batch < n ? i + batch : n; i < end; ++i) body(ctx, i, index);
}

void Pool::work(int index) {
  region = index;
  uint32_t seen = 0;  // the first look at epoch_ differs as a rule: then a job is looked for at once
  for (;;) {
    auto changed = [&] { return epoch_.load(std::memory_order_acquire) != seen; };
    if (!spin_until(changed, spin_)) {
      sleepers_.fetch_add(1);  // before the kernel's own look at epoch_; run() adds to epoch_, then looks at sleepers_
      while (!changed()) os::wait_while(&epoch_, seen);
      sleepers_.fetch_sub(1);
    }
    seen = epoch_.load(std::memory_order_acquire);
    if (stopping_.load(std::memory_order_acquire)) return;
    uint32_t s = state_.load(std::memory_order_relaxed);
    while ((s & kOpen) && !state_.compare_exchange_weak(s, s + 1, std::memory_order_acquire)) {
    }
    if (!(s & kOpen)) continue;  // closed already: too late for this one
    if (index < threads_) {
      if (fp_control() != fp_) set_fp_control(fp_);
      take_chunks(index);
    }
    uint32_t before = state_.fetch_sub(1, std::memory_order_acq_rel);
    if (before == (kWaiting | 1)) os::wake(&state_, 1);
  }
}

void Pool::run(int64_t n, void (*body)(void*, int64_t, int), void* ctx, int threads) {
  // Another Python thread's job has the workers: run alone beside it rather than wait.
  std::unique_lock<std::mutex> lock(busy_, std::try_to_lock);
  region = 0;
  if (!lock.owns_lock()) {
    for (int64_t i = 0; i < n; ++i) body(ctx, i, 0);
    region = -1;
    return;
  }
  const int now = wanted.load(std::memory_order_relaxed);
  if (built_for_ != now) build(now);
  body_ = body;
  ctx_ = ctx;
  n_ = n;
  threads_ = threads;
  fp_ = fp_control();
  next_.store(0, std::memory_order_relaxed);
  state_.store(kOpen, std::memory_order_release);
  epoch_.fetch_add(1);
  if (int asleep = sleepers_.load()) {
    keep_workers_off_this_cpu();
    os::wake(&epoch_, asleep < n - 1 ? asleep : static_cast<int>(n - 1));
  }

  take_chunks(0);

  uint32_t s = state_.fetch_and(~kOpen, std::memory_order_acq_rel);
  if (s & kInside) {
    auto empty = [&] { return (state_.load(std::memory_order_acquire) & kInside) == 0; };
    if (!spin_until(empty, spin_)) {
      s = state_.fetch_or(kWaiting, std::memory_order_acq_rel) | kWaiting;
      while (s & kInside) {
        os::wait_while(&state_, s);
        s = state_.load(std::memory_order_acquire);
      }
      state_.store(0, std::memory_order_relaxed);
    }
  }
  region = -1;
}
}  // namespace

int num_threads() {
  int n = wanted.load(std::memory_order_relaxed);
  if (n == 0) {
    int expected = 0;
    n = default_threads();
    if (!wanted.compare_exchange_strong(expected, n)) n = expected;
  }
  return promised = n;
}

void set_num_threads(int n) {
  wanted.store(n < 1 ? 1 : n > kMaxThreads ? kMaxThreads : n);
  promised = n;
}

void parallel_run(int64_t n, void (*body)(void*, int64_t, int), void* ctx) {
  if (n <= 0) return;
  const int threads = promised ? promised : num_threads();
  if (n > 1 && threads > 1 && region < 0 && wanted.load(std::memory_order_relaxed) > 1) {
    pool().run(n, body, ctx, threads);
    return;
  }
  const int index = region < 0 ? 0 : region;
  for (int64_t i = 0; i < n; ++i) body(ctx, i, index);
}
}  // namespace fastnn
