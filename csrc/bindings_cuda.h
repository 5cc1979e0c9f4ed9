// What the bindings of the CUDA kernels share. An array comes from Python as a tuple of integers,
// (address, shape, strides in bytes, dtype code) and the object that owns the memory, made by
// backend/cuda_kernels/_native.py; a stream as an integer.
// Sizes, strides and dtypes are checked here again; that the address is the device's is Python's word.
#pragma once
#include <pybind11/pybind11.h>

#include <stdexcept>
#include <string>

#include "cuda/types.h"

namespace fastnn {
namespace cuda {

namespace py = pybind11;

struct Array {
  void* p = nullptr;
  int ndim = 0;
  int64_t shape[kDims] = {}, stride[kDims] = {};  // stride in elements
  Dtype dtype = Dtype::F32;

  int64_t size() const {
    int64_t n = 1;
    for (int d = 0; d < ndim; ++d) n *= shape[d];
    return n;
  }
  bool contiguous() const {
    int64_t step = 1;
    for (int d = ndim - 1; d >= 0; --d) {
      if (shape[d] != 1 && stride[d] != step) return size() == 0;
      step *= shape[d];
    }
    return true;
  }
};

[[noreturn]] inline void refuse(const char* fn, const std::string& what) {
  throw std::invalid_argument(std::string(fn) + ": " + what);
}
inline void need(bool holds, const char* fn, const char* what) {
  if (!holds) refuse(fn, what);
}

Array to_array(py::handle source);  // throws std::invalid_argument

// An argument that must be a C-contiguous array of one dtype and `n` elements; null for None where `optional`.
inline void* dense(const char* fn, const char* name, py::handle source, Dtype dtype, int64_t n, bool optional = false) {
  if (source.is_none()) {
    if (!optional) refuse(fn, std::string(name) + " is None");
    return nullptr;
  }
  Array a = to_array(source);
  if (!a.contiguous()) refuse(fn, std::string(name) + " is not C-contiguous");
  if (a.dtype != dtype) refuse(fn, std::string(name) + " has another dtype than expected");
  if (a.size() != n)
    refuse(fn, std::string(name) + " has " + std::to_string(a.size()) + " elements, expected " + std::to_string(n));
  return a.p;
}

inline Stream to_stream(uintptr_t handle) { return reinterpret_cast<Stream>(handle); }
inline void* to_pointer(uintptr_t address) { return reinterpret_cast<void*>(address); }

void bind_attention(py::module_& m);
void bind_elementwise(py::module_& m);
void bind_reduce(py::module_& m);
void bind_gemm(py::module_& m);
void bind_conv2d(py::module_& m);
void bind_layers(py::module_& m);
void bind_optim(py::module_& m);
void bind_random(py::module_& m);
void bind_rnn(py::module_& m);

}  // namespace cuda
}  // namespace fastnn
