// Random numbers by Philox 4x32-10: word j of block i is a pure function of (seed, offset + i), so that a mask can be
// worked out again instead of being stored. Element e takes word e % 4 of block offset + e / 4 (float64: words 2e, 2e+1
// of the sequence).
#pragma once
#include "cuda/types.h"

namespace fastnn {
namespace cuda {

// A generator's state in device memory, so that a captured graph draws anew at each replay; or, null, by value.
struct Philox {
  uint64_t seed, offset;   // offset: in blocks
  const uint64_t* device;  // {seed, offset}: are added to those by value
};
// Blocks that n elements take: what the caller moves its offset on by.
int64_t philox_blocks(Dtype dtype, int64_t n);

// low + span u, u in [0, 1); mean + std times a normal; 1 with probability p (any dtype); low + a 32- or 64-bit word
// modulo span (I64, I32). n contiguous elements.
void random_uniform(Dtype dtype, const Philox& g, void* out, int64_t n, double low, double span, Stream stream);
void random_normal(Dtype dtype, const Philox& g, void* out, int64_t n, double mean, double std, Stream stream);
void random_bernoulli(Dtype dtype, const Philox& g, void* out, int64_t n, double p, Stream stream);
void random_integers(Dtype dtype, const Philox& g, void* out, int64_t n, int64_t low, uint64_t span, Stream stream);

// out = x scale where kept, x 0 elsewhere, scale = 1 / (1 - p); mask (bytes of 0 and 1) may be null. The same call on
// dy is the backward pass.
void dropout(Dtype dtype, const Philox& g, const void* x, void* out, uint8_t* mask, int64_t n, double p, Stream stream);
// out = x scale where mask is 1, x 0 where it is 0
void mask_scale(Dtype dtype, const void* x, const uint8_t* mask, void* out, int64_t n, double scale, Stream stream);

}  // namespace cuda
}  // namespace fastnn
