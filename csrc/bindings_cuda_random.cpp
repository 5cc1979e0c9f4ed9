// Random numbers and dropout. A generator's place is (seed, offset), the offset in blocks of four words; each function
// returns the blocks that it used, by which the caller moves on. In a captured step both count from the {seed, offset}
// at the address `state` in device memory (0: none), which each replay finds moved on.
#include "bindings_cuda.h"
#include "cuda/random.h"

namespace fastnn {
namespace cuda {
namespace {

Array filled(const char* fn, py::handle out) {
  Array a = to_array(out);
  need(a.contiguous(), fn, "out is not C-contiguous");
  return a;
}
Philox place(const char* fn, uint64_t seed, uint64_t offset, uintptr_t state) {
  need(state % alignof(uint64_t) == 0, fn, "the address of the generator's state is not a multiple of 8");
  return {seed, offset, static_cast<const uint64_t*>(to_pointer(state))};
}
void need_floating(const char* fn, const Array& a) { need(is_floating(a.dtype), fn, "out must be floating"); }

int64_t uniform(uint64_t seed, uint64_t offset, uintptr_t state, py::handle out, double low, double span,
                uintptr_t stream) {
  constexpr const char* fn = "random_uniform";
  Array a = filled(fn, out);
  need_floating(fn, a);
  random_uniform(a.dtype, place(fn, seed, offset, state), a.p, a.size(), low, span, to_stream(stream));
  return philox_blocks(a.dtype, a.size());
}
int64_t normal(uint64_t seed, uint64_t offset, uintptr_t state, py::handle out, double mean, double std,
               uintptr_t stream) {
  constexpr const char* fn = "random_normal";
  Array a = filled(fn, out);
  need_floating(fn, a);
  random_normal(a.dtype, place(fn, seed, offset, state), a.p, a.size(), mean, std, to_stream(stream));
  return philox_blocks(a.dtype, a.size());
}
int64_t bernoulli(uint64_t seed, uint64_t offset, uintptr_t state, py::handle out, double p, uintptr_t stream) {
  constexpr const char* fn = "random_bernoulli";
  Array a = filled(fn, out);
  need(p >= 0 && p <= 1, fn, "p lies outside [0, 1]");
  random_bernoulli(a.dtype, place(fn, seed, offset, state), a.p, a.size(), p, to_stream(stream));
  return philox_blocks(a.dtype, a.size());
}
int64_t integers(uint64_t seed, uint64_t offset, uintptr_t state, py::handle out, int64_t low, uint64_t span,
                 uintptr_t stream) {
  constexpr const char* fn = "random_integers";
  Array a = filled(fn, out);
  need(!is_floating(a.dtype) && a.dtype != Dtype::Bool, fn, "out must be of integers");
  random_integers(a.dtype, place(fn, seed, offset, state), a.p, a.size(), low, span, to_stream(stream));
  return philox_blocks(a.dtype, a.size());
}

int64_t run_dropout(uint64_t seed, uint64_t offset, uintptr_t state, py::handle x_, py::handle out, py::handle mask,
                    double p, uintptr_t stream) {
  constexpr const char* fn = "dropout";
  Array x = to_array(x_);
  need(x.contiguous() && is_floating(x.dtype), fn, "x must be C-contiguous and floating");
  need(p >= 0 && p <= 1, fn, "p lies outside [0, 1]");
  const int64_t n = x.size();
  dropout(x.dtype, place(fn, seed, offset, state), x.p, dense(fn, "out", out, x.dtype, n),
          static_cast<uint8_t*>(dense(fn, "mask", mask, Dtype::Bool, n, true)), n, p, to_stream(stream));
  return philox_blocks(x.dtype, n);
}

void run_mask_scale(py::handle x_, py::handle mask, py::handle out, double scale, uintptr_t stream) {
  constexpr const char* fn = "mask_scale";
  Array x = to_array(x_);
  need(x.contiguous() && is_floating(x.dtype), fn, "x must be C-contiguous and floating");
  const uint8_t* m = static_cast<const uint8_t*>(dense(fn, "mask", mask, Dtype::Bool, x.size()));
  void* y = dense(fn, "out", out, x.dtype, x.size());
  if (x.size()) mask_scale(x.dtype, x.p, m, y, x.size(), scale, to_stream(stream));
}

}  // namespace

void bind_random(py::module_& m) {
  m.def("random_uniform", &uniform, "out = low + span u, u in [0, 1).");
  m.def("random_normal", &normal, "out = mean + std z.");
  m.def("random_bernoulli", &bernoulli, "out = 1 with probability p, else 0.");
  m.def("random_integers", &integers, "out = low + a 64-bit word modulo span (0: 2^64).");
  m.def("dropout", &run_dropout, "out = x / (1 - p) where mask, which is drawn, is 1, else 0.");
  m.def("mask_scale", &run_mask_scale, "x scale where the mask is 1, x 0 elsewhere.");
}

}  // namespace cuda
}  // namespace fastnn
