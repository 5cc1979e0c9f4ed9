// Elementwise kernels. Limit: the memory's bandwidth. One kernel a dtype and family, the op's code a uniform branch
// inside: a branch a pack of 16 bytes costs far less than the bytes, and a kernel an op would be a large binary.
#include "cuda/elementwise.h"
#include "cuda/elementwise_kernels.h"

namespace fastnn {
namespace cuda {
namespace {

template <class T, int V>
__global__ void where_kernel(const __grid_constant__ Work<3> w) {
  const uint32_t unit = unit_of_thread();
  if (unit >= w.s.units) return;
  int64_t at[4];
  w.s.offsets(unit, at);
  const int n = count_of<V>(w.s, unit);
  compute_t<T> a[V], b[V];
  int64_t c[V];
  fetch<T>(w.in[0], at[1], n, a);
  fetch<T>(w.in[1], at[2], n, b);
  fetch<uint8_t>(w.in[2], at[3], n, c);
#pragma unroll
  for (int i = 0; i < V; ++i) a[i] = c[i] ? a[i] : b[i];
  store(static_cast<T*>(w.out) + at[0], a, n);
}

// ---- host ----
bool is_unary(Op op) { return op < Op::isnan; }
bool is_test(Op op) { return op >= Op::isnan && op <= Op::logical_not; }
bool is_binary(Op op) { return op >= Op::add && op < Op::eq; }
bool is_compare(Op op) { return op >= Op::eq && op <= Op::logical_xor; }
bool is_rare(Op op) {
  return (op >= Op::sinh && op <= Op::tan && op != Op::bitwise_not) || (op >= Op::atan2 && op <= Op::div_trunc);
}
bool takes_integers(Op op) {
  switch (op) {
    case Op::neg:
    case Op::abs:
    case Op::sign:
    case Op::square:
    case Op::relu:
    case Op::bitwise_not:
    case Op::add:
    case Op::sub:
    case Op::mul:
    case Op::axpy:
    case Op::maximum:
    case Op::minimum:
      return true;
    default:
      return (op >= Op::pow && op <= Op::right_shift) || !(is_unary(op) || is_binary(op));
  }
}
bool takes_floats(Op op) { return op != Op::bitwise_not && !(op >= Op::bitwise_and && op <= Op::right_shift); }

}  // namespace

bool elementwise_takes(Op op, Dtype dtype) { return is_floating(dtype) ? takes_floats(op) : takes_integers(op); }

void elementwise(const ElementwiseArgs& a, Stream stream) {
  if (!elementwise_takes(a.op, a.dtype)) refuse("elementwise", a.dtype);
  if (a.op == Op::where) {
    return with_any("where", a.dtype, [&](auto type) {
      using T = typename decltype(type)::type;
      constexpr int V = kVector<T>;
      const int size = static_cast<int>(sizeof(T));
      run<3>(a, {&a.a, &a.b, &a.c}, {size, size, size, 1}, V, [&](const Work<3>& w, bool packed) {
        launch("where", packed ? where_kernel<T, V> : where_kernel<T, 1>, blocks_for(w.s.units), block_for(w.s.units),
               0, stream, w);
      });
    });
  }
  const bool one = is_unary(a.op) || is_test(a.op);
  if (is_test(a.op) || is_compare(a.op))
    return with_any("elementwise", a.dtype, [&](auto type) {
      using T = typename decltype(type)::type;
      one ? run_unary<Family::Bytes, T>(a, stream) : run_binary<Family::Bytes, T>(a, stream);
    });
  if (!is_floating(a.dtype))
    return with_integer("elementwise", a.dtype, [&](auto type) {
      using T = typename decltype(type)::type;
      one ? run_unary<Family::Integer, T>(a, stream) : run_binary<Family::Integer, T>(a, stream);
    });
  if (is_rare(a.op)) return elementwise_rare(a, one, stream);
  with_float("elementwise", a.dtype, [&](auto type) {
    using T = typename decltype(type)::type;
    one ? run_unary<Family::Plain, T>(a, stream) : run_binary<Family::Plain, T>(a, stream);
  });
}

}  // namespace cuda
}  // namespace fastnn
