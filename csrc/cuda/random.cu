// Random numbers and dropout by Philox (philox.h). A thread takes one counter: four elements, or two of the 64-bit
// dtypes and integers.
#include "cuda/philox.h"
#include "cuda/storage.h"
#include "cuda/strides.h"

namespace fastnn {
namespace cuda {
namespace {

// Elements a counter serves.
template <class T>
constexpr int kEach =
    std::is_same<T, float>::value || std::is_same<T, f16>::value || std::is_same<T, bf16>::value ? 4 : 2;

__device__ inline uint64_t wide_word(const Words& w, int k) {
  return static_cast<uint64_t>(w.w[2 * k]) << 32 | w.w[2 * k + 1];
}
// [0, 1): 24 or 53 bits, 11 and 8 for the 16-bit floats, which have no more.
template <class T>
__device__ inline void uniforms(const Words& w, float (&u)[4]) {
  constexpr int kBits = std::is_same<T, f16>::value ? 11 : std::is_same<T, bf16>::value ? 8 : 24;
#pragma unroll
  for (int k = 0; k < 4; ++k) u[k] = static_cast<float>(w.w[k] >> (32 - kBits)) * (1 / static_cast<float>(1 << kBits));
}
template <class T>
__device__ inline void uniforms(const Words& w, double (&u)[2]) {
#pragma unroll
  for (int k = 0; k < 2; ++k) u[k] = static_cast<double>(wide_word(w, k) >> 11) * 0x1p-53;
}
__device__ inline float turn(float x, float& cosine) {  // sine and cosine of 2 pi x
#ifdef FASTNN_EMU
  cosine = static_cast<float>(cos(2 * M_PI * static_cast<double>(x)));
  return static_cast<float>(sin(2 * M_PI * static_cast<double>(x)));
#else
  cosine = cospif(2 * x);
  return sinpif(2 * x);
#endif
}
__device__ inline double turn(double x, double& cosine) {
#ifdef FASTNN_EMU
  cosine = cos(2 * M_PI * x);
  return sin(2 * M_PI * x);
#else
  cosine = cospi(2 * x);
  return sinpi(2 * x);
#endif
}

enum class Draw : int { Uniform, Normal, Bernoulli, Integers };
struct Work {
  Philox g;
  Draw draw;
  int64_t n, low;
  uint64_t span;
  double a, b;
  bool packed;
};
template <class T>
__device__ inline void put(T* out, const compute_t<T> (&v)[kEach<T>], int n, bool packed) {
  if (packed) return store(out, v, n);
#pragma unroll
  for (int k = 0; k < kEach<T>; ++k)
    if (k < n) out[k] = narrowed<T>(v[k]);
}

template <class T>
__global__ void draw_kernel(T* out, const __grid_constant__ Work w) {
  using C = compute_t<T>;
  constexpr int E = kEach<T>;
  const int64_t block = static_cast<int64_t>(blockIdx.x) * blockDim.x + threadIdx.x, first = block * E;
  if (first >= w.n) return;
  const Words words = words_of(w.g, block);
  C v[E];
  if (w.draw == Draw::Bernoulli) {
#pragma unroll
    for (int k = 0; k < E; ++k) v[k] = words.w[k * (4 / E)] < threshold(w.a);
  } else if constexpr (std::is_same<C, int64_t>::value) {
#pragma unroll
    for (int k = 0; k < E; ++k)
      v[k] = static_cast<int64_t>(static_cast<uint64_t>(w.low) +
                                  (w.span ? wide_word(words, k) % w.span : wide_word(words, k)));
  } else {
    w.draw == Draw::Uniform ? uniforms<T>(words, v) : uniforms<C>(words, v);
    if (w.draw == Draw::Uniform) {
      const C low = static_cast<C>(w.a), span = static_cast<C>(w.b);
#pragma unroll
      for (int k = 0; k < E; ++k) {
        v[k] = low + v[k] * span;
        if (widened(narrowed<T>(v[k])) >= low + span) v[k] = low;  // rounding must not reach the upper end
      }
    } else {  // Box and Muller: pairs of uniforms, the first in (0, 1]
#pragma unroll
      for (int k = 0; k < E; k += 2) {
        C cosine;
        const C radius = sqrt(-2 * log(1 - v[k])), sine = turn(v[k + 1], cosine);
        v[k] = static_cast<C>(w.a) + static_cast<C>(w.b) * radius * cosine;
        v[k + 1] = static_cast<C>(w.a) + static_cast<C>(w.b) * radius * sine;
      }
    }
  }
  put(out + first, v, w.n - first < E ? static_cast<int>(w.n - first) : E, w.packed);
}

template <class T>
__global__ void dropout_kernel(const T* x, T* out, uint8_t* mask, const Philox g, int64_t n, uint64_t drop,
                               double scale, bool packed) {
  using C = compute_t<T>;
  constexpr int E = kEach<T>;
  const int64_t block = static_cast<int64_t>(blockIdx.x) * blockDim.x + threadIdx.x, first = block * E;
  if (first >= n) return;
  const int count = n - first < E ? static_cast<int>(n - first) : E;
  const Words words = words_of(g, block);
  C v[E];
  if (packed) {
    load(x + first, v, count, C(0));
  } else {
#pragma unroll
    for (int k = 0; k < E; ++k) v[k] = k < count ? widened(x[first + k]) : C(0);
  }
#pragma unroll
  for (int k = 0; k < E; ++k) {
    const bool kept = words.w[k * (4 / E)] >= drop;
    v[k] *= kept ? static_cast<C>(scale) : C(0);
    if (mask && k < count) mask[first + k] = kept;
  }
  put(out + first, v, count, packed);
}

template <class T>
__global__ void mask_kernel(const T* x, const uint8_t* mask, T* out, int64_t n, double scale, bool packed) {
  using C = compute_t<T>;
  constexpr int E = kEach<T>;
  const int64_t first = (static_cast<int64_t>(blockIdx.x) * blockDim.x + threadIdx.x) * E;
  if (first >= n) return;
  const int count = n - first < E ? static_cast<int>(n - first) : E;
  C v[E];
#pragma unroll
  for (int k = 0; k < E; ++k) v[k] = 0;
  if (packed) {
    load(x + first, v, count, C(0));
  } else {
#pragma unroll
    for (int k = 0; k < E; ++k)
      if (k < count) v[k] = widened(x[first + k]);
  }
#pragma unroll
  for (int k = 0; k < E; ++k)
    if (k < count) v[k] *= mask[first + k] ? static_cast<C>(scale) : C(0);
  put(out + first, v, count, packed);
}

template <class T>
bool packs(const void* x, const void* out) {
  return aligned(x, sizeof(T) * kEach<T>) && aligned(out, sizeof(T) * kEach<T>);
}
template <class T>
void draw(const Work& given, void* out, Stream stream) {
  if (given.n == 0) return;
  Work w = given;
  w.packed = packs<T>(nullptr, out);
  const int64_t blocks = (w.n + kEach<T> - 1) / kEach<T>;
  launch("random", draw_kernel<T>, blocks_for(blocks), block_for(blocks), 0, stream, static_cast<T*>(out), w);
}

}  // namespace

int64_t philox_blocks(Dtype dtype, int64_t n) {
  const int each = dtype == Dtype::F32 || dtype == Dtype::F16 || dtype == Dtype::BF16 ? 4 : 2;
  return (n + each - 1) / each;
}

void random_uniform(Dtype dtype, const Philox& g, void* out, int64_t n, double low, double span, Stream stream) {
  with_float("random_uniform", dtype, [&](auto type) {
    draw<typename decltype(type)::type>({g, Draw::Uniform, n, 0, 0, low, span, false}, out, stream);
  });
}
void random_normal(Dtype dtype, const Philox& g, void* out, int64_t n, double mean, double std, Stream stream) {
  with_float("random_normal", dtype, [&](auto type) {
    draw<typename decltype(type)::type>({g, Draw::Normal, n, 0, 0, mean, std, false}, out, stream);
  });
}
void random_bernoulli(Dtype dtype, const Philox& g, void* out, int64_t n, double p, Stream stream) {
  with_any("random_bernoulli", dtype, [&](auto type) {
    draw<typename decltype(type)::type>({g, Draw::Bernoulli, n, 0, 0, p, 0, false}, out, stream);
  });
}
void random_integers(Dtype dtype, const Philox& g, void* out, int64_t n, int64_t low, uint64_t span, Stream stream) {
  with_integer("random_integers", dtype, [&](auto type) {
    draw<typename decltype(type)::type>({g, Draw::Integers, n, low, span, 0, 0, false}, out, stream);
  });
}

void dropout(Dtype dtype, const Philox& g, const void* x, void* out, uint8_t* mask, int64_t n, double p,
             Stream stream) {
  if (n == 0) return;
  with_float("dropout", dtype, [&](auto type) {
    using T = typename decltype(type)::type;
    const int64_t blocks = (n + kEach<T> - 1) / kEach<T>;
    launch("dropout", dropout_kernel<T>, blocks_for(blocks), block_for(blocks), 0, stream, static_cast<const T*>(x),
           static_cast<T*>(out), mask, g, n, threshold(p), p < 1 ? 1 / (1 - p) : 0.0, packs<T>(x, out));
  });
}
void mask_scale(Dtype dtype, const void* x, const uint8_t* mask, void* out, int64_t n, double scale, Stream stream) {
  if (n == 0) return;
  with_float("mask_scale", dtype, [&](auto type) {
    using T = typename decltype(type)::type;
    const int64_t blocks = (n + kEach<T> - 1) / kEach<T>;
    launch("mask_scale", mask_kernel<T>, blocks_for(blocks), block_for(blocks), 0, stream, static_cast<const T*>(x),
           mask, static_cast<T*>(out), n, scale, packs<T>(x, out));
  });
}

}  // namespace cuda
}  // namespace fastnn
