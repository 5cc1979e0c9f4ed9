// The module fastnn._cuda. Importing it needs no driver; the first question about a device does.
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include "cuda/device.h"

namespace py = pybind11;

PYBIND11_MODULE(_cuda, m) {
  m.doc() = "The CUDA kernels. Not a public interface.";
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
}
