// Philox 4x32-10 (Salmon et al., SC 2011) inside kernels: a counter and a key give four words, whatever was drawn
// before.
#pragma once
#include "cuda/prim.h"
#include "cuda/random.h"

namespace fastnn {
namespace cuda {

struct Words {
  uint32_t w[4];
};
__device__ inline Words philox(uint64_t seed, uint64_t counter) {
  uint32_t c[4] = {static_cast<uint32_t>(counter), static_cast<uint32_t>(counter >> 32), 0, 0};
  uint32_t k0 = static_cast<uint32_t>(seed), k1 = static_cast<uint32_t>(seed >> 32);
#pragma unroll
  for (int round = 0; round < 10; ++round) {
    const uint64_t a = static_cast<uint64_t>(0xD2511F53u) * c[0], b = static_cast<uint64_t>(0xCD9E8D57u) * c[2];
    const uint32_t next[4] = {static_cast<uint32_t>(b >> 32) ^ c[1] ^ k0, static_cast<uint32_t>(b),
                              static_cast<uint32_t>(a >> 32) ^ c[3] ^ k1, static_cast<uint32_t>(a)};
#pragma unroll
    for (int i = 0; i < 4; ++i) c[i] = next[i];
    k0 += 0x9E3779B9u;
    k1 += 0xBB67AE85u;
  }
  return {{c[0], c[1], c[2], c[3]}};
}
__device__ inline Words words_of(const Philox& g, int64_t block) {
  const uint64_t seed = g.seed + (g.device ? g.device[0] : 0), offset = g.offset + (g.device ? g.device[1] : 0);
  return philox(seed, offset + static_cast<uint64_t>(block));
}
// keep: a 32-bit word below this
__host__ __device__ inline uint64_t threshold(double p) { return static_cast<uint64_t>(p * 4294967296.0); }

}  // namespace cuda
}  // namespace fastnn
