// The caching allocator of every result and workspace: 64-byte aligned, size classes, nothing unmapped in steady state.
#pragma once
#include <cstddef>
#include <cstdint>

namespace fastnn {
struct MemoryStats {
  uint64_t in_use, cached, peak, allocations, reused;  // bytes, bytes, bytes, calls, calls served from the cache
};
void* allocate(size_t bytes);  // null when the system has no more; bytes 0 gives a valid block
void release(void* p);         // any thread; null is ignored
MemoryStats memory_stats();
void empty_cache();  // gives every cached block back to the system

// For tests: the n-th allocate() from now returns null, once (0: none). Every error path can be walked that way.
void fail_allocation(uint64_t n);
}  // namespace fastnn
