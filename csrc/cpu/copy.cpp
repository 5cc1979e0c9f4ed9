// Strided arrays made contiguous. Limit: the memory's bandwidth. Where the source is contiguous along the rows of the
// result, squares of one register's length are read along the source, turned in registers and written along the result:
// each cache line on either side is touched once, which power-of-two strides (all lines in one set) forgive.
#include "cpu/rows.h"
#include "cpu/shuffle.h"
#include "kernels.h"

namespace fastnn {
namespace FASTNN_ISA {
namespace {

// Squares in the order that keeps a tile's lines, four to a row on both sides, next to each other.
constexpr int64_t kTile = 64;

template <class T>
FASTNN_INLINE void square(const CopyArgs& a, int64_t i, int64_t j, int rows, int cols) {
  constexpr int W = Vec<T>::size;
  Vec<T> v[W];
  const char* from = a.from + i * static_cast<int64_t>(sizeof(T)) + j * a.from_col;
  char* to = a.to + i * a.to_row + j * static_cast<int64_t>(sizeof(T));
  if (rows == W && cols == W) {
#pragma GCC unroll 16
    for (int k = 0; k < W; ++k) v[k] = Vec<T>::load(reinterpret_cast<const T*>(from + k * a.from_col));
    transpose(v);
#pragma GCC unroll 16
    for (int k = 0; k < W; ++k) v[k].store(reinterpret_cast<T*>(to + k * a.to_row));
    return;
  }
#pragma GCC unroll 16
  for (int k = 0; k < W; ++k)
    v[k] = k < cols ? Vec<T>::load(reinterpret_cast<const T*>(from + k * a.from_col), rows) : Vec<T>::zero();
  transpose(v);
#pragma GCC unroll 16
  for (int k = 0; k < W; ++k)
    if (k < rows) v[k].store(reinterpret_cast<T*>(to + k * a.to_row), cols);
}

template <class T>
void turned(const CopyArgs& a) {
  constexpr int W = Vec<T>::size;
  for (int64_t i0 = 0; i0 < a.rows; i0 += kTile) {
    const int64_t i1 = i0 + kTile < a.rows ? i0 + kTile : a.rows;
    for (int64_t j = 0; j < a.cols; j += W) {
      const int cols = static_cast<int>(a.cols - j < W ? a.cols - j : W);
      for (int64_t i = i0; i < i1; i += W) square<T>(a, i, j, static_cast<int>(i1 - i < W ? i1 - i : W), cols);
    }
  }
}

// Elements one by one, in tiles.
struct Pair {
  uint64_t v[2];
};
template <class T>
void single(const CopyArgs& a) {
  for (int64_t i0 = 0; i0 < a.rows; i0 += kTile) {
    const int64_t i1 = i0 + kTile < a.rows ? i0 + kTile : a.rows;
    for (int64_t j0 = 0; j0 < a.cols; j0 += kTile) {
      const int64_t count = j0 + kTile < a.cols ? kTile : a.cols - j0;
      for (int64_t i = i0; i < i1; ++i) {
        const char* from = a.from + i * a.from_row + j0 * a.from_col;
        char* to = a.to + i * a.to_row + j0 * static_cast<int64_t>(sizeof(T));
        for (int64_t j = 0; j < count; ++j)
          __builtin_memcpy(to + j * static_cast<int64_t>(sizeof(T)), from + j * a.from_col, sizeof(T));
      }
    }
  }
}

// Rows whose elements are one (a gradient spread over what was summed) or lie backwards (flip): loops that the compiler
// turns into vectors, as their strides are constants.
template <class T>
void spread(const CopyArgs& a) {
  for (int64_t i = 0; i < a.rows; ++i) {
    T x;
    __builtin_memcpy(&x, a.from + i * a.from_row, sizeof(T));
    T* const to = reinterpret_cast<T*>(a.to + i * a.to_row);
    for (int64_t j = 0; j < a.cols; ++j) to[j] = x;
  }
}
template <class T>
void backwards(const CopyArgs& a) {
  for (int64_t i = 0; i < a.rows; ++i) {
    const T* const from = reinterpret_cast<const T*>(a.from + i * a.from_row);
    T* const to = reinterpret_cast<T*>(a.to + i * a.to_row);
    for (int64_t j = 0; j < a.cols; ++j) to[j] = from[-j];
  }
}
FASTNN_INLINE bool aligned(const CopyArgs& a) {  // to their elements' size; NumPy's arrays need not be
  const int64_t bits = reinterpret_cast<int64_t>(a.from) | reinterpret_cast<int64_t>(a.to) | a.from_row | a.to_row;
  return bits % a.itemsize == 0;
}

// f(Element()) with an unsigned integer of the elements' size.
template <class F>
FASTNN_INLINE bool with_element(int itemsize, const F& f) {
  switch (itemsize) {
    case 1:
      return f(uint8_t()), true;
    case 2:
      return f(uint16_t()), true;
    case 4:
      return f(uint32_t()), true;
    case 8:
      return f(uint64_t()), true;
    default:
      return false;
  }
}

}  // namespace

void copy_matrix(const CopyArgs& a) {
  if (a.from_col == a.itemsize || a.cols == 1) {
    for (int64_t i = 0; i < a.rows; ++i)
      __builtin_memcpy(a.to + i * a.to_row, a.from + i * a.from_row, static_cast<size_t>(a.cols * a.itemsize));
    return;
  }
  if (a.from_col == 0 && aligned(a) && with_element(a.itemsize, [&](auto x) { spread<decltype(x)>(a); })) return;
  if (a.from_col == -a.itemsize && aligned(a) && with_element(a.itemsize, [&](auto x) { backwards<decltype(x)>(a); }))
    return;
  const bool along = a.from_row == a.itemsize && a.rows > 1;
  switch (a.itemsize) {
    case 1:
      return single<uint8_t>(a);
    case 2:
      return single<uint16_t>(a);
    case 4:
      return along ? turned<float>(a) : single<uint32_t>(a);
    case 8:
      return along ? turned<double>(a) : single<uint64_t>(a);
    default:
      return single<Pair>(a);
  }
}

}  // namespace FASTNN_ISA
}  // namespace fastnn
