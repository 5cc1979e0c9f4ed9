// Distances of rows from rows: parsing and checks. The norms 1, 2 and infinity; others are the twin's.
#include <algorithm>
#include <cmath>

#include "fast_functions.h"

namespace fastnn {
namespace {

constexpr int64_t kTask = int64_t(1) << 18;  // differences a task
constexpr int64_t kGilFree = 16384;
constexpr int64_t kFewest = 24;  // rows a task: each packs all of z

struct Distances {
  CdistArgs a{};
  ArrayView x, z;
  py::object keep_x, keep_z;
  int64_t batch = 1, m = 0;

  bool read(PyObject* first, PyObject* second, PyObject* norm) {
    double p;
    if (!contiguous(first, x, keep_x) || !contiguous(second, z, keep_z) || x.dtype != z.dtype || x.ndim < 2 ||
        x.ndim != z.ndim || x.shape[x.ndim - 1] != z.shape[z.ndim - 1] || !read_number(norm, p) ||
        (p != 1 && p != 2 && !(std::isinf(p) && p > 0)))
      return false;
    for (int d = 0; d < x.ndim - 2; ++d) {
      if (x.shape[d] != z.shape[d]) return false;
      batch *= x.shape[d];
    }
    a.dtype = x.dtype;
    a.norm = p == 1 ? Norm::One : p == 2 ? Norm::Two : Norm::Inf;
    m = x.shape[x.ndim - 2];
    a.r = z.shape[z.ndim - 2];
    a.k = x.shape[x.ndim - 1];
    return true;
  }
  int64_t item() const { return static_cast<int64_t>(size_of(a.dtype)); }
  int64_t work() const { return batch * m * a.r * a.k; }
};

// f(sample, begin, end) over the rows of all samples.
template <class F>
void in_tasks(int64_t batch, int64_t rows, int64_t work_a_row, const F& f) {
  if (!rows) return;
  const int64_t size = std::max(kFewest, kTask / std::max<int64_t>(1, work_a_row) / 4 * 4);
  const int64_t groups = (rows + size - 1) / size;
  parallel_for(batch * groups,
               [&](int64_t i, int) { f(i / groups, i % groups * size, std::min(rows, (i % groups + 1) * size)); });
}

// cdist(x, z, p)
PyObject* cdist(PyObject* const* args, Py_ssize_t nargs) {
  Distances c;
  if (nargs != 3 || !c.read(args[0], args[1], args[2])) return nullptr;
  py::ssize_t shape[32];
  std::copy_n(c.x.shape, c.x.ndim - 1, shape);
  shape[c.x.ndim - 1] = c.a.r;
  py::object y = new_array(numpy_dtype(c.a.dtype), shape, c.x.ndim);
  char* to = data_of(y);
  {
    MaybeReleaseGil gil(c.work() >= kGilFree);
    const Kernels& k = kernels();
    in_tasks(c.batch, c.m, c.a.r * c.a.k, [&](int64_t sample, int64_t begin, int64_t end) {
      CdistArgs b = c.a;
      b.begin = begin;
      b.end = end;
      b.x = c.x.data + sample * c.m * c.a.k * c.item();
      b.z = c.z.data + sample * c.a.r * c.a.k * c.item();
      b.y = to + sample * c.m * c.a.r * c.item();
      k.cdist(b);
    });
  }
  return y.release().ptr();
}

// dy / y, 0 where y is 0.
template <class T>
void divide(const char* dy, const char* y, char* to, int64_t n) {
  const T *a = reinterpret_cast<const T*>(dy), *b = reinterpret_cast<const T*>(y);
  for (int64_t i = 0; i < n; ++i) reinterpret_cast<T*>(to)[i] = b[i] == 0 ? 0 : a[i] / b[i];
}

// cdist_backward(dy, x, z, y, p) -> (dx, dz)
PyObject* cdist_backward(PyObject* const* args, Py_ssize_t nargs) {
  Distances c;
  ArrayView dy, y;
  py::object keep_dy, keep_y;
  if (nargs != 5 || !c.read(args[1], args[2], args[4]) || !contiguous(args[0], dy, keep_dy) ||
      !contiguous(args[3], y, keep_y) || dy.dtype != c.a.dtype || y.dtype != c.a.dtype || !same_shape(dy, y) ||
      y.ndim != c.x.ndim || y.shape[y.ndim - 1] != c.a.r || y.shape[y.ndim - 2] != c.m)
    return nullptr;
  for (int d = 0; d < y.ndim - 2; ++d)
    if (y.shape[d] != c.x.shape[d]) return nullptr;
  const py::dtype& dtype = numpy_dtype(c.a.dtype);
  py::object dx = new_array(dtype, c.x.shape, c.x.ndim), dz = new_array(dtype, c.z.shape, c.z.ndim);
  char *to_x = data_of(dx), *to_z = data_of(dz);
  const int64_t pairs = c.m * c.a.r, item = c.item();
  const Workspace ratio(c.a.norm == Norm::Two ? static_cast<size_t>(c.batch * pairs * item) : 0);
  const char* g = dy.data;
  {
    MaybeReleaseGil gil(c.work() >= kGilFree);
    if (c.a.norm == Norm::Two) {
      char* to = static_cast<char*>(ratio.get());
      in_tasks(1, c.batch * pairs, 16, [&](int64_t, int64_t begin, int64_t end) {
        (item == 4 ? divide<float> : divide<double>)(dy.data + begin * item, y.data + begin * item, to + begin * item,
                                                     end - begin);
      });
      g = to;
    }
    const Kernels& k = kernels();
    const auto side = [&](const char* mine, const char* other, char* to, int64_t rows, int64_t others, bool turned) {
      in_tasks(c.batch, rows, others * c.a.k, [&](int64_t sample, int64_t begin, int64_t end) {
        CdistArgs b = c.a;
        b.begin = begin;
        b.end = end;
        b.r = others;
        b.x = mine + sample * rows * c.a.k * item;
        b.z = other + sample * others * c.a.k * item;
        b.g = g + sample * pairs * item;
        b.y = y.data + sample * pairs * item;
        b.g_row = turned ? 1 : c.a.r;
        b.g_col = turned ? c.a.r : 1;
        b.dx = to + sample * rows * c.a.k * item;
        k.cdist_backward(b);
      });
    };
    side(c.x.data, c.z.data, to_x, c.m, c.a.r, false);
    side(c.z.data, c.x.data, to_z, c.a.r, c.m, true);
  }
  return py::make_tuple(dx, dz).release().ptr();
}

constexpr FastFunction functions[] = {{"cdist", &cdist}, {"cdist_backward", &cdist_backward}};
}  // namespace

void bind_cdist(py::module_& m) { FastFunctions<functions>::add(m, "See fastnn.backend.numpy_kernels.cdist."); }

}  // namespace fastnn
