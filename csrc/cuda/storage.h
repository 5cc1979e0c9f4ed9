// Elements in memory and in registers: 16-bit floats are stored as bits and computed with as float; packs of up to 16
// bytes move in one instruction.
#pragma once
#include <math.h>  // not <cmath>: exp(float) and its like are to be found without std::

#include <stdexcept>
#include <string>
#include <type_traits>

#include "cuda/prim.h"
#include "cuda/types.h"

namespace fastnn {
namespace cuda {

// What a stored type is computed with.
template <class T>
struct Compute {
  using type = int64_t;
};
template <>
struct Compute<float> {
  using type = float;
};
template <>
struct Compute<double> {
  using type = double;
};
template <>
struct Compute<f16> {
  using type = float;
};
template <>
struct Compute<bf16> {
  using type = float;
};
template <class T>
using compute_t = typename Compute<T>::type;

// ---- conversions ----
// In plain C++, for the host: what the instructions do.
inline uint16_t to_f16(float f) {
  uint32_t u;
  __builtin_memcpy(&u, &f, 4);
  const uint32_t sign = u >> 16 & 0x8000, a = u & 0x7fffffff;
  uint32_t r;
  if (a > 0x7f800000) {
    r = 0x7fff;
  } else if (a >= 0x477ff000) {  // rounds to 65536 or is larger
    r = 0x7c00;
  } else if (a >= 0x38800000) {
    r = ((a - 0x38000000) + 0xfff + (a >> 13 & 1)) >> 13;
  } else {
    float scaled;
    __builtin_memcpy(&scaled, &a, 4);
    scaled += 0.5f;  // a unit in the last place of [0.5, 1) is 2^-24, as of float16's subnormals
    __builtin_memcpy(&r, &scaled, 4);
    r -= 0x3f000000;
  }
  return static_cast<uint16_t>(sign | r);
}
inline uint16_t to_bf16(float f) {
  uint32_t u;
  __builtin_memcpy(&u, &f, 4);
  return (u & 0x7fffffff) > 0x7f800000 ? 0x7fff : static_cast<uint16_t>((u + 0x7fff + (u >> 16 & 1)) >> 16);
}
template <class T>
__device__ inline compute_t<T> widened(T v) {
  if constexpr (std::is_same<T, f16>::value || std::is_same<T, bf16>::value)
    return to_float(v);
  else
    return static_cast<compute_t<T>>(v);
}
template <class T>
__device__ inline T narrowed(compute_t<T> v) {
  if constexpr (std::is_same<T, f16>::value || std::is_same<T, bf16>::value)
    return from_float<T>(v);
  else
    return static_cast<T>(v);
}

// ---- packs ----
template <class T, int V>
struct alignas(sizeof(T) * V > 16 ? 16 : sizeof(T) * V) Pack {
  T v[V];
};
template <class T>
constexpr int kVector = 16 / static_cast<int>(sizeof(T));

template <class T, int V>
__device__ inline void load(const T* p, compute_t<T> (&out)[V]) {
  const Pack<T, V> a = *reinterpret_cast<const Pack<T, V>*>(p);
#pragma unroll
  for (int i = 0; i < V; ++i) out[i] = widened(a.v[i]);
}
template <class T, int V>
__device__ inline void store(T* p, const compute_t<T> (&v)[V]) {
  Pack<T, V> a;
#pragma unroll
  for (int i = 0; i < V; ++i) a.v[i] = narrowed<T>(v[i]);
  *reinterpret_cast<Pack<T, V>*>(p) = a;
}
// The first n of them; the others are `rest`.
template <class T, int V>
__device__ inline void load(const T* p, compute_t<T> (&out)[V], int n, compute_t<T> rest) {
  if (n >= V) return load(p, out);
#pragma unroll
  for (int i = 0; i < V; ++i) out[i] = i < n ? widened(p[i]) : rest;
}
template <class T, int V>
__device__ inline void store(T* p, const compute_t<T> (&v)[V], int n) {
  if (n >= V) return store(p, v);
#pragma unroll
  for (int i = 0; i < V; ++i)
    if (i < n) p[i] = narrowed<T>(v[i]);
}
inline bool aligned(const void* p, size_t bytes) { return reinterpret_cast<uintptr_t>(p) % bytes == 0; }

// A value as the type `to` has it, at out.
template <class C>
__device__ inline void store_as(Dtype to, void* out, int64_t at, C v) {
  switch (to) {
    case Dtype::F32:
      static_cast<float*>(out)[at] = static_cast<float>(v);
      break;
    case Dtype::F64:
      static_cast<double*>(out)[at] = static_cast<double>(v);
      break;
    case Dtype::F16:
      static_cast<f16*>(out)[at] = from_float<f16>(static_cast<float>(v));
      break;
    case Dtype::BF16:
      static_cast<bf16*>(out)[at] = from_float<bf16>(static_cast<float>(v));
      break;
    case Dtype::I64:
      static_cast<int64_t*>(out)[at] = static_cast<int64_t>(v);
      break;
    case Dtype::I32:
      static_cast<int32_t*>(out)[at] = static_cast<int32_t>(static_cast<int64_t>(v));
      break;
    case Dtype::I16:
      static_cast<int16_t*>(out)[at] = static_cast<int16_t>(static_cast<int64_t>(v));
      break;
    case Dtype::I8:
      static_cast<int8_t*>(out)[at] = static_cast<int8_t>(static_cast<int64_t>(v));
      break;
    case Dtype::U8:
      static_cast<uint8_t*>(out)[at] = static_cast<uint8_t>(static_cast<int64_t>(v));
      break;
    case Dtype::Bool:
      static_cast<uint8_t*>(out)[at] = v != 0;
      break;
  }
}

// ---- host: a dtype code to a type ----
template <class T>
struct Type {
  using type = T;
};
[[noreturn]] inline void refuse(const char* what, Dtype d) {
  throw std::invalid_argument(std::string(what) + ": no kernel for dtype code " + std::to_string(static_cast<int>(d)));
}
template <class F>
void with_float(const char* what, Dtype d, const F& f) {
  switch (d) {
    case Dtype::F32:
      return f(Type<float>());
    case Dtype::F64:
      return f(Type<double>());
    case Dtype::F16:
      return f(Type<f16>());
    case Dtype::BF16:
      return f(Type<bf16>());
    default:
      refuse(what, d);
  }
}
template <class F>
void with_integer(const char* what, Dtype d, const F& f) {
  switch (d) {
    case Dtype::I64:
      return f(Type<int64_t>());
    case Dtype::I32:
      return f(Type<int32_t>());
    case Dtype::I16:
      return f(Type<int16_t>());
    case Dtype::I8:
      return f(Type<int8_t>());
    case Dtype::U8:
    case Dtype::Bool:
      return f(Type<uint8_t>());
    default:
      refuse(what, d);
  }
}
template <class F>
void with_any(const char* what, Dtype d, const F& f) {
  is_floating(d) ? with_float(what, d, f) : with_integer(what, d, f);
}
// For kernels that only move elements: a type of the dtype's size.
template <class F>
void with_size(Dtype d, const F& f) {
  switch (size_of(d)) {
    case 8:
      return f(Type<int64_t>());
    case 4:
      return f(Type<int32_t>());
    case 2:
      return f(Type<int16_t>());
    default:
      return f(Type<uint8_t>());
  }
}

}  // namespace cuda
}  // namespace fastnn
