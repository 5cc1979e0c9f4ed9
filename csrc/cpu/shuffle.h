// Interleaving of vectors, and what is made of it.
#pragma once
#include "cpu/vec.h"

namespace fastnn {
namespace FASTNN_ISA {
namespace {

// even: elements 0, 2, 4 ... of the 2 W in (a, b); odd: 1, 3, 5 ...; zip is the inverse.
template <class T>
FASTNN_INLINE void unzip(Vec<T> a, Vec<T> b, Vec<T>* even, Vec<T>* odd) {
  typename Vec<T>::I e;
  for (int i = 0; i < Vec<T>::size; i++) e[i] = 2 * i;
  even->v = __builtin_shuffle(a.v, b.v, e);
  odd->v = __builtin_shuffle(a.v, b.v, e + 1);
}
template <class T>
FASTNN_INLINE void zip(Vec<T> even, Vec<T> odd, Vec<T>* a, Vec<T>* b) {
  constexpr int W = Vec<T>::size;
  typename Vec<T>::I m;
  for (int i = 0; i < W; i++) m[i] = i / 2 + (i & 1) * W;
  a->v = __builtin_shuffle(even.v, odd.v, m);
  b->v = __builtin_shuffle(even.v, odd.v, m + W / 2);
}

// v[i][j] <-> v[j][i] for a square of W x W. A zip of rows i and i + W/2 rotates the bits (row, lane) of an element's
// number by one: log2(W) rounds exchange row and lane.
template <class T>
FASTNN_INLINE void transpose(Vec<T> (&v)[Vec<T>::size]) {
  constexpr int W = Vec<T>::size;
#pragma GCC unroll 4
  for (int round = 1; round < W; round *= 2) {
    Vec<T> out[W];
#pragma GCC unroll 16
    for (int i = 0; i < W / 2; i++) zip(v[i], v[i + W / 2], &out[2 * i], &out[2 * i + 1]);
#pragma GCC unroll 16
    for (int i = 0; i < W; i++) v[i] = out[i];
  }
}

}  // namespace
}  // namespace FASTNN_ISA
}  // namespace fastnn
