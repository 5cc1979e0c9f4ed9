// The module fastnn._cuda, and, compiled for the emulator (FASTNN_EMU), fastnn._cuda_emu. Importing it needs no driver;
// the first question about a device does.
#include "bindings_cuda.h"

#include <pybind11/stl.h>

#include "cuda/device.h"

namespace py = pybind11;

namespace fastnn {
namespace cuda {

#ifdef FASTNN_EMU
int device_count() { return 1; }
Device device(int) { return {"emulated device", 9, 0, 90}; }
std::vector<int> version() { return {13, 0}; }
#endif

Array to_array(py::handle source) {
  if (!py::isinstance<py::tuple>(source)) throw std::invalid_argument("an array must be given as a tuple");
  py::tuple t = py::reinterpret_borrow<py::tuple>(source);
  if (t.size() != 5) throw std::invalid_argument("an array is (address, shape, strides, dtype, its owner)");
  py::tuple shape = t[1].cast<py::tuple>(), strides = t[2].cast<py::tuple>();
  Array a;
  a.p = to_pointer(t[0].cast<uintptr_t>());
  a.ndim = static_cast<int>(shape.size());
  if (a.ndim > kDims || strides.size() != shape.size())
    throw std::invalid_argument("an array of " + std::to_string(a.ndim) + " dimensions; at most 16 are served");
  int code = t[3].cast<int>();
  if (code < 0 || code > static_cast<int>(Dtype::Bool)) throw std::invalid_argument("an unknown dtype code");
  a.dtype = static_cast<Dtype>(code);
  const int item = size_of(a.dtype);
  for (int d = 0; d < a.ndim; ++d) {
    a.shape[d] = shape[d].cast<int64_t>();
    int64_t bytes = strides[d].cast<int64_t>();
    if (a.shape[d] < 0 || bytes % item)
      throw std::invalid_argument("an array with a negative size, or strides that are no multiple of its elements");
    a.stride[d] = bytes / item;
  }
  if (!a.p && a.size()) throw std::invalid_argument("an array without memory");
  return a;
}

}  // namespace cuda
}  // namespace fastnn

#ifdef FASTNN_EMU
PYBIND11_MODULE(_cuda_emu, m) {
  m.doc() = "The CUDA kernels, compiled for the emulator: device memory is the host's. For tests.";
#else
PYBIND11_MODULE(_cuda, m) {
  m.doc() = "The CUDA kernels. Not a public interface.";
#endif
  m.def("device_count", &fastnn::cuda::device_count, "Devices found; RuntimeError where no driver is installed.");
  m.def(
      "device",
      [](int index) {
        int count = fastnn::cuda::device_count();
        if (index < 0 || index >= count)
          throw py::index_error("device: index " + std::to_string(index) + " of " + std::to_string(count) + " devices");
        fastnn::cuda::Device d = fastnn::cuda::device(index);
        py::dict out;
        out["name"] = d.name;
        out["capability"] = py::make_tuple(d.major, d.minor);
        out["built_for"] = d.built_for;
        return out;
      },
      py::arg("index"), "Name, compute capability, and which of the architectures compiled in runs there.");
  m.def("version", &fastnn::cuda::version, "The CUDA runtime's version, (major, minor).");
  using fastnn::Dtype;
  py::dict codes;
  codes["float32"] = static_cast<int>(Dtype::F32);
  codes["float64"] = static_cast<int>(Dtype::F64);
  codes["bfloat16"] = static_cast<int>(Dtype::BF16);
  codes["float16"] = static_cast<int>(Dtype::F16);
  codes["int64"] = static_cast<int>(Dtype::I64);
  codes["int32"] = static_cast<int>(Dtype::I32);
  codes["int16"] = static_cast<int>(Dtype::I16);
  codes["int8"] = static_cast<int>(Dtype::I8);
  codes["uint8"] = static_cast<int>(Dtype::U8);
  codes["bool"] = static_cast<int>(Dtype::Bool);
  m.attr("dtypes") = codes;
  fastnn::cuda::bind_attention(m);
  fastnn::cuda::bind_elementwise(m);
  fastnn::cuda::bind_reduce(m);
  fastnn::cuda::bind_gemm(m);
  fastnn::cuda::bind_conv2d(m);
  fastnn::cuda::bind_layers(m);
  fastnn::cuda::bind_optim(m);
  fastnn::cuda::bind_random(m);
  fastnn::cuda::bind_rnn(m);
}
