// The primitives under the emulator: barriers, warps, atomics, shared memory, and what is reported.
#include "cuda/launch.h"
#include "cuda/prim_async.h"
#ifdef FASTNN_EMU
#include "native.h"
#endif

using namespace fastnn;
using namespace fastnn::cuda;

namespace {

// y[row] = sum(x[row, :]), a block a row: shuffles, static shared memory, __syncthreads.
template <class T>
__global__ void __launch_bounds__(256) row_sum(const T* x, float* y, int columns) {
  FASTNN_SHARED(partial, float[8]);
  const T* row = x + size_t(blockIdx.x) * columns;
  float s = 0;
  for (int i = threadIdx.x; i < columns; i += blockDim.x) s += to_float(row[i]);
  s = warp_sum(s);
  if (threadIdx.x % 32 == 0) partial[threadIdx.x / 32] = s;
  __syncthreads();
  if (threadIdx.x == 0) {
    for (unsigned w = 1; w < blockDim.x / 32; ++w) s += partial[w];
    y[blockIdx.x] = s;
  }
}

// A transposed tile, in dynamic shared memory.
__global__ void transpose(const float* x, float* y, int rows, int columns) {
  FASTNN_DYNAMIC_SHARED(float, tile);
  int r = blockIdx.y * 32 + threadIdx.y, c = blockIdx.x * 32 + threadIdx.x;
  if (r < rows && c < columns) tile[threadIdx.y * 33 + threadIdx.x] = x[size_t(r) * columns + c];
  __syncthreads();
  r = blockIdx.y * 32 + threadIdx.x, c = blockIdx.x * 32 + threadIdx.y;
  if (r < rows && c < columns) y[size_t(c) * rows + r] = tile[threadIdx.x * 33 + threadIdx.y];
}

// The last block to arrive adds up what all have left.
__global__ void last_block_sum(const float* x, float* partial, unsigned* arrived, float* y, int n) {
  FASTNN_SHARED(last, bool);
  float s = 0;
  for (int i = blockIdx.x * 32 + threadIdx.x; i < n; i += gridDim.x * 32) s += x[i];
  s = warp_sum(s);
  if (threadIdx.x == 0) {
    partial[blockIdx.x] = s;
    __threadfence();
    last = atomicAdd(arrived, 1u) == gridDim.x - 1;
    __threadfence();
  }
  __syncthreads();
  if (last && threadIdx.x == 0) {
    s = 0;
    for (unsigned i = 0; i < gridDim.x; ++i) s += partial[i];
    *y = s;
  }
}

__global__ void votes(int* out) {
  unsigned lane = threadIdx.x % 32;
  out[threadIdx.x * 4] = static_cast<int>(__ballot_sync(kFullWarp, lane % 3 == 0));
  unsigned half = lane < 16 ? 0xffffu : 0xffff0000u;
  if (lane < 16)  // two halves of one warp, each for itself
    out[threadIdx.x * 4 + 1] = __any_sync(half, lane == 5);
  else
    out[threadIdx.x * 4 + 1] = __all_sync(half, lane != 20);
  out[threadIdx.x * 4 + 2] = __shfl_down_sync(kFullWarp, static_cast<int>(lane), 3, 8);
  out[threadIdx.x * 4 + 3] = static_cast<int>(__match_any_sync(kFullWarp, lane % 4));
}

__global__ void histogram(const int* x, int* bins, float* total, int n) {
  int i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i < n) {
    atomicAdd(&bins[x[i]], 1);
    atomicAdd(total, 0.5f);
    atomicMax(&bins[4], x[i]);
  }
}

__global__ void divergent(float* y) {
  FASTNN_SHARED(v, float[64]);
  v[threadIdx.x] = 1;
  if (threadIdx.x < 32)
    __syncthreads();
  else
    __syncthreads();
  y[threadIdx.x] = v[threadIdx.x ^ 32];
}
__global__ void never(float*) {
  if (threadIdx.x < 32) named_barrier_sync(1, 64);
}
__global__ void partial_mask(float* y) {
  if (threadIdx.x < 16) y[threadIdx.x] = __shfl_xor_sync(kFullWarp, 1.0f, 1);
}

