// The stream of random numbers: torch's Mersenne Twister and its rules for turning words into values, bit for bit.
// Draws are serial: the number of threads has no influence. Every fill takes n values into contiguous memory.
#pragma once
#include <cstdint>

namespace fastnn {
struct RngState {
  uint32_t key[624];
  int pos;          // the next word; 624: a new block is due
  bool fresh;       // no word was taken since the seeding: torch's state then says position 0
  uint64_t seed;    // as given; the engine takes its low 32 bits
  bool has_cached;  // the second half of the last pair of serial normals
  double cached;
};

void rng_seed(RngState& s, uint64_t seed);
void rng_words32(RngState& s, uint32_t* out, int64_t n);
void rng_words64(RngState& s, uint64_t* out, int64_t n);

void rng_uniform(RngState& s, float* out, int64_t n, double low, double high);
void rng_uniform(RngState& s, double* out, int64_t n, double low, double high);

// Fewer than 16 values, or serial: one at a time in double precision, in pairs. Else in blocks of 16.
void rng_normal(RngState& s, float* out, int64_t n, double mean, double std, bool serial);
void rng_normal(RngState& s, double* out, int64_t n, double mean, double std, bool serial);
void rng_serial_normals(RngState& s, double* out, int64_t n);  // standard

void rng_exponential(RngState& s, float* out, int64_t n, double rate);
void rng_exponential(RngState& s, double* out, int64_t n, double rate);

// 1 where a 53-bit draw is below p·2^53, else 0.
void rng_bernoulli(RngState& s, float* out, int64_t n, double p);
void rng_bernoulli(RngState& s, double* out, int64_t n, double p);
void rng_bernoulli(RngState& s, uint8_t* out, int64_t n, double p);

// n Bernoulli draws as bits: draw i is bit i % 8 of byte i / 8; the last byte's other bits are 0.
void rng_bernoulli_bits(RngState& s, uint8_t* bits, int64_t n, double p);

// low + word mod span (32-bit words below a span of 2^28, else 64-bit ones; span 0 stands for 2^64).
void rng_integers(RngState& s, int32_t* out, int64_t n, int64_t low, uint64_t span);
void rng_integers(RngState& s, int64_t* out, int64_t n, int64_t low, uint64_t span);
void rng_randperm(RngState& s, int64_t* out, int64_t n);
}  // namespace fastnn
