// Optimizer steps, gradient norms and scaling over lists of tensors. Limit: the memory's bandwidth. The tensors' table
// travels in the kernel's arguments: no copy to the device, one launch for up to kOptimTensors.
#include "cuda/block.h"
#include "cuda/optim.h"
#include "cuda/storage.h"
#include "cuda/strides.h"

namespace fastnn {
namespace cuda {
namespace {

constexpr int kAtOnce = 4;  // packs a thread

struct Table {
  OptimTensor tensors[kOptimTensors];
  uint32_t first[kOptimTensors + 1];  // the block that each begins with
  uint64_t packed;                    // bit i: all its arrays are 16-byte aligned
  int count;
};

// The tensor of this block and the block's first element.
template <class T>
__device__ inline int tensor_of(const Table& t, int64_t& begin) {
  int low = 0, high = t.count - 1;
  while (low < high) {
    const int middle = (low + high + 1) / 2;
    if (t.first[middle] <= blockIdx.x)
      low = middle;
    else
      high = middle - 1;
  }
  begin = static_cast<int64_t>(blockIdx.x - t.first[low]) * kBlock * kVector<T> * kAtOnce;
  return low;
}
// f(place, count) for this thread's packs of the block's share: count is V, or less at the end; V 1 where unaligned.
template <class T, class F>
__device__ inline void each_pack(const Table& t, const F& f) {
  constexpr int V = kVector<T>;
  int64_t begin;
  const int which = tensor_of<T>(t, begin);
  const int64_t n = t.tensors[which].n;
  if (t.packed >> which & 1) {
    for (int k = 0; k < kAtOnce; ++k) {
      const int64_t i = begin + static_cast<int64_t>(k * kBlock + threadIdx.x) * V;
      if (i < n) f(t.tensors[which], std::integral_constant<int, V>(), i, n - i < V ? static_cast<int>(n - i) : V);
    }
  } else {
    for (int k = 0; k < kAtOnce * V; ++k) {
      const int64_t i = begin + k * kBlock + threadIdx.x;
      if (i < n) f(t.tensors[which], std::integral_constant<int, 1>(), i, 1);
    }
  }
}

// ---- steps ----
struct Scalars {
  double lr, step_size, root_correction, shrink;
};
// By double arithmetic, once a block.
__host__ __device__ inline Scalars scalars_of(const OptimArgs& a, double lr, double step) {
  Scalars s = {lr, lr, 1, 1};
  if (a.rule == Optimizer::Adam) {
    s.step_size = lr / (1 - pow(a.beta1, step));
    s.root_correction = sqrt(1 - pow(a.beta2, step));
    s.shrink = a.decoupled ? 1 - lr * a.weight_decay : 1;
  } else if (a.rule == Optimizer::Adagrad) {
    s.lr = lr / (1 + (step - 1) * a.lr_decay);
  }
  return s;
}

// m + weight (g - m) from the nearer end, as torch's lerp.
template <class C>
__device__ inline C lerp(C m, C g, C weight) {
  return weight < C(0.5) ? m + weight * (g - m) : g - (g - m) * (1 - weight);
}

// One element: the parameter and its states, changed in place. g comes in with its sign and scale.
template <Optimizer kRule, class C>
__device__ inline void update(const OptimArgs& a, const Scalars& k, C& p, C g, C (&s)[3]) {
  if constexpr (kRule == Optimizer::Adam) p *= static_cast<C>(k.shrink);
  if (a.weight_decay != 0 && !(kRule == Optimizer::Adam && a.decoupled)) g = fma(p, static_cast<C>(a.weight_decay), g);
  const C lr = static_cast<C>(k.lr), eps = static_cast<C>(a.eps);
  if constexpr (kRule == Optimizer::Sgd) {
    if (a.has_buffers) {
      s[0] = a.first_step ? g : fma(s[0], static_cast<C>(a.momentum), static_cast<C>(1 - a.dampening) * g);
      g = a.nesterov ? fma(static_cast<C>(a.momentum), s[0], g) : s[0];
    }
    p = fma(-lr, g, p);
  } else if constexpr (kRule == Optimizer::Adam) {
    s[0] = lerp(s[0], g, static_cast<C>(1 - a.beta1));
    s[1] = fma(static_cast<C>(1 - a.beta2) * g, g, s[1] * static_cast<C>(a.beta2));
    C square = s[1];
    if (a.amsgrad) square = s[2] = square > s[2] || square != square ? square : s[2];
    p -= static_cast<C>(k.step_size) * s[0] / (sqrt(square) / static_cast<C>(k.root_correction) + eps);
  } else if constexpr (kRule == Optimizer::Adagrad) {
    s[0] = fma(g, g, s[0]);
    p -= lr * g / (sqrt(s[0]) + eps);
  } else {
    s[0] = fma(static_cast<C>(1 - a.alpha) * g, g, s[0] * static_cast<C>(a.alpha));
    C square = s[0];
    if (a.centered) {
      s[1] = lerp(s[1], g, static_cast<C>(1 - a.alpha));
      square -= s[1] * s[1];
    }
    const C change = g / (sqrt(square) + eps);
    if (a.has_buffers) {
      s[2] = fma(s[2], static_cast<C>(a.momentum), change);
      p -= lr * s[2];
    } else {
      p -= lr * change;
    }
  }
}

template <Optimizer kRule, class T>
__global__ void __launch_bounds__(kBlock, 3)
    step_kernel(const __grid_constant__ Table t, const __grid_constant__ OptimArgs a, const Scalars given) {
  using C = compute_t<T>;
  if (a.device.found_inf && *a.device.found_inf != 0) return;
  FASTNN_SHARED(scalars, Scalars);
  if (threadIdx.x == 0)
    scalars = a.device.lr || a.device.step ? scalars_of(a, a.device.lr ? *a.device.lr : a.lr,
                                                        static_cast<double>(a.device.step ? *a.device.step : a.step))
                                           : given;
  __syncthreads();
  const Scalars k = scalars;
  C sign = a.maximize ? C(-1) : C(1);
  if (a.device.grad_scale) sign /= static_cast<C>(*a.device.grad_scale);
  each_pack<T>(t, [&](const OptimTensor& x, auto width, int64_t at, int n) {
    constexpr int V = decltype(width)::value;
    C p[V], g[V], s[3][V];
    load(static_cast<const T*>(x.param) + at, p, n, C(0));
    load(static_cast<const T*>(x.grad) + at, g, n, C(0));
#pragma unroll
    for (int j = 0; j < 3; ++j) {
      if (x.state[j]) {
        load(static_cast<const T*>(x.state[j]) + at, s[j], n, C(0));
      } else {
#pragma unroll
        for (int i = 0; i < V; ++i) s[j][i] = 0;
      }
    }
#pragma unroll
    for (int i = 0; i < V; ++i) {
      C states[3] = {s[0][i], s[1][i], s[2][i]};
      update<kRule>(a, k, p[i], g[i] * sign, states);
      s[0][i] = states[0], s[1][i] = states[1], s[2][i] = states[2];
    }
    store(static_cast<T*>(x.param) + at, p, n);
#pragma unroll
    for (int j = 0; j < 3; ++j)
      if (x.state[j]) store(static_cast<T*>(x.state[j]) + at, s[j], n);
  });
}

// ---- norms and scaling: `grad` is read, `param` written ----
enum class Norm : int { One, Two, Infinite, Other };
template <class C>
__device__ inline C norm_join(Norm kind, C a, C b) {
  return kind == Norm::Infinite ? Larger()(a, b) : a + b;
}
struct Join {
  Norm kind;
  __device__ double operator()(double a, double b) const { return norm_join(kind, a, b); }
};
// partial[block]: this block's |g|, g^2, largest |g|, or |g|^p.
template <class T>
__global__ void __launch_bounds__(kBlock)
    norm_kernel(const __grid_constant__ Table t, Norm kind, double p, double* partial) {
  using C = compute_t<T>;
  FASTNN_SHARED(shared, double[kBlock / 32]);
  C mine = 0;
  each_pack<T>(t, [&](const OptimTensor& x, auto width, int64_t at, int n) {
    constexpr int V = decltype(width)::value;
    C g[V];
    load(static_cast<const T*>(x.grad) + at, g, n, C(0));
#pragma unroll
    for (int i = 0; i < V; ++i) {
      const C v = fabs(g[i]);
      mine = norm_join(kind, mine, kind == Norm::Two ? v * v : kind == Norm::Other ? pow(v, static_cast<C>(p)) : v);
    }
  });
  const double all = block_join(static_cast<double>(mine), Join{kind}, &shared[0]);
  if (threadIdx.x == 0) partial[blockIdx.x] = all;
}
template <class C>
__global__ void __launch_bounds__(kBlock)
    norm_end_kernel(const double* partial, int64_t n, Norm kind, double p, C* out) {
  FASTNN_SHARED(shared, double[kBlock / 32]);
  double mine = 0;
  for (int64_t i = threadIdx.x; i < n; i += blockDim.x) mine = norm_join(kind, mine, partial[i]);
  mine = block_join(mine, Join{kind}, &shared[0]);
  if (threadIdx.x == 0)
    *out = static_cast<C>(kind == Norm::Two ? sqrt(mine) : kind == Norm::Other ? pow(mine, 1 / p) : mine);
}

template <class T>
__global__ void __launch_bounds__(kBlock)
    scale_kernel(const __grid_constant__ Table t, double factor, const compute_t<T>* limit) {
  using C = compute_t<T>;
  C by = static_cast<C>(factor);
  if (limit) {
    by = by / (*limit + C(1e-6));
    by = by > 1 ? C(1) : by;
  }
  each_pack<T>(t, [&](const OptimTensor& x, auto width, int64_t at, int n) {
    constexpr int V = decltype(width)::value;
    C g[V];
    load(static_cast<const T*>(x.param) + at, g, n, C(0));
#pragma unroll
    for (int i = 0; i < V; ++i) g[i] *= by;
    store(static_cast<T*>(x.param) + at, g, n);
  });
}
template <class T>
__global__ void __launch_bounds__(kBlock)
    unscale_kernel(const __grid_constant__ Table t, const float* factor, float* found_inf) {
  using C = compute_t<T>;
  const C by = static_cast<C>(*factor);
  bool bad = false;
  each_pack<T>(t, [&](const OptimTensor& x, auto width, int64_t at, int n) {
    constexpr int V = decltype(width)::value;
    C g[V];
    load(static_cast<const T*>(x.param) + at, g, n, C(0));
#pragma unroll
    for (int i = 0; i < V; ++i) {
      bad |= !(fabs(g[i]) < static_cast<C>(INFINITY));
      g[i] *= by;
    }
    store(static_cast<T*>(x.param) + at, g, n);
  });
  bad = __syncthreads_or(bad);
  if (bad && threadIdx.x == 0) atomicExch(found_inf, 1.0f);
}

// ---- host ----
// start(table, its blocks, blocks before it) for up to kOptimTensors tensors at a time; empty ones are left out.
template <class T, class F>
void tables(const OptimTensor* tensors, int count, const F& start) {
  constexpr int64_t kShare = static_cast<int64_t>(kBlock) * kVector<T> * kAtOnce;
  int64_t before = 0;
  for (int i = 0; i < count;) {
    Table t = {};
    uint32_t blocks = 0;
    for (; i < count && t.count < kOptimTensors; ++i) {
      const OptimTensor& x = tensors[i];
      if (x.n == 0) continue;
      const int64_t more = (x.n + kShare - 1) / kShare;
      if (more >= (int64_t(1) << 30)) throw std::invalid_argument("optim: a tensor of more than 2^40 elements");
      if (blocks + more >= (int64_t(1) << 31)) break;
      bool packed = aligned(x.param, 16) && aligned(x.grad, 16);
      for (const void* s : x.state) packed &= aligned(s, 16);
      t.packed |= static_cast<uint64_t>(packed) << t.count;
      t.first[t.count] = blocks;
      t.tensors[t.count++] = x;
      blocks += static_cast<uint32_t>(more);
    }
    if (!t.count) continue;
    t.first[t.count] = blocks;
    start(t, blocks, before);
    before += blocks;
  }
}
static_assert(kOptimTensors <= 64, "Table::packed has 64 bits");
static_assert(sizeof(Table) + sizeof(OptimArgs) < 4096, "the arguments of a kernel");

template <Optimizer kRule, class T>
void step(const OptimArgs& a, const OptimTensor* tensors, int count, Stream stream) {
  const Scalars given = scalars_of(a, a.lr, static_cast<double>(a.step));
  tables<T>(tensors, count, [&](const Table& t, uint32_t blocks, int64_t) {
    launch("optim_step", step_kernel<kRule, T>, dim3(blocks), dim3(kBlock), 0, stream, t, a, given);
  });
}

}  // namespace

void optim_step(const OptimArgs& a, const OptimTensor* tensors, int count, Stream stream) {
  with_float("optim_step", a.dtype, [&](auto type) {
    using T = typename decltype(type)::type;
    switch (a.rule) {
      case Optimizer::Sgd:
        return step<Optimizer::Sgd, T>(a, tensors, count, stream);
      case Optimizer::Adam:
        return step<Optimizer::Adam, T>(a, tensors, count, stream);
      case Optimizer::Adagrad:
        return step<Optimizer::Adagrad, T>(a, tensors, count, stream);
      case Optimizer::RmsProp:
        return step<Optimizer::RmsProp, T>(a, tensors, count, stream);
    }
  });
}

size_t grad_norm_workspace(const OptimTensor* tensors, int count) {
  int64_t blocks = 0;  // of float64, whose blocks have the fewest elements
  for (int i = 0; i < count; ++i) blocks += (tensors[i].n + 2 * kAtOnce * kBlock - 1) / (2 * kAtOnce * kBlock);
  return static_cast<size_t>(blocks < 1 ? 1 : blocks) * sizeof(double);
}
void grad_norm(Dtype dtype, const OptimTensor* tensors, int count, double p, void* out, void* workspace,
               Stream stream) {
  const Norm kind = p == 1                               ? Norm::One
                    : p == 2                             ? Norm::Two
                    : p == static_cast<double>(INFINITY) ? Norm::Infinite
                                                         : Norm::Other;
  double* partial = static_cast<double*>(workspace);
  with_float("grad_norm", dtype, [&](auto type) {
    using T = typename decltype(type)::type;
    int64_t all = 0;
    tables<T>(tensors, count, [&](const Table& t, uint32_t blocks, int64_t before) {
      launch("grad_norm", norm_kernel<T>, dim3(blocks), dim3(kBlock), 0, stream, t, kind, p, partial + before);
      all = before + blocks;
    });
    using C = compute_t<T>;
    launch("grad_norm", norm_end_kernel<C>, dim3(1), dim3(kBlock), 0, stream, static_cast<const double*>(partial), all,
           kind, p, static_cast<C*>(out));
  });
}
void optim_scale(Dtype dtype, const OptimTensor* tensors, int count, double factor, const void* limit, Stream stream) {
  with_float("optim_scale", dtype, [&](auto type) {
    using T = typename decltype(type)::type;
    tables<T>(tensors, count, [&](const Table& t, uint32_t blocks, int64_t) {
      launch("optim_scale", scale_kernel<T>, dim3(blocks), dim3(kBlock), 0, stream, t, factor,
             static_cast<const compute_t<T>*>(limit));
    });
  });
}
void optim_unscale(Dtype dtype, const OptimTensor* tensors, int count, const float* factor, float* found_inf,
                   Stream stream) {
  with_float("optim_unscale", dtype, [&](auto type) {
    using T = typename decltype(type)::type;
    tables<T>(tensors, count, [&](const Table& t, uint32_t blocks, int64_t) {
      launch("optim_unscale", unscale_kernel<T>, dim3(blocks), dim3(kBlock), 0, stream, t, factor, found_inf);
    });
  });
}

}  // namespace cuda
}  // namespace fastnn
