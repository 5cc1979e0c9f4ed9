// The engine that runs CUDA kernels on a CPU: what the twins of CUDA's own functions call. Each CUDA thread is a fiber;
// fibers change only at synchronisation, in an order that the schedule gives. The state lives in engine.cpp, which is
// compiled without ThreadSanitizer, so that only the kernel's own accesses are recorded.
#pragma once
#include <cstddef>
#include <cstdint>

namespace fastnn {
namespace emu {

struct Index3 {
  unsigned x, y, z;
};
struct Where {
  const char* file;
  int line;
};
#define FASTNN_EMU_HERE \
  ::fastnn::emu::Where { file, line }

// What a thread sees of itself; the running fiber's.
struct View {
  Index3 thread, block, block_dim, grid_dim;
  unsigned linear;        // of the thread within its block
  unsigned cluster_rank;  // of the block within its cluster
  unsigned cluster_size;
  char* dynamic_shared;
};
extern View* current;

// ---- launches ----
struct Launch {
  const char* what;
  Index3 grid, block;
  size_t shared;          // bytes of dynamic shared memory
  unsigned cluster = 1;   // blocks of one cluster, along x
  bool together = false;  // all blocks at once: a cooperative launch
};
// Runs the grid; throws std::runtime_error at a deadlock or at a misuse, with the places of the threads.
void run(const Launch& launch, void (*kernel)(void*), void* arguments);

// What the device says of itself. Few multiprocessors: a persistent block then computes several tiles.
inline int capability = 90, multiprocessors = 2;
inline size_t block_shared = 232448;  // bytes that a block may ask for

// Schedules: "forward", "reverse", or "random:<seed>". Default: FASTNN_EMU_SCHEDULE, else forward.
void set_schedule(const char* text);
// How many switches between fibers the last launch took, for tests of the engine itself.
uint64_t switches();

// A misuse that hardware would answer with an error, a hang or wrong numbers: ends the launch.
[[noreturn]] void fail(Where where, const char* format, ...) __attribute__((format(printf, 2, 3)));

// ---- shared memory ----
constexpr size_t kMaxDynamicShared = 232448, kMaxStaticShared = 49152;
// The block's variable of this key, made (and filled with NaN) by the first thread that comes by.
void* static_shared(const void* key, size_t bytes, const char* name);
// The address as the hardware's 32-bit shared-memory address; fails for memory that is not the block's.
uint32_t shared_address(const void* p, Where where);
char* shared_pointer(uint32_t address);                        // the other way, within the running block
void* peer_shared(const void* p, unsigned rank, Where where);  // the same variable in another block of the cluster

// ---- barriers ----
// count 0: all threads of the block that have not exited. Returns the sum of `value` over the arrivals.
unsigned barrier(unsigned id, unsigned count, bool wait, unsigned value, Where where);
void cluster_arrive(Where where);
void cluster_wait(Where where);
void grid_barrier(Where where);  // cooperative launches only

// ---- warps ----
// The lanes of `mask` meet; the last one calls finish(lanes), lanes[i] being lane i's `mine` (null where not in the
// mask). `ordered`: memory is ordered as __syncwarp does (shuffles do not).
void warp_meet(const char* what, unsigned mask, void* mine, void (*finish)(void** lanes), bool ordered, Where where);

// ---- memory order ----
void fence();  // __threadfence
void before_atomic(const void* p);
void after_atomic(const void* p);
void pause(Where where);  // lets others run: inside loops that wait for memory

void check_aligned(const void* p, size_t bytes, Where where);

}  // namespace emu
}  // namespace fastnn