// Each block adds up its neighbours' numbers, read from their shared memory.
__global__ void cluster_sum(const float* x, float* y) {
  FASTNN_SHARED(mine, float[32]);
  mine[threadIdx.x] = x[blockIdx.x * 32 + threadIdx.x];
  cluster_sync();
  float s = 0;
  for (unsigned r = 0; r < 4; ++r) s += cluster_shared(mine, r)[threadIdx.x];
  y[blockIdx.x * 32 + threadIdx.x] = s;
  cluster_sync();  // nobody leaves while others read
}

// Every block tells rank 0 that its number is there; rank 0 waits for all.
__global__ void cluster_arrivals(float* y) {
  FASTNN_SHARED(number, float[4]);
  FASTNN_SHARED(here, Mbarrier);
  if (threadIdx.x == 0) mbarrier_init(&here, 4);
  mbarrier_fence_init();
  cluster_sync();
  if (threadIdx.x == 0) {
    cluster_shared(number, 0)[cluster_rank()] = cluster_rank() + 1.0f;
    mbarrier_arrive_peer(&here, 0);
  }
  if (cluster_rank() == 0 && threadIdx.x == 0) {
    mbarrier_wait(&here, 0);
    y[blockIdx.x / 4] = number[0] + number[1] + number[2] + number[3];
  }
  cluster_sync();
}

// Steps that need the whole grid: y[i] becomes the sum of its neighbours, again and again.
__global__ void diffuse(float* a, float* b, int n, int steps, unsigned* counter) {
  int i = blockIdx.x * blockDim.x + threadIdx.x;
  for (int s = 0; s < steps; ++s) {
    const float* from = s % 2 ? b : a;
    float* to = s % 2 ? a : b;
    if (i < n) to[i] = (i > 0 ? from[i - 1] : 0) + (i + 1 < n ? from[i + 1] : 0);
    grid_barrier(counter);
  }
}

// A ring of two stages of cp.async.
__global__ void copied(const float* x, float* y, int tiles) {
  FASTNN_SHARED(ring, float[2][128]);
  auto fetch = [&](int t) {
    if (t < tiles) cp_async16(&ring[t % 2][threadIdx.x * 4], x + t * 128 + threadIdx.x * 4, true);
    cp_async_commit();
  };
  fetch(0);
  for (int t = 0; t < tiles; ++t) {
    fetch(t + 1);
    cp_async_wait<1>();
    __syncthreads();
    for (int i = threadIdx.x; i < 128; i += 32) y[t * 128 + i] = ring[t % 2][127 - i];
    __syncthreads();
  }
}

}  // namespace

#ifdef FASTNN_EMU  // nvcc compiles the kernels alone

TEST(row_sum_of_ragged_rows) {
  for (int columns : {1, 31, 33, 257, 1000}) {
    const int rows = 5;
    auto x = random_floats(rows * columns);
    std::vector<float> y(rows, NAN);
    launch("row_sum", row_sum<float>, rows, 256, 0, nullptr, x.data(), y.data(), columns);
    for (int r = 0; r < rows; ++r) {
      double s = 0;
      for (int c = 0; c < columns; ++c) s += x[r * columns + c];
      NEAR(y[r], s, 1e-4);
    }
  }
}

TEST(transposed_by_tiles) {
  const int rows = 45, columns = 70;
  auto x = random_floats(rows * columns);
  std::vector<float> y(rows * columns, NAN);
  launch("transpose", transpose, dim3((columns + 31) / 32, (rows + 31) / 32), dim3(32, 32), 33 * 32 * 4, nullptr,
         x.data(), y.data(), rows, columns);
  for (int r = 0; r < rows; ++r)
    for (int c = 0; c < columns; ++c) NEAR(y[c * rows + r], x[r * columns + c], 0);
}

TEST(last_block_adds_up) {
  const int n = 1000;
  auto x = random_floats(n);
  std::vector<float> partial(7, NAN);
  unsigned arrived = 0;
  float y = NAN;
  launch("last_block_sum", last_block_sum, 7, 32, 0, nullptr, x.data(), partial.data(), &arrived, &y, n);
  double s = 0;
  for (float v : x) s += v;
  NEAR(y, s, 1e-4);
}

