// The drivers: words are drawn a block at a time into a buffer that stays in the L1 cache, and converted from there by
// the kernels of the instruction set in use. What torch leaves to the C library is left to it here too.
#include "runtime/rng.h"

#include <cmath>

#include "kernels.h"

namespace fastnn {
namespace {
constexpr int64_t kBlock = 1024;  // values converted at a time: 4 KiB of words, or 8
constexpr double kPi = 3.14159265358979323846;

void words(RngState& s, uint32_t* out, int64_t n) {
  if (n == 0) return;
  s.fresh = false;
  kernels().rng_words(s.key, &s.pos, out, n);
}

// f(values done so far, values in this block, their words) for n values of kWords words each.
template <int kWords, class F>
void in_blocks(RngState& s, int64_t n, const F& f) {
  alignas(64) uint32_t w[kBlock * kWords];
  for (int64_t i = 0; i < n; i += kBlock) {
    int64_t m = n - i < kBlock ? n - i : kBlock;
    words(s, w, m * kWords);
    f(i, m, w);
  }
}

void uniform53(RngState& s, double* out, int64_t n) {
  in_blocks<2>(s, n, [&](int64_t i, int64_t m, const uint32_t* w) { kernels().rng_uniform_f64(w, out + i, m, 0, 1); });
}

uint64_t threshold(double p) { return static_cast<uint64_t>(std::ceil(p * 9007199254740992.0)); }

// Box and Muller on one block of 16 uniforms: the first eight give radii, the others angles.
void normal_block(double* u, double mean, double std) {
  for (int j = 0; j < 8; ++j) {
    double radius = std::sqrt(-2 * std::log(1 - u[j])), angle = 2 * kPi * u[j + 8];
    u[j] = std::fma(radius * std::cos(angle), std, mean);
    u[j + 8] = std::fma(radius * std::sin(angle), std, mean);
  }
}
void normal_blocks(double* u, int64_t blocks, double mean, double std) {
  for (int64_t b = 0; b < blocks; ++b) normal_block(u + 16 * b, mean, std);
}
void normal_blocks(float* u, int64_t blocks, double mean, double std) {
  kernels().rng_normal_f32(u, blocks, static_cast<float>(mean), static_cast<float>(std));
}

template <class T>
void normal(RngState& s, T* out, int64_t n, double mean, double std, bool serial) {
  if (n < 16 || serial) {
    double z[64];
    for (int64_t i = 0; i < n; i += 64) {
      int64_t m = n - i < 64 ? n - i : 64;  // even but at the end: pairs are cut nowhere else
      rng_serial_normals(s, z, m);
      for (int64_t j = 0; j < m; ++j) out[i + j] = static_cast<T>(std::fma(z[j], std, mean));
    }
    return;
  }
  constexpr int kWords = sizeof(T) / 4;
  in_blocks<kWords>(s, n, [&](int64_t i, int64_t m, const uint32_t* w) {
    if constexpr (kWords == 1)
      kernels().rng_uniform_f32(w, out + i, m, 0, 1);
    else
      kernels().rng_uniform_f64(w, out + i, m, 0, 1);
    normal_blocks(out + i, m / 16, mean, std);
  });
  if (n % 16) {  // the last 16 places are drawn anew, over the tail of the block before
    rng_uniform(s, out + n - 16, 16, 0, 1);
    normal_blocks(out + n - 16, 1, mean, std);
  }
}

template <class T>
void exponential(RngState& s, T* out, int64_t n, double rate) {
  double u[kBlock];
  for (int64_t i = 0; i < n; i += kBlock) {
    int64_t m = n - i < kBlock ? n - i : kBlock;
    uniform53(s, u, m);
    for (int64_t j = 0; j < m; ++j) out[i + j] = static_cast<T>((-1 / rate) * std::log1p(-u[j]));
  }
}

template <class T>
void integers(RngState& s, T* out, int64_t n, int64_t low, uint64_t span) {
  uint64_t base = static_cast<uint64_t>(low);
  if (span != 0 && span < (uint64_t{1} << 28)) {
    // w mod d from two multiplications (Lemire, Kaser and Kurz 2019): exact for 32-bit w and d.
    uint64_t d = span, inverse = ~uint64_t{0} / d + 1;  // 0 for d = 1, whose remainders are 0
    in_blocks<1>(s, n, [&](int64_t i, int64_t m, const uint32_t* w) {
      for (int64_t j = 0; j < m; ++j) {
        uint64_t fraction = inverse * w[j];
        uint64_t r = static_cast<uint64_t>((static_cast<unsigned __int128>(fraction) * d) >> 64);
        out[i + j] = static_cast<T>(base + r);
      }
    });
  } else {
    in_blocks<2>(s, n, [&](int64_t i, int64_t m, const uint32_t* w) {
      for (int64_t j = 0; j < m; ++j) {
        uint64_t r = (static_cast<uint64_t>(w[2 * j]) << 32) | w[2 * j + 1];
        if (span) r %= span;
        out[i + j] = static_cast<T>(base + r);
      }
    });
  }
}
}  // namespace

void rng_seed(RngState& s, uint64_t seed) {
  s.key[0] = static_cast<uint32_t>(seed);
  for (uint32_t i = 1; i < 624; ++i) s.key[i] = 1812433253u * (s.key[i - 1] ^ (s.key[i - 1] >> 30)) + i;
  s.pos = 624;
  s.fresh = true;
  s.seed = seed;
  s.has_cached = false;
  s.cached = 0;
}

void rng_words32(RngState& s, uint32_t* out, int64_t n) { words(s, out, n); }

void rng_words64(RngState& s, uint64_t* out, int64_t n) {
  in_blocks<2>(s, n, [&](int64_t i, int64_t m, const uint32_t* w) {
    for (int64_t j = 0; j < m; ++j) out[i + j] = (static_cast<uint64_t>(w[2 * j]) << 32) | w[2 * j + 1];
  });
}

void rng_uniform(RngState& s, float* out, int64_t n, double low, double high) {
  float a = static_cast<float>(low), span = static_cast<float>(high) - a;
  in_blocks<1>(s, n,
               [&](int64_t i, int64_t m, const uint32_t* w) { kernels().rng_uniform_f32(w, out + i, m, a, span); });
}

void rng_uniform(RngState& s, double* out, int64_t n, double low, double high) {
  in_blocks<2>(s, n, [&](int64_t i, int64_t m, const uint32_t* w) {
    kernels().rng_uniform_f64(w, out + i, m, low, high - low);
  });
}

void rng_serial_normals(RngState& s, double* out, int64_t n) {
  int64_t i = 0;
  if (n && s.has_cached) {
    s.has_cached = false;
    out[i++] = s.cached;
  }
  while (i < n) {
    double u[2];
    uniform53(s, u, 2);
    double radius = std::sqrt(-2 * std::log1p(-u[1])), angle = 2 * kPi * u[0];
    out[i++] = radius * std::cos(angle);
    double second = radius * std::sin(angle);
    if (i < n) {
      out[i++] = second;
    } else {
      s.has_cached = true;
      s.cached = second;
    }
  }
}

void rng_normal(RngState& s, float* out, int64_t n, double mean, double std, bool serial) {
  normal(s, out, n, mean, std, serial);
}
void rng_normal(RngState& s, double* out, int64_t n, double mean, double std, bool serial) {
  normal(s, out, n, mean, std, serial);
}

void rng_exponential(RngState& s, float* out, int64_t n, double rate) { exponential(s, out, n, rate); }
void rng_exponential(RngState& s, double* out, int64_t n, double rate) { exponential(s, out, n, rate); }

void rng_bernoulli(RngState& s, float* out, int64_t n, double p) {
  in_blocks<2>(s, n, [&, t = threshold(p)](int64_t i, int64_t m, const uint32_t* w) {
    kernels().rng_below_f32(w, out + i, m, t);
  });
}
void rng_bernoulli(RngState& s, double* out, int64_t n, double p) {
  in_blocks<2>(s, n, [&, t = threshold(p)](int64_t i, int64_t m, const uint32_t* w) {
    kernels().rng_below_f64(w, out + i, m, t);
  });
}
void rng_bernoulli(RngState& s, uint8_t* out, int64_t n, double p) {
  in_blocks<2>(s, n, [&, t = threshold(p)](int64_t i, int64_t m, const uint32_t* w) {
    kernels().rng_below_u8(w, out + i, m, t);
  });
}

void rng_bernoulli_bits(RngState& s, uint8_t* bits, int64_t n, double p) {
  static_assert(kBlock % 8 == 0, "a block begins with a byte of its own");
  in_blocks<2>(s, n, [&, t = threshold(p)](int64_t i, int64_t m, const uint32_t* w) {
    uint8_t draws[kBlock];
    kernels().rng_below_u8(w, draws, m, t);
    for (int64_t j = m; j % 8; ++j) draws[j] = 0;
    for (int64_t j = 0; j < m; j += 8) {
      uint64_t eight = 0;  // byte k is draw k, on any machine
      for (int k = 0; k < 8; ++k) eight |= static_cast<uint64_t>(draws[j + k]) << 8 * k;
      // The product's terms 2^(8k) 2^(56-7k) leave draw k in bit 56 + k, and no two terms meet.
      bits[(i + j) / 8] = static_cast<uint8_t>(eight * 0x0102040810204080u >> 56);
    }
  });
}

void rng_integers(RngState& s, int32_t* out, int64_t n, int64_t low, uint64_t span) { integers(s, out, n, low, span); }
void rng_integers(RngState& s, int64_t* out, int64_t n, int64_t low, uint64_t span) { integers(s, out, n, low, span); }

void rng_randperm(RngState& s, int64_t* out, int64_t n) {
  for (int64_t i = 0; i < n; ++i) out[i] = i;
  in_blocks<1>(s, n - 1, [&](int64_t i, int64_t m, const uint32_t* w) {
    for (int64_t j = 0; j < m; ++j) {
      int64_t k = i + j, other = k + w[j] % static_cast<uint32_t>(n - k);
      int64_t t = out[k];
      out[k] = out[other];
      out[other] = t;
    }
  });
}
}  // namespace fastnn
