// Linux: futex, huge pages, affinity, control groups, fork handlers.
#include <linux/futex.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>

#include "runtime/os.h"

namespace fastnn {
namespace os {
namespace {
constexpr size_t kHuge = size_t{2} << 20;

// The file's first `size - 1` bytes as text; false when it cannot be read.
bool read_text(const std::string& path, char* out, size_t size) {
  FILE* f = std::fopen(path.c_str(), "re");
  if (!f) return false;
  size_t n = std::fread(out, 1, size - 1, f);
  std::fclose(f);
  out[n] = 0;
  return n > 0;
}

// Calls visit(directory) for `path` under `mount` and each of its parents: every level's limit applies. In a container
// /proc often shows the host's path, which does not exist below the mount: then only the mount itself answers.
template <class F>
void for_each_level(const std::string& mount, std::string path, F visit) {
  for (;;) {
    while (!path.empty() && path.back() == '/') path.pop_back();
    visit(mount + path);
    if (path.empty()) return;
    size_t slash = path.rfind('/');
    path.resize(slash == std::string::npos ? 0 : slash);
  }
}

// Calls v1(directory) or v2(directory) for each level of this process's control group with `controller`.
template <class V1, class V2>
void for_each_group(const std::string& root, const char* controller, V1 v1, V2 v2) {
  char text[8192];
  if (!read_text(root + "/proc/self/cgroup", text, sizeof text)) return;
  const std::string base = root + "/sys/fs/cgroup";
  char* rest = text;
  while (char* line = strtok_r(rest, "\n", &rest)) {  // "id:controllers:path"
    char* names = std::strchr(line, ':');
    char* path = names ? std::strchr(names + 1, ':') : nullptr;
    if (!path) continue;
    std::string list(names + 1, path - names - 1);
    ++path;
    if (list.empty()) {
      for_each_level(base, path, v2);
      for_each_level(base + "/unified", path, v2);  // v1 and v2 side by side
    } else if (("," + list + ",").find(std::string(",") + controller + ",") != std::string::npos) {
      for_each_level(base + "/" + list, path, v1);
      if (list != controller) for_each_level(base + "/" + controller, path, v1);  // the usual symbolic link
    }
  }
}

// visit(set, bytes) with the caller's affinity; not called where the system does not tell.
template <class F>
void with_affinity(F visit) {
  bool told = false;
  for (size_t cpus = 1024; !told && cpus <= (size_t{1} << 18); cpus *= 4) {  // a mask shorter than its own is refused
    cpu_set_t* set = CPU_ALLOC(cpus);
    if (!set) return;
    size_t bytes = CPU_ALLOC_SIZE(cpus);
    CPU_ZERO_S(bytes, set);
    told = sched_getaffinity(0, bytes, set) == 0 && CPU_COUNT_S(bytes, set) > 0;
    if (told) visit(set, bytes);
    CPU_FREE(set);
  }
}
}  // namespace

const char* name() { return "linux"; }

int usable_cpus() {
  int n = 0;
  with_affinity([&](cpu_set_t* set, size_t bytes) { n = CPU_COUNT_S(bytes, set); });
  if (n <= 0) n = static_cast<int>(sysconf(_SC_NPROCESSORS_ONLN));
  return n > 0 ? n : 1;
}

double cpu_quota(const char* root) {
  double best = 0;
  auto take = [&best](double quota, double period) {
    if (quota > 0 && period > 0 && (best == 0 || quota / period < best)) best = quota / period;
  };
  char text[128], text2[128];
  for_each_group(
      root, "cpu",
      [&](const std::string& dir) {
        if (read_text(dir + "/cpu.cfs_quota_us", text, sizeof text) &&
            read_text(dir + "/cpu.cfs_period_us", text2, sizeof text2))
          take(std::atof(text), std::atof(text2));  // -1: unlimited
      },
      [&](const std::string& dir) {
        if (!read_text(dir + "/cpu.max", text, sizeof text)) return;  // "max 100000" or "150000 100000"
        char* period = std::strchr(text, ' ');
        if (period && std::strncmp(text, "max", 3) != 0) take(std::atof(text), std::atof(period));
      });
  return best;
}

size_t memory_limit() {
  long pages = sysconf(_SC_PHYS_PAGES), size = sysconf(_SC_PAGESIZE);
  size_t best = pages > 0 && size > 0 ? static_cast<size_t>(pages) * static_cast<size_t>(size) : 0;
  char text[128];
  auto take = [&](const std::string& file) {
    if (!read_text(file, text, sizeof text) || std::strncmp(text, "max", 3) == 0) return;
    size_t v = std::strtoull(text, nullptr, 10);
    if (v && (best == 0 || v < best)) best = v;
  };
  for_each_group(
      "", "memory", [&](const std::string& dir) { take(dir + "/memory.limit_in_bytes"); },
      [&](const std::string& dir) { take(dir + "/memory.max"); });
  return best;
}

void wait_while(std::atomic<uint32_t>* word, uint32_t value) {
  syscall(SYS_futex, reinterpret_cast<uint32_t*>(word), FUTEX_WAIT_PRIVATE, value, nullptr, nullptr, 0);
}

void wake(std::atomic<uint32_t>* word, int count) {
  syscall(SYS_futex, reinterpret_cast<uint32_t*>(word), FUTEX_WAKE_PRIVATE, count, nullptr, nullptr, 0);
}

void* map_pages(size_t bytes) {
  if (bytes > SIZE_MAX - kHuge) return nullptr;
  // Mapped too long by up to one huge page, then cut to the aligned part.
  void* raw = mmap(nullptr, bytes + kHuge, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (raw == MAP_FAILED) return nullptr;
  uintptr_t start = reinterpret_cast<uintptr_t>(raw), aligned = (start + kHuge - 1) / kHuge * kHuge;
  if (aligned != start) munmap(raw, aligned - start);
  size_t behind = start + kHuge - aligned;
  if (behind) munmap(reinterpret_cast<void*>(aligned + bytes), behind);
  madvise(reinterpret_cast<void*>(aligned), bytes, MADV_HUGEPAGE);  // a hint: works without
  return reinterpret_cast<void*>(aligned);
}

void unmap_pages(void* p, size_t bytes) { munmap(p, bytes); }

struct Thread {
  pthread_t handle;
  void (*run)(void*);
  void* arg;
};

Thread* start_thread(void (*run)(void*), void* arg) {
  Thread* t = new Thread{{}, run, arg};
  sigset_t all, before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);  // inherited by the new thread
  int err = pthread_create(
      &t->handle, nullptr,
      [](void* p) -> void* {
        Thread* self = static_cast<Thread*>(p);
        self->run(self->arg);
        return nullptr;
      },
      t);
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
  if (err == 0) return t;
  delete t;
  return nullptr;
}

void join_thread(Thread* t) {
  pthread_join(t->handle, nullptr);
  delete t;
}

int current_cpu() { return sched_getcpu(); }

void keep_off(Thread* t, int cpu) {
  with_affinity([&](cpu_set_t* set, size_t bytes) {
    if (cpu >= 0 && CPU_COUNT_S(bytes, set) > 1) CPU_CLR_S(static_cast<size_t>(cpu), bytes, set);
    pthread_setaffinity_np(t->handle, bytes, set);
  });
}

void at_fork(void (*before)(), void (*parent)(), void (*child)()) { pthread_atfork(before, parent, child); }

}  // namespace os
}  // namespace fastnn