TEST(votes_shuffles_and_matches) {
  std::vector<int> out(64 * 4, -1);
  launch("votes", votes, 1, 64, 0, nullptr, out.data());
  for (int i = 0; i < 64; ++i) {
    int lane = i % 32;
    NEAR(out[i * 4], 0x49249249, 0);
    NEAR(out[i * 4 + 1], lane < 16, 0);
    NEAR(out[i * 4 + 2], lane % 8 < 5 ? lane + 3 : lane, 0);
    NEAR(static_cast<unsigned>(out[i * 4 + 3]), 0x11111111u << lane % 4, 0);
  }
}

TEST(atomics) {
  std::vector<int> x(1000), bins(5, 0);
  for (int i = 0; i < 1000; ++i) x[i] = i % 4;
  float total = 0;
  launch("histogram", histogram, 4, 256, 0, nullptr, x.data(), bins.data(), &total, 1000);
  for (int b = 0; b < 4; ++b) NEAR(bins[b], 250, 0);
  NEAR(bins[4], 3, 0);
  NEAR(total, 500, 0);
}

TEST(sixteen_bit_floats) {
  for (float v : {1.0f, -2.5f, 65504.0f, 1e-7f, 6.1e-5f, 3.14159f, 1e30f}) {
    float h = to_float(from_float<f16>(v)), b = to_float(from_float<bf16>(v));
    if (std::fabs(v) < 65520.0f) NEAR(h, v, std::fabs(v) * 4.9e-4 + 3e-8);
    NEAR(b, v, std::fabs(v) * 3.95e-3);
  }
  CHECK(std::isinf(to_float(from_float<f16>(65520.0f))));
  CHECK(std::isnan(to_float(from_float<f16>(NAN))) && std::isnan(to_float(from_float<bf16>(NAN))));
  for (int i = 0; i < 65536; ++i) {  // every value survives the way there and back
    f16 h{static_cast<uint16_t>(i)};
    if (!std::isnan(to_float(h))) NEAR(from_float<f16>(to_float(h)).bits, i, 0);
  }
}

TEST(clusters_read_each_other) {
  auto x = random_floats(8 * 32);
  std::vector<float> y(8 * 32, NAN), z(2, NAN);
  launch_cluster("cluster_sum", cluster_sum, 8, 32, 4, 0, nullptr, x.data(), y.data());
  for (int i = 0; i < 256; ++i) {
    double s = 0;
    for (int r = 0; r < 4; ++r) s += x[i / 128 * 128 + r * 32 + i % 32];
    NEAR(y[i], s, 1e-6);
  }
  launch_cluster("cluster_arrivals", cluster_arrivals, 8, 32, 4, 0, nullptr, z.data());
  for (float v : z) NEAR(v, 10, 0);
}

TEST(grid_barriers) {
  const int n = 100;
  auto a = random_floats(n);
  std::vector<float> b(n, NAN);
  std::vector<double> want(a.begin(), a.end()), next(n);
  unsigned counter = 0;
  launch_cooperative("diffuse", diffuse, 4, 32, 0, nullptr, a.data(), b.data(), n, 5, &counter);
  for (int s = 0; s < 5; ++s) {
    for (int i = 0; i < n; ++i) next[i] = (i ? want[i - 1] : 0) + (i + 1 < n ? want[i + 1] : 0);
    want = next;
  }
  for (int i = 0; i < n; ++i) NEAR(b[i], want[i], 1e-4);
  THROWS(launch("diffuse", diffuse, 4, 32, 0, nullptr, a.data(), b.data(), n, 1, &counter), "cooperative");
}

TEST(asynchronous_copies) {
  auto x = random_floats(128 * 5);
  std::vector<float> y(128 * 5, NAN);
  // cp.async wants 16-byte addresses
  std::vector<float4> aligned(32 * 5);
  std::memcpy(aligned.data(), x.data(), x.size() * 4);
  launch("copied", copied, 1, 32, 0, nullptr, reinterpret_cast<const float*>(aligned.data()), y.data(), 5);
  for (int i = 0; i < 640; ++i) NEAR(y[i], x[i / 128 * 128 + 127 - i % 128], 0);
}

TEST(misuse_is_reported) {
  float y[64];
  THROWS(launch("divergent", divergent, 1, 64, 0, nullptr, y), "divergent code");
  THROWS(launch("never", never, 1, 64, 0, nullptr, y), "deadlock");
  THROWS(launch("partial_mask", partial_mask, 1, 32, 0, nullptr, y), "which has exited");
  THROWS(launch("big", never, 1, 2048, 0, nullptr, y), "2048 threads");
}

MAIN()

#endif
