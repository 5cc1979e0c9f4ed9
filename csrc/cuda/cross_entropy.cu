// Cross-entropy from logits: a row is read once for its loss and its gradient. Sums over rows are taken in a fixed
// order.
#include "cuda/cross_entropy.h"
#include "cuda/rows.h"

namespace fastnn {
namespace cuda {
namespace {

constexpr int64_t kMostParts = 256;

struct Row {
  int64_t classes, ignore_index;
  double smoothing;
};

// g ((a + b) softmax - u w[c] - a onehot), a = (1 - s) w[t], u = s / C, b = u sum(w).
template <class C>
struct Slope {
  C lse, g, a, u, ab;
  int64_t target;
  template <class T>
  __device__ C at(C x, int64_t c, const T* weight) const {
    C v = exp(x - lse) * (g * ab);
    if (u != 0) v -= g * u * (weight ? widened(weight[c]) : C(1));
    return c == target ? v - g * a : v;
  }
};

// One pass for lse and loss; dlogits is written where it is given (it may be the logits themselves: the target's logit
// is read before the team meets, elements are overwritten after).
template <class T, int V>
__global__ void forward_kernel(const T* logits, const int64_t* target, const T* weight, int64_t rows, const Row r,
                               compute_t<T>* lses, compute_t<T>* losses, const compute_t<T>* total, T* dlogits,
                               bool block, bool cached) {
  using C = compute_t<T>;
  FASTNN_SHARED(shared, C[kMostWarps]);
  FASTNN_DYNAMIC_SHARED(C, buffer);
  const Team team(block);
  if (team.row >= rows) return;
  const int64_t n = r.classes, t = target[team.row];
  C* kept = team.part(buffer, n);
  const T* x = logits + team.row * n;
  const bool ignored = t == r.ignore_index, bad = !ignored && (t < 0 || t >= n);
  const C xt = ignored || bad ? C(0) : widened(x[t]), wt = ignored || bad || !weight ? C(1) : widened(weight[t]);
  const bool smooth = r.smoothing != 0;
  C m = -static_cast<C>(INFINITY), weighted = 0, weights = 0;
  for (int64_t i = static_cast<int64_t>(team.lane) * V; i < n; i += static_cast<int64_t>(team.size) * V) {
    C v[V];
    load(x + i, v);
#pragma unroll
    for (int k = 0; k < V; ++k) {
      m = Larger()(m, v[k]);
      if (cached) kept[i + k] = v[k];
      if (smooth) {
        const C w = weight ? widened(weight[i + k]) : C(1);
        weighted += w * v[k];
        weights += w;
      }
    }
  }
  m = team_join(block, m, Larger(), &shared[0]);
  C s = 0;
  for (int64_t i = static_cast<int64_t>(team.lane) * V; i < n; i += static_cast<int64_t>(team.size) * V) {
    C v[V];
    if (!cached) load(x + i, v);
#pragma unroll
    for (int k = 0; k < V; ++k) s += exp((cached ? kept[i + k] : v[k]) - m);
  }
  s = team_join(block, s, Add(), &shared[0]);
  if (smooth) {
    weighted = team_join(block, weighted, Add(), &shared[0]);
    weights = team_join(block, weights, Add(), &shared[0]);
  }
  const C lse = m + log(s), u = static_cast<C>(r.smoothing) / static_cast<C>(n);
  const C a = (1 - static_cast<C>(r.smoothing)) * wt;
  if (team.lane == 0) {
    C loss = a * (lse - xt);
    if (smooth) loss += u * (lse * weights - weighted);
    lses[team.row] = lse;
    losses[team.row] = bad ? static_cast<C>(NAN) : ignored ? C(0) : loss;
  }
  if (!dlogits) return;
  if (!block) __syncwarp();  // shuffles do not order memory: the target's logit is read before it is overwritten
  const C g = bad ? static_cast<C>(NAN) : total ? 1 / *total : C(1);
  const Slope<C> slope{lse, g, a, u, a + u * weights, t};
  for (int64_t i = static_cast<int64_t>(team.lane) * V; i < n; i += static_cast<int64_t>(team.size) * V) {
    C v[V];
    if (!cached) load(x + i, v);
#pragma unroll
    for (int k = 0; k < V; ++k) v[k] = ignored ? C(0) : slope.at(cached ? kept[i + k] : v[k], i + k, weight);
    store(dlogits + team.row * n + i, v);
  }
}

template <class T, int V>
__global__ void backward_kernel(const T* logits, const int64_t* target, const T* weight, int64_t rows, const Row r,
                                const compute_t<T>* lses, const compute_t<T>* total, const T* dloss,
                                int64_t dloss_stride, const compute_t<T>* weight_sum, T* dlogits, bool block) {
  using C = compute_t<T>;
  const Team team(block);
  if (team.row >= rows) return;
  const int64_t n = r.classes, t = target[team.row];
  const bool ignored = t == r.ignore_index, bad = !ignored && (t < 0 || t >= n);
  const C wt = ignored || bad || !weight ? C(1) : widened(weight[t]);
  const C u = static_cast<C>(r.smoothing) / static_cast<C>(n), a = (1 - static_cast<C>(r.smoothing)) * wt;
  C g = widened(dloss[team.row * dloss_stride]);
  if (total) g /= *total;
  if (bad) g = static_cast<C>(NAN);
  const Slope<C> slope{lses[team.row], g, a, u, a + u * (u != 0 ? *weight_sum : C(0)), t};
  for (int64_t i = static_cast<int64_t>(team.lane) * V; i < n; i += static_cast<int64_t>(team.size) * V) {
    C v[V];
    load(logits + team.row * n + i, v);
#pragma unroll
    for (int k = 0; k < V; ++k) v[k] = ignored ? C(0) : slope.at(v[k], i + k, weight);
    store(dlogits + team.row * n + i, v);
  }
}

// Sums over what `value` gives for 0 .. n - 1, a part a block.
template <class C, class F>
__device__ inline void sum_part(int64_t n, F value, C* out, C divisor) {
  FASTNN_SHARED(shared, C[kMostWarps]);
  C s = 0;
  for (int64_t i = static_cast<int64_t>(blockIdx.x) * blockDim.x + threadIdx.x; i < n;
       i += static_cast<int64_t>(gridDim.x) * blockDim.x)
    s += value(i);
  s = block_join(s, Add(), &shared[0]);
  if (threadIdx.x == 0) out[blockIdx.x] = s / divisor;
}
// The weights that Mean divides by.
template <class T>
__global__ void __launch_bounds__(kBlock)
    total_kernel(const int64_t* target, const T* weight, int64_t rows, const Row r, compute_t<T>* out) {
  using C = compute_t<T>;
  sum_part<C>(
      rows,
      [&](int64_t i) {
        const int64_t t = target[i];
        if (t == r.ignore_index) return C(0);
        return weight && t >= 0 && t < r.classes ? widened(weight[t]) : C(1);
      },
      out, C(1));
}
template <class T>
__global__ void __launch_bounds__(kBlock)
    sum_kernel(const T* x, int64_t n, const compute_t<T>* total, compute_t<T>* out) {
  using C = compute_t<T>;
  sum_part<C>(n, [&](int64_t i) { return x ? widened(x[i]) : C(1); }, out, total ? *total : C(1));
}

template <class T>
__global__ void scale_kernel(T* dlogits, const T* dloss, int64_t dloss_stride, int64_t rows, int64_t n) {
  using C = compute_t<T>;
  const int64_t row = static_cast<int64_t>(blockIdx.x) * (blockDim.x / 32) + threadIdx.x / 32;
  if (row >= rows) return;
  const C g = widened(dloss[row * dloss_stride]);
  if (g == 1) return;
  for (int64_t i = threadIdx.x % 32; i < n; i += 32) {
    T& at = dlogits[row * n + i];
    at = narrowed<T>(widened(at) * g);
  }
}

unsigned parts_of(int64_t rows) {
  const int64_t parts = (rows + 4 * kBlock - 1) / (4 * kBlock);
  return static_cast<unsigned>(parts < 1 ? 1 : parts > kMostParts ? kMostParts : parts);
}

template <class T>
struct Run {
  using C = compute_t<T>;
  const CrossEntropyArgs& a;
  C* work;
  Stream stream;
  const T* weight() const { return static_cast<const T*>(a.weight); }
  Row row() const { return {a.classes, a.ignore_index, a.smoothing}; }
  const C* divisor() const { return a.reduction == Reduction::Mean ? static_cast<const C*>(a.total) : nullptr; }

