// Helpers of the bindings: the safety boundary. Every size, dtype and index is checked here, before a raw pointer
// reaches a kernel; errors are Python exceptions that name the function, the argument and its value.
#pragma once
#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <string>
#include <vector>

#include "dispatch.h"
#include "kernels.h"
#include "runtime/allocator.h"
#include "runtime/counters.h"
#include "runtime/thread_pool.h"

namespace fastnn {
namespace py = pybind11;

// A fresh C-contiguous, uninitialised array over a block of the caching allocator, which its base owns. Sizes must not
// be negative. The pointer form spares a small result the vector's own allocation.
py::array new_array(const py::dtype& dtype, const std::vector<py::ssize_t>& shape);
py::array new_array(const py::dtype& dtype, const py::ssize_t* shape, int ndim);

// Scratch for one kernel call.
class Workspace {
 public:
  explicit Workspace(size_t bytes) : p_(bytes ? allocate(bytes) : nullptr) {
    if (bytes && !p_) throw std::bad_alloc();
  }
  ~Workspace() { release(p_); }
  Workspace(const Workspace&) = delete;
  Workspace& operator=(const Workspace&) = delete;
  void* get() const { return p_; }

 private:
  void* p_;
};

// One per family, each in bindings_<family>.cpp.
void bind_gemm(py::module_& m);
void bind_peak(py::module_& m);
void bind_conv2d(py::module_& m);
void bind_pool2d(py::module_& m);
void bind_norm(py::module_& m);
void bind_attention(py::module_& m);
void bind_embedding(py::module_& m);
void bind_index(py::module_& m);
void bind_order(py::module_& m);
void bind_arrange(py::module_& m);
void bind_rnn(py::module_& m);
void bind_layout(py::module_& m);
void bind_grid_sample(py::module_& m);
void bind_ctc_loss(py::module_& m);
void bind_cdist(py::module_& m);
void bind_elementwise(py::module_& m);
void bind_reduce(py::module_& m);
void bind_softmax(py::module_& m);
void bind_optim(py::module_& m);
void bind_rng(py::module_& m);
}  // namespace fastnn
