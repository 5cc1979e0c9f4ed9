// Any system: standard C++ only. No huge pages, affinity or quota; sleeping by condition variable.
#include <condition_variable>
#include <cstdlib>
#include <mutex>
#include <new>
#include <system_error>
#include <thread>

#include "runtime/os.h"

namespace fastnn {
namespace os {
namespace {
// One for all words: the pool has two, and sleeps seldom.
struct Sleepers {
  std::mutex mutex;
  std::condition_variable changed;
};
Sleepers& sleepers() {
  static Sleepers* s = new Sleepers;  // never destroyed: workers may sleep in it when the process exits
  return *s;
}
constexpr size_t kAlign = size_t{2} << 20;
}  // namespace

const char* name() { return "generic"; }

int usable_cpus() {
  unsigned n = std::thread::hardware_concurrency();
  return n ? static_cast<int>(n) : 1;
}
double cpu_quota(const char*) { return 0; }
size_t memory_limit() { return 0; }

void wait_while(std::atomic<uint32_t>* word, uint32_t value) {
  Sleepers& s = sleepers();
  std::unique_lock<std::mutex> lock(s.mutex);
  s.changed.wait(lock, [&] { return word->load() != value; });
}

void wake(std::atomic<uint32_t>*, int) {
  Sleepers& s = sleepers();
  {
    std::lock_guard<std::mutex> lock(s.mutex);
  }  // a sleeper between its check and its sleep is waited for
  s.changed.notify_all();
}

// Aligned by hand, the address that malloc gave kept in front: aligned_alloc is not everywhere.
void* map_pages(size_t bytes) {
  if (bytes > SIZE_MAX - 2 * kAlign) return nullptr;
  void* raw = std::malloc(bytes + kAlign + sizeof(void*));
  if (!raw) return nullptr;
  uintptr_t p = (reinterpret_cast<uintptr_t>(raw) + sizeof(void*) + kAlign - 1) / kAlign * kAlign;
  reinterpret_cast<void**>(p)[-1] = raw;
  return reinterpret_cast<void*>(p);
}
void unmap_pages(void* p, size_t) { std::free(static_cast<void**>(p)[-1]); }

struct Thread {
  std::thread handle;
};
Thread* start_thread(void (*run)(void*), void* arg) {
  try {
    return new Thread{std::thread(run, arg)};
  } catch (const std::system_error&) {
    return nullptr;
  }
}
void join_thread(Thread* t) {
  t->handle.join();
  delete t;
}
int current_cpu() { return -1; }
void keep_off(Thread*, int) {}
void at_fork(void (*)(), void (*)(), void (*)()) {}

}  // namespace os
}  // namespace fastnn
