// Convolutions by im2col: the taps of some images are laid out as columns, and the rest is a matrix product.
//   forward  y[n]  = w x col[n]            w is [K/groups, C/groups * taps], col [C/groups * taps, O*P*Q], a group each
//   input    col[n] = w^T x dy[n]; dx gathers from the columns: every element is written once, in a fixed order
//   weight   dw = dy x col^T over all images and positions, cut into as many parts as keep the device busy; the parts
//            are added in order
// A 1 x 1 convolution of stride 1 without padding has its columns already: x (or dx) itself.
#include "cuda/conv2d.h"
#include "cuda/gemm_common.h"
#include "cuda/storage.h"

namespace fastnn {
namespace cuda {
namespace {

size_t columns_budget = size_t(64) << 20;  // bytes of columns at once

struct Geometry {
  int C, D, H, W, O, P, Q, T, R, S;
  int stride_d, stride_h, stride_w, pad_d, pad_h, pad_w, dilation_d, dilation_h, dilation_w;
};

// col[image * image_stride + row * row_stride + position], row = (c, t, r, s); zeros up to `pitch` columns.
template <class T>
__global__ void __launch_bounds__(256) im2col_kernel(const Geometry g, const T* x, T* col, int images,
                                                     int64_t image_stride, int64_t row_stride, int64_t pitch) {
  int positions = g.O * g.P * g.Q, rows = g.C * g.T * g.R * g.S;
  int64_t j = int64_t(blockIdx.x) * blockDim.x + threadIdx.x;
  if (j >= pitch) return;
  int image = static_cast<int>(j / positions), at = static_cast<int>(j - int64_t(image) * positions);
  int q = at % g.Q, p = at / g.Q % g.P, o = at / g.Q / g.P;
  for (int row = blockIdx.y; row < rows; row += gridDim.y) {
    int s = row % g.S, r = row / g.S % g.R, t = row / g.S / g.R % g.T, c = row / g.S / g.R / g.T;
    int w = q * g.stride_w - g.pad_w + s * g.dilation_w, h = p * g.stride_h - g.pad_h + r * g.dilation_h;
    int d = o * g.stride_d - g.pad_d + t * g.dilation_d;
    bool inside = image < images && w >= 0 && w < g.W && h >= 0 && h < g.H && d >= 0 && d < g.D;
    T v = inside ? x[(((int64_t(image) * g.C + c) * g.D + d) * g.H + h) * g.W + w] : zero<T>();
    col[image < images ? image * image_stride + row * row_stride + at : row * row_stride + j] = v;
  }
}

// dx[n, c, d, h, w]: the sum of the columns' elements that were read from there.
template <class T>
__global__ void __launch_bounds__(256) col2im_kernel(const Geometry g, const T* col, T* dx, int planes) {
  int size = g.D * g.H * g.W, positions = g.O * g.P * g.Q, taps = g.T * g.R * g.S;
  int i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i >= size) return;
  int w = i % g.W, h = i / g.W % g.H, d = i / g.W / g.H;
  for (int plane = blockIdx.y; plane < planes; plane += gridDim.y) {  // image and channel
    const T* from = col + int64_t(plane) * taps * positions;
    typename Accumulator<T>::type sum = 0;
    for (int t = 0; t < g.T; ++t) {
      int o = d + g.pad_d - t * g.dilation_d;
      if (o < 0 || o % g.stride_d || o / g.stride_d >= g.O) continue;
      for (int r = 0; r < g.R; ++r) {
        int p = h + g.pad_h - r * g.dilation_h;
        if (p < 0 || p % g.stride_h || p / g.stride_h >= g.P) continue;
        for (int s = 0; s < g.S; ++s) {
          int q = w + g.pad_w - s * g.dilation_w;
          if (q < 0 || q % g.stride_w || q / g.stride_w >= g.Q) continue;
          int tap = (t * g.R + r) * g.S + s;
          sum +=
              to_acc(from[int64_t(tap) * positions + (o / g.stride_d * g.P + p / g.stride_h) * g.Q + q / g.stride_w]);
        }
      }
    }
    dx[int64_t(plane) * size + i] = from_acc<T>(sum);
  }
}

// dy [images, K, positions] as [K, pitch], zeros at the end of each row.
template <class T>
__global__ void __launch_bounds__(256)
    gather_dy_kernel(const T* dy, T* out, int K, int images, int positions, int64_t pitch) {
  int64_t j = int64_t(blockIdx.x) * blockDim.x + threadIdx.x;
  if (j >= pitch) return;
  int image = static_cast<int>(j / positions), at = static_cast<int>(j - int64_t(image) * positions);
  for (int k = blockIdx.y; k < K; k += gridDim.y)
    out[k * pitch + j] = image < images ? dy[(int64_t(image) * K + k) * positions + at] : zero<T>();
}

// Adds the parts up, and to what the images before gave (total, where not first); rounds once, after the last.
template <class T, class A>
__global__ void __launch_bounds__(256)
    add_parts_kernel(const A* parts, A* total, T* dw, int64_t n, int count, bool first, bool last) {
  int64_t i = int64_t(blockIdx.x) * blockDim.x + threadIdx.x;
  if (i >= n) return;
  A sum = first ? A(0) : total[i];
  for (int s = 0; s < count; ++s) sum += parts[s * n + i];
  if (last)
    dw[i] = from_acc<T>(sum);
  else
    total[i] = sum;
}

struct Plan {
  Geometry g;
  int64_t taps, rows, positions, Cg, Kg, crs;  // rows: C * taps
  int images;                                  // at once
  bool direct;                                 // x is its own columns
  int parts;                                   // weight only: of the sum over images and positions
  int64_t part, pitch;
  size_t columns_bytes, dy_bytes, parts_bytes;
};

size_t aligned(size_t bytes) { return (bytes + 255) / 256 * 256; }

Plan plan_of(const Conv2dShape& s, Dtype dtype, ConvTask task) {
  if (dtype != Dtype::F32 && dtype != Dtype::F64 && dtype != Dtype::BF16 && dtype != Dtype::F16)
    throw std::invalid_argument("conv2d: the device convolves float32, float64, bfloat16 and float16");
  int64_t largest = 0x7fffffff;
  for (int64_t v : {s.C * s.D * s.H * s.W, s.K * s.O * s.P * s.Q, s.C * s.T * s.R * s.S, s.N})
    if (v > largest) throw std::invalid_argument("conv2d: one image has more than 2^31 elements");
  Plan p = {};
  auto i = [](int64_t v) { return static_cast<int>(v); };
  p.g = {i(s.C),     i(s.D),     i(s.H),          i(s.W),          i(s.O),         i(s.P),        i(s.Q),
         i(s.T),     i(s.R),     i(s.S),          i(s.stride_d),   i(s.stride_h),  i(s.stride_w), i(s.pad_d),
         i(s.pad_h), i(s.pad_w), i(s.dilation_d), i(s.dilation_h), i(s.dilation_w)};
  p.taps = s.T * s.R * s.S;
  p.rows = s.C * p.taps;
  p.positions = s.O * s.P * s.Q;
  p.Cg = s.C / s.groups;
  p.Kg = s.K / s.groups;
  p.crs = p.Cg * p.taps;
  p.direct = p.taps == 1 && s.stride_d == 1 && s.stride_h == 1 && s.stride_w == 1 && !s.pad_d && !s.pad_h && !s.pad_w;
  size_t size = size_of(dtype);
  size_t image = size * p.rows * p.positions;
  int64_t images = image ? static_cast<int64_t>(columns_budget / image) : 1;
  images = images < 1 ? 1 : images > s.N ? s.N : images;
  if (images > 65535) images = 65535;
  p.images = i(images);
  if (task != ConvTask::Weight) {
    p.columns_bytes = p.direct ? 0 : aligned(image * p.images);
    return p;
  }
  // Parts of the sum: enough tiles for the device, none shorter than 512 products.
  int64_t sum = images * p.positions, tiles = ((p.Kg + 63) / 64) * ((p.crs + 63) / 64) * s.groups;
  int64_t parts = 264 / (tiles ? tiles : 1);
  if (parts > sum / 512) parts = sum / 512;
  if (parts < 1) parts = 1;
  p.part = (sum + parts - 1) / parts;
  p.part = (p.part + 31) / 32 * 32;
  p.parts = i((sum + p.part - 1) / p.part);
  if (p.parts < 1) p.parts = 1;
  p.pitch = p.part * p.parts;
  p.columns_bytes = aligned(size * p.rows * p.pitch);
  p.dy_bytes = aligned(size * s.K * p.pitch);
  p.parts_bytes = aligned((size == 8 ? 8 : 4) * s.K * p.crs * (p.parts + 1));  // and the sum so far
  return p;
}

template <class T, class F>
void for_images(const Conv2dShape& s, const Plan& p, F body) {
  for (int64_t n0 = 0; n0 < s.N; n0 += p.images) body(n0, static_cast<int>(s.N - n0 < p.images ? s.N - n0 : p.images));
}

dim3 column_grid(int64_t columns, int64_t rows) {
  return dim3(static_cast<unsigned>((columns + 255) / 256), static_cast<unsigned>(rows < 65535 ? rows : 65535));
}
dim3 flat_grid(int64_t n) {
  int64_t blocks = (n + 255) / 256;
  return dim3(static_cast<unsigned>(blocks < 0x7fffffff ? blocks : 0x7fffffff));
}

// The product of every group of `count` images: batches over images or over groups, whichever are more.
void products(const Conv2dShape& s, const Plan& p, GemmArgs g, GemmOptions o, int count, size_t size, int64_t a_group,
              int64_t b_group, int64_t c_group, int64_t b_image, int64_t c_image, Stream stream) {
  auto at = [&](const void* base, int64_t elements) { return static_cast<const char*>(base) + elements * size; };
  const GemmArgs base = g;
  bool by_groups = s.groups > count;
  for (int64_t i = 0; i < (by_groups ? count : s.groups); ++i) {
    g.batch = by_groups ? s.groups : count;
    g.a_bs = by_groups ? a_group : 0;
    g.b_bs = by_groups ? b_group : b_image;
    g.c_bs = by_groups ? c_group : c_image;
    g.a = at(base.a, by_groups ? 0 : i * a_group);
    g.b = at(base.b, i * (by_groups ? b_image : b_group));
    g.c = const_cast<char*>(at(base.c, i * (by_groups ? c_image : c_group)));
    g.bias = base.bias ? at(base.bias, by_groups ? 0 : i * p.Kg) : nullptr;
    o.bias_bs = by_groups ? p.Kg : 0;
    gemm(g, o, stream);
  }
}

template <class T>
void forward(const Conv2dShape& s, Dtype dtype, const T* x, const T* w, const T* bias, GemmAct act, T* y, T* col,
             GemmOptions o, Stream stream) {
  Plan p = plan_of(s, dtype, ConvTask::Forward);
  int64_t image_x = s.C * s.D * s.H * s.W, image_y = s.K * p.positions, image_col = p.rows * p.positions;
  o.bias_rows = true;
  for_images<T>(s, p, [&](int64_t n0, int count) {
    const T* from = x + n0 * image_x;
    if (!p.direct) {
      launch("conv2d", im2col_kernel<T>, column_grid(count * p.positions, p.rows), dim3(256), 0, stream, p.g, from, col,
             count, image_col, p.positions, count * p.positions);
      from = col;
    }
    GemmArgs g = {};
    g.dtype = dtype;
    g.m = p.Kg, g.n = p.positions, g.k = p.crs;
    g.a = w, g.a_rs = p.crs, g.a_cs = 1;
    g.b = from, g.b_rs = p.positions, g.b_cs = 1;
    g.c = y + n0 * image_y, g.ldc = p.positions;
    g.bias = bias, g.act = act;
    products(s, p, g, o, count, sizeof(T), p.Kg * p.crs, p.crs * p.positions, p.Kg * p.positions, image_col, image_y,
             stream);
  });
}

template <class T>
void input(const Conv2dShape& s, Dtype dtype, const T* dy, const T* w, T* dx, T* col, GemmOptions o, Stream stream) {
  Plan p = plan_of(s, dtype, ConvTask::Input);
  int64_t image_x = s.C * s.D * s.H * s.W, image_y = s.K * p.positions, image_col = p.rows * p.positions;
  for_images<T>(s, p, [&](int64_t n0, int count) {
    GemmArgs g = {};
    g.dtype = dtype;
    g.m = p.crs, g.n = p.positions, g.k = p.Kg;
    g.a = w, g.a_rs = 1, g.a_cs = p.crs;
    g.b = dy + n0 * image_y, g.b_rs = p.positions, g.b_cs = 1;
    g.c = p.direct ? dx + n0 * image_x : col, g.ldc = p.positions;
    products(s, p, g, o, count, sizeof(T), p.Kg * p.crs, p.Kg * p.positions, p.crs * p.positions, image_y, image_col,
             stream);
    if (!p.direct)
      launch("conv2d", col2im_kernel<T>, column_grid(s.D * s.H * s.W, count * s.C), dim3(256), 0, stream, p.g, col,
             dx + n0 * image_x, static_cast<int>(count * s.C));
  });
}

template <class T>
void weight(const Conv2dShape& s, Dtype dtype, const T* x, const T* dy, T* dw, char* workspace, GemmOptions o,
            Stream stream) {
  Plan p = plan_of(s, dtype, ConvTask::Weight);
  T* col = reinterpret_cast<T*>(workspace);
  T* dys = reinterpret_cast<T*>(workspace + p.columns_bytes);
  using A = typename Accumulator<T>::type;
  A* parts = reinterpret_cast<A*>(workspace + p.columns_bytes + p.dy_bytes);
  o.wide = true;
  int64_t image_x = s.C * s.D * s.H * s.W, image_y = s.K * p.positions, size_w = s.K * p.crs;
  for_images<T>(s, p, [&](int64_t n0, int count) {
    launch("conv2d", im2col_kernel<T>, column_grid(p.pitch, p.rows), dim3(256), 0, stream, p.g, x + n0 * image_x, col,
           count, p.positions, p.pitch, p.pitch);
    launch("conv2d", gather_dy_kernel<T>, column_grid(p.pitch, s.K), dim3(256), 0, stream, dy + n0 * image_y, dys,
           static_cast<int>(s.K), count, static_cast<int>(p.positions), p.pitch);
    for (int64_t i = 0; i < s.groups; ++i) {
      GemmArgs g = {};
      g.dtype = dtype;
      g.m = p.Kg, g.n = p.crs, g.k = p.part;
      g.a = dys + i * p.Kg * p.pitch, g.a_rs = p.pitch, g.a_cs = 1, g.a_bs = p.part;
      g.b = col + i * p.crs * p.pitch, g.b_rs = 1, g.b_cs = p.pitch, g.b_bs = p.part;
      g.c = parts + i * p.Kg * p.crs, g.ldc = p.crs, g.c_bs = size_w;
      g.batch = p.parts;
      gemm(g, o, stream);
    }
    launch("conv2d", add_parts_kernel<T, A>, flat_grid(size_w), dim3(256), 0, stream, parts, parts + p.parts * size_w,
           dw, size_w, p.parts, n0 == 0, n0 + count == s.N);
  });
}

bool nothing(const Conv2dShape& s) { return s.N <= 0 || s.K <= 0 || s.C <= 0; }

}  // namespace

size_t conv2d_workspace(const Conv2dShape& s, Dtype dtype, ConvTask task) {
  if (nothing(s)) return 0;
  Plan p = plan_of(s, dtype, task);
  return p.columns_bytes + p.dy_bytes + p.parts_bytes;
}

void conv2d_forward(const Conv2dShape& s, Dtype dtype, const void* x, const void* w, const void* bias, GemmAct act,
                    void* y, void* workspace, const GemmOptions& o, Stream stream) {
  if (nothing(s) || s.O * s.P * s.Q <= 0) return;
  plan_of(s, dtype, ConvTask::Forward);
  with_float("conv2d", dtype, [&](auto t) {
    using T = typename decltype(t)::type;
    forward<T>(s, dtype, static_cast<const T*>(x), static_cast<const T*>(w), static_cast<const T*>(bias), act,
               static_cast<T*>(y), static_cast<T*>(workspace), o, stream);
  });
}

void conv2d_input(const Conv2dShape& s, Dtype dtype, const void* dy, const void* w, void* dx, void* workspace,
                  const GemmOptions& o, Stream stream) {
  if (nothing(s)) return;
  plan_of(s, dtype, ConvTask::Input);
  with_float("conv2d", dtype, [&](auto t) {
    using T = typename decltype(t)::type;
    input<T>(s, dtype, static_cast<const T*>(dy), static_cast<const T*>(w), static_cast<T*>(dx),
             static_cast<T*>(workspace), o, stream);
  });
}

void conv2d_weight(const Conv2dShape& s, Dtype dtype, const void* x, const void* dy, void* dw, void* workspace,
                   const GemmOptions& o, Stream stream) {
  int64_t size_w = s.K * (s.C / (s.groups > 0 ? s.groups : 1)) * s.T * s.R * s.S;
  if (size_w <= 0) return;
  if (s.N > 0) plan_of(s, dtype, ConvTask::Weight);
  with_float("conv2d", dtype, [&](auto t) {
    using T = typename decltype(t)::type;
    if (s.N <= 0)  // the sum over no images
    {
      using A = typename Accumulator<T>::type;
      return launch("conv2d", add_parts_kernel<T, A>, flat_grid(size_w), dim3(256), 0, stream,
                    static_cast<const A*>(nullptr), static_cast<A*>(nullptr), static_cast<T*>(dw), size_w, 0, true,
                    true);
    }
    weight<T>(s, dtype, static_cast<const T*>(x), static_cast<const T*>(dy), static_cast<T*>(dw),
              static_cast<char*>(workspace), o, stream);
  });
}

}  // namespace cuda
}  // namespace fastnn
