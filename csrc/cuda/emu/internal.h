// The engine's own structures, shared by engine.cpp, meeting.cpp and the twins of the asynchronous instructions.
#pragma once
#include <cstdint>
#include <functional>
#include <vector>

#include "cuda/emu/engine.h"

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/asan_interface.h>
#define FASTNN_POISON(p, n) __asan_poison_memory_region(p, n)
#define FASTNN_UNPOISON(p, n) __asan_unpoison_memory_region(p, n)
#else
#define FASTNN_POISON(p, n) ((void)0)
#define FASTNN_UNPOISON(p, n) ((void)0)
#endif
#if defined(FASTNN_EMU_TSAN)
#if defined(__SANITIZE_THREAD__)
#error "the engine's own files are compiled without -fsanitize=thread: its accesses are not the kernel's"
#endif
#include <sanitizer/tsan_interface.h>
extern "C" {
void AnnotateIgnoreReadsBegin(const char*, int);
void AnnotateIgnoreReadsEnd(const char*, int);
void AnnotateIgnoreWritesBegin(const char*, int);
void AnnotateIgnoreWritesEnd(const char*, int);
void __tsan_read_range(void*, size_t);
void __tsan_write_range(void*, size_t);
}
#endif

namespace fastnn {
namespace emu {

#if defined(FASTNN_EMU_TSAN)
inline void acquire(void* token) { __tsan_acquire(token); }
inline void release(void* token) { __tsan_release(token); }
// An access that a twin makes for the kernel, in the name of the fiber that is running.
inline void note_read(const void* p, size_t n) { __tsan_read_range(const_cast<void*>(p), n); }
inline void note_write(void* p, size_t n) { __tsan_write_range(p, n); }
// The C library's own hooks (malloc, memcpy) would count the engine's memory as the kernel's.
struct Quiet {
  Quiet() {
    AnnotateIgnoreReadsBegin("", 0);
    AnnotateIgnoreWritesBegin("", 0);
  }
  ~Quiet() {
    AnnotateIgnoreReadsEnd("", 0);
    AnnotateIgnoreWritesEnd("", 0);
  }
  Quiet(const Quiet&) = delete;
};
#else
inline void acquire(void*) {}
inline void release(void*) {}
inline void note_read(const void*, size_t) {}
inline void note_write(void*, size_t) {}
struct Quiet {
  Quiet() {}
  ~Quiet() {}
};
#endif

// A place to order memory by. One for each phase of each barrier, never reused within a launch: a later phase must not
// inherit what earlier ones have ordered.
void* new_token();

struct Block;
struct Fiber {
  View view;
  void* stack_pointer;
  char* stack;
  Block* block;
  const unsigned* wait_word;  // not runnable while *wait_word == wait_value
  unsigned wait_value;
  bool done;
  unsigned cluster_phase;  // that cluster_wait waits for
  void* cluster_token;
  const char* doing;  // and where: for reports
  Where where;
  bool fenced;                    // a __threadfence came before: atomics publish
  std::vector<const void*> seen;  // atomics read since the last fence
  void* sanitizer;                // TSan's fiber
};

struct Barrier {
  unsigned arrived = 0, phase = 0, sum = 0, count = 0;
  unsigned result[2] = {0, 0};  // of even and of odd phases
  void* token = nullptr;
  Where where{nullptr, 0};
};

// Everybody is here.
inline void complete(Barrier& b) {
  b.result[b.phase & 1] = b.sum;
  b.arrived = 0;
  ++b.phase;
}

struct Meeting {  // of lanes of a warp
  const char* what;
  Where where;
  unsigned mask, arrived, left, phase;
  bool ordered;
  void* lanes[32];
  void* token;
};

struct Group;       // blocks that are alive together: a cluster, or a grid
struct AsyncState;  // async.cpp

struct Block {
  Index3 index;
  unsigned rank, threads, live;
  Group* group;
  char* arena;  // shared memory: static variables, then dynamic
  size_t static_used, dynamic_bytes;
  std::vector<std::pair<const void*, size_t>> variables;
  Barrier barriers[16];
  std::vector<std::vector<Meeting*>> warps;
  std::vector<Fiber*> fibers;
  void *arena_token, *arena_end;  // of the memory's last owner, and of this one for the next
  AsyncState* async;
};

struct Group {
  std::vector<Block*> blocks;
  Barrier cluster, grid;
  unsigned live = 0;
};

// The arena of a block: dynamic shared memory from 0, static above it.
constexpr size_t kArenaBytes = 320 * 1024, kStaticOffset = 256 * 1024;

Fiber* running();
Block* block();
void wait_while(const unsigned* word, unsigned value, const char* doing, Where where);
void yield(Where where);  // lets the others go on
unsigned random_word();
bool random_schedule();
bool reverse_schedule();

// Engines beside the threads (TMA, tensor cores, cp.async): async.cpp. What they do lands when the schedule says.
AsyncState* async_begin(Block* block);
void async_end(Block* block);   // all threads have exited
bool async_land(Block* block);  // lands one operation; false: there was none
// A load by TMA: `land` moves the bytes when the schedule says, in the name of an engine of its own.
void queue_load(void* shared, size_t bytes, bool swizzle, uint64_t* barrier, std::function<void()> land, Where where);

}  // namespace emu
}  // namespace fastnn
