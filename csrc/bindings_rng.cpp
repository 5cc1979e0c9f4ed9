// fastnn._cpu.Generator: the random number stream as Python sees it.
#include <mutex>

#include "bindings.h"
#include "runtime/os.h"
#include "runtime/rng.h"

namespace fastnn {
namespace {
constexpr int64_t kReleaseGil = 8192;  // values; some 10 us

// One lock for all generators: it guards a stream while another thread fills without the GIL, and is taken around fork
// so that a child never inherits a stream in the middle of a draw.
std::mutex rng_mutex;

struct Generator {
  RngState state;
  explicit Generator(uint64_t seed) { rng_seed(state, seed); }
};

// Runs f(state) under the lock, and without the GIL where there is much to draw.
template <class F>
void draw(Generator& g, int64_t n, const F& f) {
  if (n < kReleaseGil) {
    std::lock_guard<std::mutex> lock(rng_mutex);
    f(g.state);
  } else {
    py::gil_scoped_release release;
    std::lock_guard<std::mutex> lock(rng_mutex);
    f(g.state);
  }
}

void check_fillable(const py::array& a, const char* name) {
  if (!(a.flags() & py::array::c_style)) throw py::value_error(std::string(name) + ": out must be C-contiguous");
  if (!a.writeable()) throw py::value_error(std::string(name) + ": out is read-only");
}

// Of this dtype, and aligned.
template <class T>
bool is(const py::array& a) {
  return py::isinstance<py::array_t<T>>(a) && reinterpret_cast<uintptr_t>(a.data()) % alignof(T) == 0;
}
template <class T>
T* data(py::array& a) {
  return static_cast<T*>(a.mutable_data());
}

void check_probability(double p, const char* name) {
  if (!(p >= 0 && p <= 1)) throw py::value_error(std::string(name) + ": p must be in [0, 1], got " + std::to_string(p));
}

// Calls f(pointer) for the first T of the list that is the array's dtype.
template <class... T, class F>
bool with_dtype(Generator& g, py::array& a, const char* name, const F& f) {
  check_fillable(a, name);
  int64_t n = a.size();
  return ((is<T>(a) && ([&] {
             T* p = data<T>(a);
             draw(g, n, [&](RngState& s) { f(s, p, n); });
           }(),
                        true)) ||
          ...);
}

bool bernoulli(Generator& g, py::array out, double p) {
  check_probability(p, "bernoulli_");
  if (py::isinstance<py::array_t<bool>>(out)) {
    check_fillable(out, "bernoulli_");
    uint8_t* q = static_cast<uint8_t*>(out.mutable_data());
    draw(g, out.size(), [&](RngState& s) { rng_bernoulli(s, q, out.size(), p); });
    return true;
  }
  return with_dtype<float, double, uint8_t>(g, out, "bernoulli_",
                                            [&](RngState& s, auto* q, int64_t n) { rng_bernoulli(s, q, n, p); });
}

// x * scale where the bit is set, in chunks whose first bit begins a byte.
template <class T>
void scale_kept(const T* x, const uint8_t* mask, double p, T* out, int64_t n) {
  const T scale = T(1) / static_cast<T>(1 - p);
  constexpr int64_t kChunk = 32768;
  auto chunk = [&](int64_t i, int) {
    const int64_t at = i * kChunk, m = n - at < kChunk ? n - at : kChunk;
    if constexpr (std::is_same<T, float>::value)
      kernels().mask_scale_f32(x + at, mask + at / 8, scale, out + at, m);
    else
      kernels().mask_scale_f64(x + at, mask + at / 8, scale, out + at, m);
  };
  if (n < kReleaseGil) {
    chunk(0, 0);
  } else {
    py::gil_scoped_release release;
    parallel_for((n + kChunk - 1) / kChunk, chunk);
  }
}

template <class T>
py::array scaled(const py::array& x, const uint8_t* mask, double p) {
  py::array y = new_array(x.dtype(), std::vector<py::ssize_t>(x.shape(), x.shape() + x.ndim()));
  scale_kept(static_cast<const T*>(x.data()), mask, p, data<T>(y), x.size());
  return y;
}

// (y, mask), or None where x is not a contiguous array of float32 or float64. The mask is a bit an element.
py::object dropout(Generator& g, const py::array& x, double p) {
  if (!(p > 0 && p < 1)) throw py::value_error("dropout: p must be in (0, 1), got " + std::to_string(p));
  if (!(x.flags() & py::array::c_style) || !(is<float>(x) || is<double>(x))) return py::none();
  const int64_t n = x.size();
  py::array mask = new_array(py::dtype::of<uint8_t>(), std::vector<py::ssize_t>{(n + 7) / 8});
  uint8_t* bits = static_cast<uint8_t*>(mask.mutable_data());
  draw(g, n, [&](RngState& s) { rng_bernoulli_bits(s, bits, n, 1 - p); });
  return py::make_tuple(is<float>(x) ? scaled<float>(x, bits, p) : scaled<double>(x, bits, p), mask);
}

// dx, or None where dy is not a contiguous array of float32 or float64.
py::object dropout_backward(const py::array& dy, const py::array& mask, double p) {
  if (!(p > 0 && p < 1)) throw py::value_error("dropout_backward: p must be in (0, 1), got " + std::to_string(p));
  if (!is<uint8_t>(mask) || mask.ndim() != 1 || !(mask.flags() & py::array::c_style) ||
      mask.size() != (dy.size() + 7) / 8)
    throw py::value_error("dropout_backward: mask must be " + std::to_string((dy.size() + 7) / 8) +
                          " bytes, a bit for each element of dy, got " + std::to_string(mask.size()));
  if (!(dy.flags() & py::array::c_style)) return py::none();
  const uint8_t* bits = static_cast<const uint8_t*>(mask.data());
  if (is<float>(dy)) return scaled<float>(dy, bits, p);
  if (is<double>(dy)) return scaled<double>(dy, bits, p);
  return py::none();
}

py::array words32(Generator& g, int64_t n) {
  if (n < 0) throw py::value_error("words32: n must not be negative");
  py::array out = new_array(py::dtype::of<uint32_t>(), {n});
  uint32_t* p = data<uint32_t>(out);
  draw(g, n, [&](RngState& s) { rng_words32(s, p, n); });
  return out;
}
py::array words64(Generator& g, int64_t n) {
  if (n < 0) throw py::value_error("words64: n must not be negative");
  py::array out = new_array(py::dtype::of<uint64_t>(), {n});
  uint64_t* p = data<uint64_t>(out);
  draw(g, n, [&](RngState& s) { rng_words64(s, p, n); });
  return out;
}
py::array normals(Generator& g, int64_t n) {
  if (n < 0) throw py::value_error("normals: n must not be negative");
  py::array out = new_array(py::dtype::of<double>(), {n});
  double* p = data<double>(out);
  draw(g, n, [&](RngState& s) { rng_serial_normals(s, p, n); });
  return out;
}
py::array randperm(Generator& g, int64_t n) {
  if (n < 0) throw py::value_error("randperm: n must not be negative, got " + std::to_string(n));
  if (n > 0xffffffffll) throw py::value_error("randperm: n is too large: " + std::to_string(n));
  py::array out = new_array(py::dtype::of<int64_t>(), {n});
  int64_t* p = data<int64_t>(out);
  draw(g, n, [&](RngState& s) { rng_randperm(s, p, n); });
  return out;
}

// (seed, key, pos, fresh, cached normal or None)
py::tuple get_state(const Generator& g) {
  std::lock_guard<std::mutex> lock(rng_mutex);
  const RngState& s = g.state;
  py::object cached = py::none();
  if (s.has_cached) cached = py::float_(s.cached);
  return py::make_tuple(s.seed, py::array_t<uint32_t>(624, s.key), s.pos, s.fresh, cached);
}
void set_state(Generator& g, uint64_t seed, const py::array_t<uint32_t, py::array::c_style>& key, int pos, bool fresh,
               const py::object& cached) {
  if (key.size() != 624) throw py::value_error("set_state: the key has 624 words, got " + std::to_string(key.size()));
  if (pos < 0 || pos > 624) throw py::value_error("set_state: pos must be in [0, 624], got " + std::to_string(pos));
  bool has_cached = !cached.is_none();
  double value = has_cached ? cached.cast<double>() : 0;
  std::lock_guard<std::mutex> lock(rng_mutex);
  RngState& s = g.state;
  for (int i = 0; i < 624; ++i) s.key[i] = key.data()[i];
  s.seed = seed;
  s.pos = pos;
  s.fresh = fresh;
  s.has_cached = has_cached;
  s.cached = value;
}
}  // namespace

void bind_rng(py::module_& m) {
  os::at_fork([] { rng_mutex.lock(); }, [] { rng_mutex.unlock(); }, [] { rng_mutex.unlock(); });

  m.def("dropout_backward", &dropout_backward, py::arg("dy"), py::arg("mask"), py::arg("p"));

  // The fills answer False where the array's dtype or alignment is not one that they cover: nothing was drawn then.
  py::class_<Generator>(m, "Generator")
      .def(py::init<uint64_t>(), py::arg("seed"))
      .def_property_readonly("initial_seed", [](const Generator& g) { return g.state.seed; })
      .def(
          "manual_seed", [](Generator& g, uint64_t seed) { draw(g, 0, [&](RngState& s) { rng_seed(s, seed); }); },
          py::arg("seed"))
      .def("get_state", &get_state)
      .def("set_state", &set_state, py::arg("seed"), py::arg("key"), py::arg("pos"), py::arg("fresh"),
           py::arg("cached"))
      .def("words32", &words32, py::arg("n"))
      .def("words64", &words64, py::arg("n"))
      .def("normals", &normals, py::arg("n"))
      .def("randperm", &randperm, py::arg("n"))
      .def("bernoulli_", &bernoulli, py::arg("out").noconvert(), py::arg("p"))
      .def("dropout", &dropout, py::arg("x"), py::arg("p"))
      .def(
          "uniform_",
          [](Generator& g, py::array out, double low, double high) {
            return with_dtype<float, double>(g, out, "uniform_",
                                             [&](RngState& s, auto* p, int64_t n) { rng_uniform(s, p, n, low, high); });
          },
          py::arg("out").noconvert(), py::arg("low"), py::arg("high"))
      .def(
          "normal_",
          [](Generator& g, py::array out, double mean, double std, bool serial) {
            return with_dtype<float, double>(
                g, out, "normal_", [&](RngState& s, auto* p, int64_t n) { rng_normal(s, p, n, mean, std, serial); });
          },
          py::arg("out").noconvert(), py::arg("mean"), py::arg("std"), py::arg("serial"))
      .def(
          "exponential_",
          [](Generator& g, py::array out, double rate) {
            return with_dtype<float, double>(g, out, "exponential_",
                                             [&](RngState& s, auto* p, int64_t n) { rng_exponential(s, p, n, rate); });
          },
          py::arg("out").noconvert(), py::arg("rate"))
      // span = high - low; 0 stands for 2^64
      .def(
          "integers_",
          [](Generator& g, py::array out, int64_t low, uint64_t span) {
            return with_dtype<int32_t, int64_t>(
                g, out, "integers_", [&](RngState& s, auto* p, int64_t n) { rng_integers(s, p, n, low, span); });
          },
          py::arg("out").noconvert(), py::arg("low"), py::arg("span"));
}
}  // namespace fastnn
