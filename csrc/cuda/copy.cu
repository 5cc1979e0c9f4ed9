// Copies, casts, fills and transposes. Where source and target have different innermost dimensions, a tile of 32 x 32
// elements goes through shared memory, so that both sides move neighbours.
#include "cuda/elementwise.h"
#include "cuda/storage.h"
#include "cuda/strides.h"

namespace fastnn {
namespace cuda {
namespace {

struct Convert {
  Strided<2> s;
  const void* x;
  void* out;
  Dtype to;
  bool inner;  // x's elements are neighbours along the innermost dimension
};

template <class T>
__global__ void convert_kernel(const __grid_constant__ Convert w) {
  const uint32_t unit = blockIdx.x * blockDim.x + threadIdx.x;
  if (unit >= w.s.units) return;
  int64_t at[2];
  w.s.offsets(unit, at);
  store_as(w.to, w.out, at[0], widened(static_cast<const T*>(w.x)[at[1]]));
}

// The casts of training: between the floating types, 8 elements a thread in packs of up to 16 bytes.
template <class T, class U>
__global__ void cast_kernel(const __grid_constant__ Convert w) {
  const uint32_t unit = blockIdx.x * blockDim.x + threadIdx.x;
  if (unit >= w.s.units) return;
  constexpr int V = 8;
  int64_t at[2];
  w.s.offsets(unit, at);
  const T* x = static_cast<const T*>(w.x) + at[1];
  U* out = static_cast<U*>(w.out) + at[0];
  compute_t<T> v[V];
  compute_t<U> r[V];
  const int64_t left = w.s.ndim > 1 ? V : w.s.inner - static_cast<int64_t>(unit) * V;
  const int n = left < V ? static_cast<int>(left) : V;
  load(x, v, n, compute_t<T>(0));
#pragma unroll
  for (int i = 0; i < V; ++i) r[i] = static_cast<compute_t<U>>(v[i]);
  store(out, r, n);
}

// Elements of the same type: no value is looked at. x null: `bits` everywhere.
struct Move {
  Strided<2> s;
  const void* x;
  void* out;
  uint64_t bits;
  bool inner;
};
template <class T, int V>
__global__ void move_kernel(const __grid_constant__ Move w) {
  const uint32_t unit = blockIdx.x * blockDim.x + threadIdx.x;
  if (unit >= w.s.units) return;
  int64_t at[2];
  w.s.offsets(unit, at);
  T* out = static_cast<T*>(w.out) + at[0];
  const int64_t left = V == 1 || w.s.ndim > 1 ? V : w.s.inner - static_cast<int64_t>(unit) * V;
  Pack<T, V> v;
  const T* x = static_cast<const T*>(w.x) + (w.x ? at[1] : 0);
  if (w.x && w.inner && left >= V) {
    v = *reinterpret_cast<const Pack<T, V>*>(x);
  } else {
#pragma unroll
    for (int i = 0; i < V; ++i) v.v[i] = !w.x ? static_cast<T>(w.bits) : x[w.inner && i < left ? i : 0];
  }
  if (left >= V) {
    *reinterpret_cast<Pack<T, V>*>(out) = v;
    return;
  }
#pragma unroll
  for (int i = 0; i < V; ++i)
    if (i < left) out[i] = v.v[i];
}

// out's rows are contiguous, x's columns are: out[o, i, j] at out_row i + j, x[o, i, j] at i + x_column j. `outer`: the
// other dimensions, a unit each.
constexpr int kTile = 32, kTileRows = 8;
struct Turn {
  Strided<2> outer;
  const void* x;
  void* out;
  int64_t rows, columns, out_row, x_column;
  uint32_t row_tiles;
  FastDiv column_tiles;
};
template <class T>
__global__ void transpose_kernel(const __grid_constant__ Turn w) {
  FASTNN_SHARED(tile, T[kTile][kTile + 1]);  // a column more: the rows of a column lie in different banks
  int64_t at[2];
  w.outer.offsets(blockIdx.y, at);
  const uint32_t row_tile = w.column_tiles.quotient(blockIdx.x), column_tile = blockIdx.x - row_tile * w.column_tiles.d;
  const int64_t i0 = static_cast<int64_t>(row_tile) * kTile, j0 = static_cast<int64_t>(column_tile) * kTile;
  const T* x = static_cast<const T*>(w.x) + at[1];
  T* out = static_cast<T*>(w.out) + at[0];
  const int t = static_cast<int>(threadIdx.x), u = static_cast<int>(threadIdx.y);
  for (int k = u; k < kTile; k += kTileRows)
    if (i0 + t < w.rows && j0 + k < w.columns) tile[k][t] = x[i0 + t + (j0 + k) * w.x_column];
  __syncthreads();
  for (int k = u; k < kTile; k += kTileRows)
    if (i0 + k < w.rows && j0 + t < w.columns) out[(i0 + k) * w.out_row + j0 + t] = tile[t][k];
}

// ---- host ----
uint64_t bits_of(Dtype d, double number, int64_t integer) {
  uint64_t r = 0;
  const float f = static_cast<float>(number);
  switch (d) {
    case Dtype::F32:
      __builtin_memcpy(&r, &f, 4);
      return r;
    case Dtype::F64:
      __builtin_memcpy(&r, &number, 8);
      return r;
    case Dtype::F16:
      return to_f16(f);
    case Dtype::BF16:
      return to_bf16(f);
    case Dtype::Bool:
      return integer != 0;
    default:
      return static_cast<uint64_t>(integer);
  }
}
// Whether packs of v elements of `size` bytes can be moved on side k.
template <int N>
bool side_packs(const Layout<N>& l, int k, const void* p, int v, int size) {
  const int last = l.ndim - 1, bytes = v * size;
  if (l.stride[k][last] != 1 || !aligned(p, static_cast<size_t>(bytes > 16 ? 16 : bytes))) return false;
  for (int d = 0; d < last; ++d)
    if (l.stride[k][d] % v != 0) return false;
  return last == 0 || l.shape[last] % v == 0;
}

template <class T>
bool transpose(const CopyArgs& a, const Layout<2>& l, Stream stream) {
  const int last = l.ndim - 1;
  if (!a.x.p || last < 1 || l.stride[0][last] != 1 || l.stride[1][last] == 1 || l.stride[1][last] == 0) return false;
  int row = -1;
  for (int d = 0; d < last; ++d)
    if (l.stride[1][d] == 1) row = d;
  if (row < 0 || l.shape[row] < 8 || l.shape[last] < 8) return false;
  Turn w;
  w.rows = l.shape[row];
  w.columns = l.shape[last];
  w.out_row = l.stride[0][row];
  w.x_column = l.stride[1][last];
  const int64_t row_tiles = (w.rows + kTile - 1) / kTile, column_tiles = (w.columns + kTile - 1) / kTile;
  Layout<2> outer = l;
  outer.erase(last);
  outer.erase(row);
  if (row_tiles * column_tiles >= (int64_t(1) << 31) || outer.count() > 65535 || outer.ndim > kMaxDims) return false;
  w.row_tiles = static_cast<uint32_t>(row_tiles);
  w.column_tiles = FastDiv(static_cast<uint32_t>(column_tiles));
  w.x = a.x.p;
  w.out = a.out;
  outer.units(1, [&](const Strided<2>& s, const int64_t (&)[2]) {
    w.outer = s;
    launch("transpose", transpose_kernel<T>, dim3(static_cast<unsigned>(row_tiles * column_tiles), s.units),
           dim3(kTile, kTileRows), 0, stream, w);
  });
  return true;
}

template <class T>
void move(const CopyArgs& a, const Layout<2>& l, Stream stream) {
  constexpr int V = kVector<T>;
  const int size = static_cast<int>(sizeof(T));
  if (transpose<T>(a, l, stream)) return;
  const bool packed = l.ndim > 0 && side_packs(l, 0, a.out, V, size) &&
                      (!a.x.p || l.stride[1][l.ndim - 1] == 0 || side_packs(l, 1, a.x.p, V, size));
  l.units(packed ? V : 1, [&](const Strided<2>& s, const int64_t (&at)[2]) {
    Move w;
    w.s = s;
    w.x = a.x.p ? static_cast<const T*>(a.x.p) + at[1] : nullptr;
    w.out = static_cast<T*>(a.out) + at[0];
    w.bits = bits_of(a.to, a.x.number, a.x.integer);
    w.inner = packed && l.stride[1][l.ndim - 1] != 0;
    launch("copy", packed ? move_kernel<T, V> : move_kernel<T, 1>, blocks_for(s.units), block_for(s.units), 0, stream,
           w);
  });
}

template <class T>
void convert(const CopyArgs& a, const Layout<2>& l, Stream stream) {
  l.units(1, [&](const Strided<2>& s, const int64_t (&at)[2]) {
    Convert w{s, static_cast<const T*>(a.x.p) + at[1], static_cast<char*>(a.out) + at[0] * size_of(a.to), a.to, false};
    launch("cast", convert_kernel<T>, blocks_for(s.units), block_for(s.units), 0, stream, w);
  });
}
template <class T, class U>
void cast(const CopyArgs& a, const Layout<2>& l, Stream stream) {
  l.units(8, [&](const Strided<2>& s, const int64_t (&at)[2]) {
    Convert w{s, static_cast<const T*>(a.x.p) + at[1], static_cast<U*>(a.out) + at[0], a.to, true};
    launch("cast", cast_kernel<T, U>, blocks_for(s.units), block_for(s.units), 0, stream, w);
  });
}

}  // namespace

void copy(const CopyArgs& given, Stream stream) {
  CopyArgs a = given;
  Layout<2> l(a.ndim, a.shape);
  if (!a.x.p) {  // the number in the target's type
    const bool real = is_floating(a.from);
    if (is_floating(a.to))
      a.x.number = real ? a.x.number : static_cast<double>(a.x.integer);
    else if (a.to == Dtype::Bool)
      a.x.integer = real ? a.x.number != 0 : a.x.integer != 0;
    else
      a.x.integer = real ? static_cast<int64_t>(a.x.number) : a.x.integer;
    a.from = a.to;
  }
  l.set(0, a.out_stride);
  l.set(1, a.x.p ? a.x.stride : nullptr);
  if (l.empty) return;
  l.drop_ones();
  l.sort();
  l.merge();
  if (a.from == a.to || (size_of(a.from) == 1 && size_of(a.to) == 1 && a.to != Dtype::Bool))
    return with_size(a.to, [&](auto type) { move<typename decltype(type)::type>(a, l, stream); });
  const bool packed =
      l.ndim > 0 && side_packs(l, 0, a.out, 8, size_of(a.to)) && side_packs(l, 1, a.x.p, 8, size_of(a.from));
  if (packed && is_floating(a.from) && is_floating(a.to))
    return with_float("cast", a.from, [&](auto from) {
      with_float("cast", a.to, [&](auto to) {
        using T = typename decltype(from)::type;
        using U = typename decltype(to)::type;
        if constexpr (!std::is_same<T, U>::value) cast<T, U>(a, l, stream);
      });
    });
  with_any("cast", a.from, [&](auto type) { convert<typename decltype(type)::type>(a, l, stream); });
}

}  // namespace cuda
}  // namespace fastnn
