#include "runtime/counters.h"

namespace fastnn {
namespace {
std::atomic<const Counter*> head{nullptr};  // constant-initialised: counters are made while other files start up
}

Counter::Counter(const char* name) : name_(name) {
  next_ = head.load();
  while (!head.compare_exchange_weak(next_, this)) {
  }
}
const Counter* Counter::first() { return head.load(); }
}  // namespace fastnn
