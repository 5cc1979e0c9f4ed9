// The peak probe: limits of this machine, on the thread pool that the kernels use. For bench/peak.py.
#include <chrono>

#include "bindings.h"

namespace fastnn {
namespace {
using Clock = std::chrono::steady_clock;
double since(Clock::time_point start) { return std::chrono::duration<double>(Clock::now() - start).count(); }

// GFLOP/s of independent multiply-adds, the best of `repeats`; 0 where the table has no such instruction.
double fma_rate(const std::string& dtype, int64_t steps, int repeats) {
  const Dtype code = dtype == "float64" ? Dtype::F64 : dtype == "bfloat16" ? Dtype::BF16 : Dtype::F32;
  if (dtype != "float64" && dtype != "bfloat16" && dtype != "float32")
    throw py::value_error("peak_fma: dtype must be float32, float64 or bfloat16, got '" + dtype + "'");
  if (steps < 1 || steps > int64_t(1) << 32 || repeats < 1)
    throw py::value_error("peak_fma: steps must be from 1 to 2^32 and repeats at least 1");
  const int threads = num_threads();
  std::vector<double> flops(static_cast<size_t>(threads)), sinks(static_cast<size_t>(threads));
  const Kernels& k = kernels();
  double best = 0;
  for (int r = 0; r < repeats; r++) {
    const auto start = Clock::now();
    parallel_for(threads, [&](int64_t i, int) {
      flops[static_cast<size_t>(i)] = k.peak_fma(code, steps, &sinks[static_cast<size_t>(i)]);
    });
    const double t = since(start);
    double total = 0;
    for (double f : flops) total += f;
    if (total / t > best) best = total / t;
  }
  return best * 1e-9;
}

// GB/s, read and written bytes both counted.
double copy_rate(int64_t megabytes, bool streaming, int repeats) {
  if (megabytes < 1 || megabytes > 16384 || repeats < 1)
    throw py::value_error("peak_copy: megabytes must be from 1 to 16384 and repeats at least 1");
  const int64_t half = megabytes * 1024 * 1024 / 2, n = half / 4;
  Workspace from_block(static_cast<size_t>(half)), to_block(static_cast<size_t>(half));
  float *from = static_cast<float*>(from_block.get()), *to = static_cast<float*>(to_block.get());
  const int64_t per = 256 * 1024, chunks = (n + per - 1) / per;
  const Kernels& k = kernels();
  double best = 0;
  for (int64_t i = 0; i < n; i++) from[i] = static_cast<float>(i & 1023);
  for (int r = 0; r <= repeats; r++) {  // the first touches the pages of `to`
    const auto start = Clock::now();
    parallel_for(chunks, [&](int64_t c, int) {
      const int64_t begin = c * per, count = n - begin < per ? n - begin : per;
      k.peak_copy(to + begin, from + begin, count, streaming);
    });
    const double rate = 2.0 * static_cast<double>(half) / since(start);
    if (r && rate > best) best = rate;
  }
  return best * 1e-9;
}
}  // namespace

void bind_peak(py::module_& m) {
  m.def("peak_fma", &fma_rate, py::arg("dtype"), py::arg("steps") = 1000000, py::arg("repeats") = 10,
        py::call_guard<py::gil_scoped_release>(),
        "GFLOP/s of independent multiply-adds on the table and threads in use.");
  m.def("peak_copy", &copy_rate, py::arg("megabytes") = 256, py::arg("streaming") = false, py::arg("repeats") = 10,
        py::call_guard<py::gil_scoped_release>(), "GB/s of a copy, read and written bytes counted.");
}
}  // namespace fastnn
