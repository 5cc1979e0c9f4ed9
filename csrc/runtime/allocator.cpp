// Free lists by size class under one spin lock; freed blocks stay in their list, warm, for the next request.
//
// Why: a fresh page costs 1.4 to 9 us here (fault, zeroing), so a 100 MB result from malloc, which maps and unmaps it
// each time, costs 25 ms and more before its first value is written. A training step asks for the same sizes again and
// again: after the first step every request is served from the lists.
#include "runtime/allocator.h"

#include <sched.h>

#include <atomic>
#include <cstdlib>
#include <cstring>
#include <new>

#include "runtime/os.h"

namespace fastnn {
namespace {
// Classes: multiples of 64 up to 1024, then 8 per doubling, so that a block is at most 12.5% larger than asked.
constexpr int kSmallClasses = 16;
constexpr int kStepsPerDoubling = 8;
constexpr int kLargestLog2 = 46;  // 64 TiB
constexpr int kClasses = kSmallClasses + (kLargestLog2 - 10) * kStepsPerDoubling;
constexpr size_t kHeader = 64;              // in front of every block, so that the block itself is aligned
constexpr size_t kLarge = size_t{2} << 20;  // from here on: own pages, huge ones where the system has them
constexpr size_t kPage = 4096;

// A large request may take a block of up to this many classes more (a little over 25%): batches that vary in size, the
// last one of an epoch above all, then need no fresh pages.
constexpr int kLargeSlack = 2;

int class_of(size_t bytes) {
  if (bytes <= 1024) return bytes ? static_cast<int>((bytes - 1) / 64) : 0;
  int log2 = 63 - __builtin_clzll(bytes - 1);  // 2^log2 < bytes <= 2^(log2+1), log2 >= 10
  int step = static_cast<int>((bytes - 1 - (size_t{1} << log2)) >> (log2 - 3));
  return kSmallClasses + (log2 - 10) * kStepsPerDoubling + step;
}

size_t class_bytes(int c) {
  if (c < kSmallClasses) return static_cast<size_t>(c + 1) * 64;
  int log2 = 10 + (c - kSmallClasses) / kStepsPerDoubling, step = (c - kSmallClasses) % kStepsPerDoubling;
  return (size_t{1} << log2) + (static_cast<size_t>(step + 1) << (log2 - 3));
}

struct Header {
  Header* next;   // in the free list
  void* base;     // what malloc or the system gave
  size_t mapped;  // bytes at base when they are pages of our own, else 0
  int size_class;
  uint32_t magic;
};
static_assert(sizeof(Header) <= kHeader, "the header must fit in front of the block");
constexpr uint32_t kMagic = 0xfa57a110;

Header* header_of(void* p) { return reinterpret_cast<Header*>(static_cast<char*>(p) - kHeader); }
void* block_of(Header* h) { return reinterpret_cast<char*>(h) + kHeader; }

// A spin lock, because the critical sections are a dozen instructions; whoever finds it taken for long gives up the
// processor, since its holder may have lost its own.
class SpinLock {
 public:
  void lock() {
    for (int tries = 0; taken_.exchange(true, std::memory_order_acquire); ++tries)
      if (tries >= 64) sched_yield();
  }
  void unlock() { taken_.store(false, std::memory_order_release); }

