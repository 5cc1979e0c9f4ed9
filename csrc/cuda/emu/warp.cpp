// What the lanes of a warp do together.
#include "cuda/emu/internal.h"

namespace fastnn {
namespace emu {

uint64_t shuffle(unsigned mask, uint64_t bits, int source, Where where);
unsigned vote(unsigned mask, bool predicate, Where where);
unsigned match_any(unsigned mask, uint64_t bits, Where where);
unsigned lane();

namespace {
struct Exchange {
  uint64_t bits, result;
  int source;
};
Exchange* of(void* p) { return static_cast<Exchange*>(p); }
}  // namespace

unsigned lane() { return current->linear % 32; }

uint64_t shuffle(unsigned mask, uint64_t bits, int source, Where where) {
  if (source < 0 || source > 31 || !(mask >> source & 1))
    fail(where, "shuffle: lane %u reads lane %d, which is not in the mask %08x", lane(), source, mask);
  Exchange mine{bits, 0, source};
  warp_meet(
      "shuffle", mask, &mine,
      [](void** lanes) {
        for (int i = 0; i < 32; ++i)
          if (lanes[i]) of(lanes[i])->result = of(lanes[of(lanes[i])->source])->bits;
      },
      false, where);
  return mine.result;
}

unsigned vote(unsigned mask, bool predicate, Where where) {
  Exchange mine{predicate, 0, 0};
  warp_meet(
      "vote", mask, &mine,
      [](void** lanes) {
        unsigned ballot = 0;
        for (int i = 0; i < 32; ++i)
          if (lanes[i]) ballot |= static_cast<unsigned>(of(lanes[i])->bits) << i;
        for (int i = 0; i < 32; ++i)
          if (lanes[i]) of(lanes[i])->result = ballot;
      },
      false, where);
  return static_cast<unsigned>(mine.result);
}

unsigned match_any(unsigned mask, uint64_t bits, Where where) {
  Exchange mine{bits, 0, 0};
  warp_meet(
      "match_any", mask, &mine,
      [](void** lanes) {
        for (int i = 0; i < 32; ++i)
          for (int j = 0; j < 32; ++j)
            if (lanes[i] && lanes[j] && of(lanes[i])->bits == of(lanes[j])->bits)
              of(lanes[i])->result |= uint64_t(1) << j;
      },
      false, where);
  return static_cast<unsigned>(mine.result);
}

}  // namespace emu
}  // namespace fastnn
