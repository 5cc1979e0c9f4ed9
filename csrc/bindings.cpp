// The module fastnn._cpu.
#include "bindings.h"

namespace fastnn {
py::array new_array(const py::dtype& dtype, const std::vector<py::ssize_t>& shape) {
  size_t bytes = static_cast<size_t>(dtype.itemsize());
  for (py::ssize_t s : shape)
    if (__builtin_mul_overflow(bytes, static_cast<size_t>(s), &bytes)) throw std::bad_alloc();
  void* p = allocate(bytes);
  if (!p) throw std::bad_alloc();
  py::capsule owner(p, [](void* q) { release(q); });
  return py::array(dtype, shape, p, owner);
}
}  // namespace fastnn

using namespace fastnn;

PYBIND11_MODULE(_cpu, m) {
  kernels();  // choose the table now: a bad FASTNN_ISA raises at import
  m.def("isa", [] { return std::string(kernels().isa); });
  m.def("set_isa", &set_isa, py::arg("name"));
  m.def("supported_isas", &supported_isas);
  m.def("compiler", [] { return std::string(FASTNN_COMPILER); });
  m.def("get_num_threads", &num_threads);
  m.def("set_num_threads", &set_num_threads, py::arg("n"));
  bind_gemm(m);
}
