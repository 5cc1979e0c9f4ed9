// Sampling at the points of a grid, and adaptive max pooling: parsing and checks.
#include <algorithm>

#include "fast_functions.h"

namespace fastnn {
namespace {

constexpr int64_t kTask = 16384;  // look-ups a task
constexpr int64_t kGilFree = 4096;
constexpr int64_t kMostPixels = int64_t(1) << 29;  // of a plane: places are 32-bit numbers, with room for "outside"

// What forward and backward read alike: x, grid, mode, padding, align_corners. False: the twin's business.
struct GridSample {
  GridSampleArgs a{};
  ArrayView x, grid;
  py::object keep_x, keep_grid;
  int64_t samples = 0, volume = 1;

  bool read(PyObject* const* args) {
    int64_t mode, padding;
    if (!contiguous(args[0], x, keep_x) || !contiguous(args[1], grid, keep_grid) || x.dtype != grid.dtype ||
        (x.ndim != 4 && x.ndim != 5) || grid.ndim != x.ndim || grid.shape[0] != x.shape[0] ||
        grid.shape[grid.ndim - 1] != x.ndim - 2 || !read_int(args[2], mode) || mode < 0 || mode > 1 ||
        !read_int(args[3], padding) || padding < 0 || padding > 2 || !PyBool_Check(args[4]))
      return false;
    a.dtype = x.dtype;
    a.mode = static_cast<GridMode>(mode);
    a.padding = static_cast<GridPadding>(padding);
    a.align = args[4] == Py_True;
    a.dims = x.ndim - 2;
    samples = x.shape[0];
    a.channels = x.shape[1];
    for (int d = 0; d < 3; ++d) {
      const int from = d - (3 - a.dims);
      a.size[d] = from < 0 ? 1 : x.shape[2 + from];
      if (a.size[d] < 1 || a.size[d] > kMostPixels) return false;
      volume *= a.size[d];
      if (volume >= kMostPixels) return false;
    }
    a.points = 1;
    for (int d = 1; d < grid.ndim - 1; ++d) a.points *= grid.shape[d];
    a.x = x.data;
    a.grid = grid.data;
    a.end = a.points;
    a.to = a.channels;
    return true;
  }
  int64_t item() const { return static_cast<int64_t>(size_of(a.dtype)); }
  void place(GridSampleArgs& b, int64_t sample, const char* dy, char* y, char* dx, char* dgrid) const {
    b.x = static_cast<const char*>(a.x) + sample * a.channels * volume * item();
    b.grid = static_cast<const char*>(a.grid) + sample * a.points * a.dims * item();
    if (dy) b.dy = dy + sample * a.channels * a.points * item();
    if (y) b.y = y + sample * a.channels * a.points * item();
    if (dx) b.dx = dx + sample * a.channels * volume * item();
    if (dgrid) b.dgrid = dgrid + sample * a.points * a.dims * item();
  }
  // f(sample, begin, end) over `n` things of `work` each a sample.
  template <class F>
  void tasks(int64_t n, int64_t work, int64_t multiple, const F& f) const {
    if (!n) return;
    const int64_t size = std::max<int64_t>(1, kTask / std::max<int64_t>(1, work * multiple)) * multiple;
    const int64_t groups = (n + size - 1) / size;
    parallel_for(samples * groups,
                 [&](int64_t i, int) { f(i / groups, i % groups * size, std::min(n, (i % groups + 1) * size)); });
  }
};

// grid_sample(x, grid, mode, padding, align_corners)
PyObject* grid_sample(PyObject* const* args, Py_ssize_t nargs) {
  GridSample s;
  if (nargs != 5 || !s.read(args)) return nullptr;
  py::ssize_t shape[5] = {s.x.shape[0], s.x.shape[1]};
  for (int d = 1; d < s.grid.ndim - 1; ++d) shape[d + 1] = s.grid.shape[d];
  py::object out = new_array(numpy_dtype(s.a.dtype), shape, s.x.ndim);
  char* y = data_of(out);
  {
    MaybeReleaseGil gil(s.samples * s.a.points * s.a.channels >= kGilFree);
    const Kernels& k = kernels();
    s.tasks(s.a.points, s.a.channels, 64, [&](int64_t sample, int64_t begin, int64_t end) {
      GridSampleArgs b = s.a;
      s.place(b, sample, nullptr, y, nullptr, nullptr);
      b.begin = begin;
      b.end = end;
      k.grid_sample(b);
    });
  }
  return out.release().ptr();
}

// grid_sample_backward(dy, x, grid, mode, padding, align_corners, needs_x, needs_grid) -> (dx, dgrid), None for either
PyObject* grid_sample_backward(PyObject* const* args, Py_ssize_t nargs) {
  GridSample s;
  ArrayView dy;
  py::object keep;
  if (nargs != 8 || !s.read(args + 1) || !contiguous(args[0], dy, keep) || dy.dtype != s.a.dtype ||
      dy.ndim != s.x.ndim || dy.shape[0] != s.x.shape[0] || dy.shape[1] != s.x.shape[1] || !PyBool_Check(args[6]) ||
      !PyBool_Check(args[7]))
    return nullptr;
  for (int d = 1; d < s.grid.ndim - 1; ++d)
    if (dy.shape[d + 1] != s.grid.shape[d]) return nullptr;
  const py::dtype& dtype = numpy_dtype(s.a.dtype);
  const bool by_x = args[6] == Py_True, by_grid = args[7] == Py_True;
  py::object dx = by_x ? py::object(new_array(dtype, s.x.shape, s.x.ndim)) : py::object(py::none());
  py::object dgrid = by_grid ? py::object(new_array(dtype, s.grid.shape, s.grid.ndim)) : py::object(py::none());
  char *to_x = by_x ? data_of(dx) : nullptr, *to_grid = by_grid ? data_of(dgrid) : nullptr;
  {
    MaybeReleaseGil gil(s.samples * s.a.points * s.a.channels >= kGilFree);
    const Kernels& k = kernels();
    if (by_x)
      s.tasks(s.a.channels, std::max(s.a.points, s.volume), 1, [&](int64_t sample, int64_t begin, int64_t end) {
        GridSampleArgs b = s.a;
        s.place(b, sample, dy.data, nullptr, to_x, nullptr);
        b.from = begin;
        b.to = end;
        k.grid_sample_backward_input(b);
      });
    if (by_grid && s.a.mode == GridMode::Nearest) {
      std::fill_n(to_grid, s.samples * s.a.points * s.a.dims * s.item(), 0);
    } else if (by_grid) {
      s.tasks(s.a.points, s.a.channels, 64, [&](int64_t sample, int64_t begin, int64_t end) {
        GridSampleArgs b = s.a;
        s.place(b, sample, dy.data, nullptr, nullptr, to_grid);
        b.begin = begin;
        b.end = end;
        k.grid_sample_backward_grid(b);
      });
    }
  }
  return py::make_tuple(dx, dgrid).release().ptr();
}

// f(first plane, planes) in tasks.
template <class F>
void over_planes(const AdaptiveMaxArgs& a, const F& f) {
  const int64_t group = std::max<int64_t>(1, kTask / (a.H * a.W + a.P * a.Q));
  MaybeReleaseGil gil(a.planes * (a.H * a.W + a.P * a.Q) >= kGilFree);
  parallel_for((a.planes + group - 1) / group,
               [&](int64_t i, int) { f(i * group, std::min(group, a.planes - i * group)); });
}
bool read_sizes(PyObject* o, int64_t* to) {
  constexpr int64_t kMost = int64_t(1) << 31;
  return read_ints(o, 2, to) && to[0] >= 1 && to[1] >= 1 && to[0] <= kMost && to[1] <= kMost;
}

// adaptive_max_pool2d(x, (P, Q)) -> (y, index)
PyObject* adaptive_max_pool2d(PyObject* const* args, Py_ssize_t nargs) {
  ArrayView x;
  py::object keep;
  int64_t out[2];
  if (nargs != 2 || !contiguous(args[0], x, keep) || x.ndim != 4 || !read_sizes(args[1], out) || x.shape[2] < 1 ||
      x.shape[3] < 1 || x.shape[2] > (int64_t(1) << 31) || x.shape[3] > (int64_t(1) << 31))
    return nullptr;
  AdaptiveMaxArgs a{};
  a.dtype = x.dtype;
  a.planes = x.shape[0] * x.shape[1];
  a.H = x.shape[2];
  a.W = x.shape[3];
  a.P = out[0];
  a.Q = out[1];
  const py::ssize_t shape[4] = {x.shape[0], x.shape[1], out[0], out[1]};
  py::object y = new_array(numpy_dtype(x.dtype), shape, 4), index = new_array(numpy_dtype(Dtype::I64), shape, 4);
  char *to = data_of(y), *places = data_of(index);
  const auto item = static_cast<int64_t>(size_of(a.dtype));
  const Kernels& k = kernels();
  over_planes(a, [&](int64_t first, int64_t count) {
    AdaptiveMaxArgs b = a;
    b.planes = count;
    b.x = x.data + first * a.H * a.W * item;
    b.y = to + first * a.P * a.Q * item;
    b.index = reinterpret_cast<int64_t*>(places) + first * a.P * a.Q;
    k.adaptive_max_pool2d(b);
  });
  return py::make_tuple(y, index).release().ptr();
}

// adaptive_max_pool2d_backward(dy, index, (H, W))
PyObject* adaptive_max_pool2d_backward(PyObject* const* args, Py_ssize_t nargs) {
  ArrayView dy, index;
  py::object keep;
  int64_t size[2];
  if (nargs != 3 || !contiguous(args[0], dy, keep) || dy.ndim != 4 || !view_array(args[1], index) ||
      index.dtype != Dtype::I64 || !same_shape(dy, index) || !index.contiguous() ||
      reinterpret_cast<uintptr_t>(index.data) % 8 || !read_sizes(args[2], size))
    return nullptr;
  const int64_t pixels = size[0] * size[1], n = index.size();
  const int64_t* places = reinterpret_cast<const int64_t*>(index.data);
  int64_t low = 0, high = -1;
  for (int64_t i = 0; i < n; ++i) {
    low = std::min(low, places[i]);
    high = std::max(high, places[i]);
  }
  if (low < 0 || high >= pixels) {
    PyErr_Format(PyExc_IndexError, "adaptive_max_pool2d_backward: index %lld is out of bounds for %lld pixels",
                 static_cast<long long>(low < 0 ? low : high), static_cast<long long>(pixels));
    throw py::error_already_set();
  }
  const py::ssize_t shape[4] = {dy.shape[0], dy.shape[1], size[0], size[1]};
  py::object dx = new_array(numpy_dtype(dy.dtype), shape, 4);
  AdaptiveMaxArgs a{};
  a.dtype = dy.dtype;
  a.planes = dy.shape[0] * dy.shape[1];
  a.H = size[0];
  a.W = size[1];
  a.P = dy.shape[2];
  a.Q = dy.shape[3];
  char* to = data_of(dx);
  const auto item = static_cast<int64_t>(size_of(a.dtype));
  const Kernels& k = kernels();
  over_planes(a, [&](int64_t first, int64_t count) {
    AdaptiveMaxArgs b = a;
    b.planes = count;
    b.x = dy.data + first * a.P * a.Q * item;
    b.y = to + first * a.H * a.W * item;
    b.index = const_cast<int64_t*>(places) + first * a.P * a.Q;
    k.adaptive_max_pool2d_backward(b);
  });
  return dx.release().ptr();
}

constexpr FastFunction functions[] = {{"grid_sample", &grid_sample},
                                      {"grid_sample_backward", &grid_sample_backward},
                                      {"adaptive_max_pool2d", &adaptive_max_pool2d},
                                      {"adaptive_max_pool2d_backward", &adaptive_max_pool2d_backward}};
}  // namespace

void bind_grid_sample(py::module_& m) { FastFunctions<functions>::add(m, "See fastnn.backend.numpy_kernels."); }

}  // namespace fastnn
