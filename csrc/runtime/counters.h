// Counters of what ran, by name: _cpu.counters(). A test that asks for a kernel variant proves by its counter that it,
// and no stand-in, did the work. For the bindings only, one static object a variant:
//   static Counter ran("gemm.tiled");
//   ran.add();
#pragma once
#include <atomic>
#include <cstdint>

namespace fastnn {
class Counter {
 public:
  explicit Counter(const char* name);  // a literal: kept, not copied
  Counter(const Counter&) = delete;
  Counter& operator=(const Counter&) = delete;
  void add() { count_.fetch_add(1, std::memory_order_relaxed); }

  const char* name() const { return name_; }
  uint64_t count() const { return count_.load(std::memory_order_relaxed); }
  const Counter* next() const { return next_; }
  static const Counter* first();

 private:
  const char* name_;
  std::atomic<uint64_t> count_{0};
  const Counter* next_ = nullptr;
};
}  // namespace fastnn