 private:
  std::atomic<bool> taken_{false};
};

struct Cache {
  alignas(64) SpinLock lock;
  uint64_t fail_at = 0;  // the number of the allocation that fails
  MemoryStats stats{};
  unsigned colour = 0;
  bool poison = false;
  size_t limit = 0;  // of in_use + cached, before the cache is emptied to make room; 0: none
  Header* lists[kClasses] = {};
};

Cache& cache() {
  // Never destroyed: arrays may be freed after the static destructors ran.
  static Cache* c = [] {
    Cache* made = new Cache;
    const char* poison = std::getenv("FASTNN_POISON");
    made->poison = poison && *poison && std::strcmp(poison, "0") != 0;
    made->limit = os::memory_limit() / 10 * 6;
    os::at_fork([] { cache().lock.lock(); }, [] { cache().lock.unlock(); }, [] { cache().lock.unlock(); });
    return made;
  }();
  return *c;
}

Header* fresh_block(int size_class, unsigned colour) {
  const size_t bytes = class_bytes(size_class);
  char* base;
  size_t mapped = 0, offset = 0;
  if (bytes < kLarge) {
    void* p = nullptr;
    if (posix_memalign(&p, 64, kHeader + bytes) != 0) return nullptr;
    base = static_cast<char*>(p);
  } else {
    // Large blocks start at different odd multiples of 64 within a page: arrays that all began at the same offset would
    // compete for the same cache sets, and a load would falsely wait for a store with the same low 12 address bits.
    offset = (2 * (colour % 31)) * size_t{64};
    mapped = (bytes + kPage + kPage - 1) / kPage * kPage;
    base = static_cast<char*>(os::map_pages(mapped));
    if (!base) return nullptr;
  }
  return new (base + offset) Header{nullptr, base, mapped, size_class, kMagic};
}

void give_back(Header* h) {
  while (h) {
    Header* next = h->next;
    if (h->mapped)
      os::unmap_pages(h->base, h->mapped);
    else
      std::free(h->base);
    h = next;
  }
}
}  // namespace

void* allocate(size_t bytes) {
  if (bytes > (size_t{1} << kLargestLog2)) return nullptr;
  Cache& c = cache();
  const int wanted = class_of(bytes);
  const int last = bytes >= kLarge ? wanted + kLargeSlack : wanted;
  c.lock.lock();
  if (++c.stats.allocations == c.fail_at) {
    c.lock.unlock();
    return nullptr;
  }
  Header* h = nullptr;
  for (int k = wanted; k <= last && k < kClasses && !h; ++k) {
    h = c.lists[k];
    if (h) {
      c.lists[k] = h->next;
      c.stats.cached -= class_bytes(k);
      c.stats.reused++;
    }
  }
  if (!h) {
    const unsigned colour = c.colour++;
    const size_t size = class_bytes(wanted);
    const bool crowded = c.stats.cached && c.limit && c.stats.in_use + c.stats.cached + size > c.limit;
    c.lock.unlock();
    if (crowded) empty_cache();
    h = fresh_block(wanted, colour);
    if (!h) {  // memory may lie idle in other classes
      empty_cache();
      h = fresh_block(wanted, colour);
      if (!h) return nullptr;
    }
    c.lock.lock();
  }
  c.stats.in_use += class_bytes(h->size_class);
  if (c.stats.in_use > c.stats.peak) c.stats.peak = c.stats.in_use;
  c.lock.unlock();
  void* p = block_of(h);
  if (c.poison) std::memset(p, 0xff, bytes);  // every float a NaN: what a kernel forgets to write shows
  return p;
}

void release(void* p) {
  if (!p) return;
  Header* h = header_of(p);
  if (h->magic != kMagic) std::abort();  // something wrote in front of the block, or it is none of ours
  Cache& c = cache();
  const size_t size = class_bytes(h->size_class);
  c.lock.lock();
  h->next = c.lists[h->size_class];
  c.lists[h->size_class] = h;
  c.stats.in_use -= size;
  c.stats.cached += size;
  c.lock.unlock();
}

MemoryStats memory_stats() {
  Cache& c = cache();
  c.lock.lock();
  MemoryStats s = c.stats;
  c.lock.unlock();
  return s;
}

void empty_cache() {
  Cache& c = cache();
  Header* taken[kClasses];
  c.lock.lock();
  for (int k = 0; k < kClasses; ++k) {
    taken[k] = c.lists[k];
    c.lists[k] = nullptr;
  }
  c.stats.cached = 0;
  c.lock.unlock();
  for (Header* h : taken) give_back(h);
}

void fail_allocation(uint64_t n) {
  Cache& c = cache();
  c.lock.lock();
  c.fail_at = n ? c.stats.allocations + n : 0;
  c.lock.unlock();
}
}  // namespace fastnn