  void total() const {
    const unsigned parts = parts_of(a.rows);
    C* out = static_cast<C*>(a.total);
    launch("cross_entropy", total_kernel<T>, dim3(parts), dim3(kBlock), 0, stream, a.target, weight(), a.rows, row(),
           parts > 1 ? work : out);
    if (parts > 1)
      launch("cross_entropy", sum_kernel<C>, dim3(1), dim3(kBlock), 0, stream, static_cast<const C*>(work),
             static_cast<int64_t>(parts), static_cast<const C*>(nullptr), out);
  }
  void forward() const {
    total();
    const T* x = static_cast<const T*>(a.logits);
    T* dx = static_cast<T*>(a.dlogits);
    C *lse = static_cast<C*>(a.lse), *losses = static_cast<C*>(a.losses);
    if (a.rows) {
      constexpr int V = kVector<T>;
      const RowPlan p = row_plan(a.rows, a.classes, sizeof(C));
      const bool packed = row_packs(a.classes, V, sizeof(T), {x, dx});
      launch("cross_entropy", packed ? forward_kernel<T, V> : forward_kernel<T, 1>, dim3(p.blocks), dim3(p.threads),
             p.shared, stream, x, a.target, weight(), a.rows, row(), lse, losses, divisor(), dx, p.block, p.cached);
    }
    if (a.reduction == Reduction::None) return;
    const unsigned parts = parts_of(a.rows);
    C* out = static_cast<C*>(a.loss);
    launch("cross_entropy", sum_kernel<C>, dim3(parts), dim3(kBlock), 0, stream, static_cast<const C*>(losses), a.rows,
           parts > 1 ? nullptr : divisor(), parts > 1 ? work : out);
    if (parts > 1)
      launch("cross_entropy", sum_kernel<C>, dim3(1), dim3(kBlock), 0, stream, static_cast<const C*>(work),
             static_cast<int64_t>(parts), divisor(), out);
  }
  void backward() const {
    if (a.rows * a.classes == 0) return;
    if (a.smoothing != 0)  // the sum of the weights
      launch("cross_entropy", sum_kernel<T>, dim3(1), dim3(kBlock), 0, stream, weight(), a.classes,
             static_cast<const C*>(nullptr), work);
    constexpr int V = kVector<T>;
    const T* x = static_cast<const T*>(a.logits);
    T* dx = static_cast<T*>(a.dlogits);
    const RowPlan p = row_plan(a.rows, a.classes, sizeof(C));
    const bool packed = row_packs(a.classes, V, sizeof(T), {x, dx});
    launch("cross_entropy", packed ? backward_kernel<T, V> : backward_kernel<T, 1>, dim3(p.blocks), dim3(p.threads), 0,
           stream, x, a.target, weight(), a.rows, row(), static_cast<const C*>(a.lse), divisor(),
           static_cast<const T*>(a.dloss), stride(), static_cast<const C*>(work), dx, p.block);
  }
  void scale() const {
    if (a.rows * a.classes == 0) return;
    launch("cross_entropy", scale_kernel<T>, dim3(static_cast<unsigned>((a.rows + kRowWarps - 1) / kRowWarps)),
           dim3(kBlock), 0, stream, static_cast<T*>(a.dlogits), static_cast<const T*>(a.dloss), stride(), a.rows,
           a.classes);
  }
  int64_t stride() const { return a.reduction == Reduction::None ? 1 : 0; }
};

template <class F>
void with_run(const CrossEntropyArgs& a, void* workspace, Stream stream, const F& f) {
  with_float("cross_entropy", a.dtype, [&](auto type) {
    using T = typename decltype(type)::type;
    f(Run<T>{a, static_cast<compute_t<T>*>(workspace), stream});
  });
}

}  // namespace

size_t cross_entropy_workspace(const CrossEntropyArgs&) { return static_cast<size_t>(kMostParts) * 8; }

void cross_entropy(const CrossEntropyArgs& a, void* workspace, Stream stream) {
  with_run(a, workspace, stream, [](const auto& run) { run.forward(); });
}
void cross_entropy_backward(const CrossEntropyArgs& a, void* workspace, Stream stream) {
  with_run(a, workspace, stream, [](const auto& run) { run.backward(); });
}
void cross_entropy_scale(const CrossEntropyArgs& a, Stream stream) {
  with_run(a, nullptr, stream, [](const auto& run) { run.scale(); });
}

}  // namespace cuda
}  // namespace fastnn
