// What the operating system provides, and nothing else does: one small file per system (os_linux.cpp), and a generic
// one (os_generic.cpp: standard C++ only) that passes the same tests. CMake picks one.
#pragma once
#include <atomic>
#include <cstddef>
#include <cstdint>

namespace fastnn {
namespace os {

const char* name();  // "linux", "generic"

int usable_cpus();  // processors that this process may run on (its affinity), at least 1

// Processors' worth of time that the control group allows, 0 = unlimited. `root` is prefixed to every file read (tests
// lay out a small tree); "" in use.
double cpu_quota(const char* root);

size_t memory_limit();  // bytes this process may fill: physical memory or the control group's limit; 0 = unknown

// Sleeps while *word == value; may return early. wake() wakes up to `count` sleepers on `word`.
void wait_while(std::atomic<uint32_t>* word, uint32_t value);
void wake(std::atomic<uint32_t>* word, int count);

// Fresh zero pages, 2 MiB aligned and advised to huge pages where the system has them; null when there are none left.
// `bytes` is a multiple of 4096.
void* map_pages(size_t bytes);
void unmap_pages(void* p, size_t bytes);

// A thread that takes no signals (they belong to Python's main thread). Null when the system refuses.
struct Thread;
Thread* start_thread(void (*run)(void*), void* arg);
void join_thread(Thread* t);

// The processor the caller is on, or -1. keep_off(): from now on `t` runs where the caller may run, less `cpu` (or on
// that one too where there is no other).
int current_cpu();
void keep_off(Thread* t, int cpu);

// Handlers around fork(): in the parent before, in the parent after, in the child. No-op where there is no fork.
void at_fork(void (*before)(), void (*parent)(), void (*child)());

}  // namespace os
}  // namespace fastnn
