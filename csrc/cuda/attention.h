// Fused attention, forward and backward, for float32, float16 and bfloat16; head sizes up to kAttentionHead. The
// arguments are kernels.h's (AttentionArgs), with lse in float32 for every dtype.
#pragma once
#include "cuda/random.h"

namespace fastnn {
namespace cuda {

constexpr int kAttentionHead = 128;

// Dropout whose mask is drawn where it is needed, in either direction, instead of being stored. Of each 16 x 16 scores
// of a head, block r * 8 + c of Philox serves rows r, r + 8 and columns c, c + 8: all four words fall to one thread,
// whether the tensor cores' tiles hold queries or keys in their rows. Word (row / 8 % 2) * 2 + column / 8 % 2 keeps its
// score if it is below `keep`.
struct AttentionDropout {
  bool on;
  Philox g;
  uint64_t keep;  // 2^32 times the probability
};
// Blocks that the mask takes.
int64_t attention_blocks(int64_t heads, int64_t L, int64_t S);
// The mask in memory: bytes of 0 and 1, [heads, L, S].
void attention_kept(const AttentionDropout& d, uint8_t* out, int64_t heads, int64_t L, int64_t S, Stream stream);

void attention(const AttentionArgs& a, const AttentionDropout& d, Stream stream);
// delta: float32 [B, H, L], scratch memory.
void attention_backward(const AttentionArgs& a, const AttentionDropout& d, float* delta, Stream stream);

}  // namespace cuda
}  // namespace fastnn
