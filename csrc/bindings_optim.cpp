// The optimizers' steps over lists of arrays. Each answers False, with nothing changed, where the arrays are not all
// contiguous, aligned and of one dtype of float32 and float64: the Python side then takes them one by one.
#include <algorithm>
#include <cmath>
#include <limits>

#include "bindings.h"

namespace fastnn {
namespace {
constexpr int64_t kChunk = 16384;       // elements: with five arrays of float, 320 KiB of the L2 cache
constexpr int64_t kReleaseGil = 32768;  // elements; some 10 us

enum class Cut { Chunks, Arrays };  // into pieces of kChunk elements, or left whole

// The arrays of one call, checked, and cut into tasks of about kChunk elements (a chunk is a run of one parameter;
// small parameters share a task).
class Arrays {
 public:
  // lists[0] is what is changed, lists[1] the gradients, then the states; a null handle is a state that is absent.
  Arrays(const char* name, std::initializer_list<py::handle> lists, Cut how = Cut::Chunks) : name_(name) {
    int slot = 0;
    bool first = true;  // the first list that is there sets count and dtype
    for (py::handle list : lists) {
      if (list && !list.is_none()) {
        if (!PyList_Check(list.ptr())) throw py::type_error(std::string(name) + ": expects lists of arrays");
        size_t n = static_cast<size_t>(PyList_GET_SIZE(list.ptr()));
        if (first)
          rows_.resize(n);
        else if (n != rows_.size())
          throw py::value_error(std::string(name) + ": " + std::to_string(rows_.size()) +
                                " parameters, but a list of " + std::to_string(n));
        for (size_t i = 0; i < n && fits_; ++i)
          add(PyList_GET_ITEM(list.ptr(), static_cast<py::ssize_t>(i)), slot, i, first);
        first = false;
      }
      ++slot;
    }
    if (fits_) cut(how == Cut::Arrays ? std::numeric_limits<int64_t>::max() : kChunk);
  }

  bool fits() const { return fits_; }
  bool is_double() const { return type_ == kDouble; }
  int64_t elements() const { return elements_; }
  size_t chunks() const { return chunks_.size(); }
  OptimWork work() const { return {chunks_.data(), begins_.data(), static_cast<int64_t>(begins_.size()) - 1}; }

 private:
  static constexpr int kFloat = py::detail::npy_api::NPY_FLOAT_, kDouble = py::detail::npy_api::NPY_DOUBLE_;

  void add(PyObject* object, int slot, size_t i, bool first) {
    if (!py::isinstance<py::array>(object))
      throw py::type_error(std::string(name_) + ": expects arrays, got " + Py_TYPE(object)->tp_name);
    const auto* a = py::detail::array_proxy(object);
    constexpr int kNeeded = py::array::c_style | py::detail::npy_api::NPY_ARRAY_ALIGNED_;
    int type = py::reinterpret_borrow<py::dtype>(a->descr).num();
    if (first && i == 0) type_ = type;
    bool changed = slot != 1;
    if ((a->flags & kNeeded) != kNeeded || type != type_ || (type != kFloat && type != kDouble)) {
      fits_ = false;
      return;
    }
    if (changed && !(a->flags & py::detail::npy_api::NPY_ARRAY_WRITEABLE_))
      throw py::value_error(std::string(name_) + ": array " + std::to_string(i) + " is read-only");
    int64_t n = 1;
    for (int d = 0; d < a->nd; ++d) n *= a->dimensions[d];
    OptimChunk& row = rows_[i];
    if (first)
      row.n = n;
    else if (n != row.n)
      throw py::value_error(std::string(name_) + ": parameter " + std::to_string(i) + " has " + std::to_string(row.n) +
                            " elements, its gradient or state " + std::to_string(n));
    if (slot == 0)
      row.param = a->data;
    else if (slot == 1)
      row.grad = a->data;
    else
      row.state[slot - 2] = a->data;
  }

  void cut(int64_t limit) {
    size_t size = is_double() ? 8 : 4;
    int64_t open = kChunk;  // elements in the last task; kChunk: full
    auto at = [&](void* p, int64_t offset) -> void* { return p ? static_cast<char*>(p) + offset * size : nullptr; };
    for (const OptimChunk& r : rows_) {
      elements_ += r.n;
      for (int64_t i = 0; i < r.n;) {
        int64_t n = std::min(r.n - i, limit);
        if (open + n > kChunk) {
          begins_.push_back(static_cast<int64_t>(chunks_.size()));
          open = 0;
        }
        open += n;
        chunks_.push_back({at(r.param, i),
                           at(const_cast<void*>(r.grad), i),
                           {at(r.state[0], i), at(r.state[1], i), at(r.state[2], i)},
                           n});
        i += n;
      }
    }
    begins_.push_back(static_cast<int64_t>(chunks_.size()));
  }

  const char* name_;
  bool fits_ = true;
  int type_ = kFloat;
  int64_t elements_ = 0;
  std::vector<OptimChunk> rows_, chunks_;
  std::vector<int64_t> begins_;
};

template <class F>
void run(const Arrays& arrays, const F& f) {
  if (arrays.elements() < kReleaseGil) {
    f();
  } else {
    py::gil_scoped_release release;
    f();
  }
}

template <class Args>
bool step(const Arrays& arrays, void (*f32)(const OptimWork&, const Args&), void (*f64)(const OptimWork&, const Args&),
          const Args& args) {
  if (!arrays.fits()) return false;
  OptimWork work = arrays.work();
  run(arrays, [&] { (arrays.is_double() ? f64 : f32)(work, args); });
  return true;
}

bool sgd(const py::object& params, const py::object& grads, const py::object& bufs, double lr, double momentum,
         double dampening, double weight_decay, bool nesterov, bool maximize, bool first_step) {
  SgdArgs a{lr, momentum, dampening, weight_decay, !bufs.is_none(), nesterov, maximize, first_step};
  return step(Arrays("sgd_step", {params, grads, bufs}), kernels().sgd_step_f32, kernels().sgd_step_f64, a);
}

bool adam(const py::object& params, const py::object& grads, const py::object& exp_avgs, const py::object& exp_avg_sqs,
          const py::object& max_exp_avg_sqs, double step_count, double lr, double beta1, double beta2, double eps,
          double weight_decay, bool decoupled, bool maximize) {
  AdamArgs a;
  a.step_size = lr / (1 - std::pow(beta1, step_count));
  a.beta1 = beta1;
  a.beta2 = beta2;
  a.root_correction = std::sqrt(1 - std::pow(beta2, step_count));
  a.eps = eps;
  a.weight_decay = decoupled ? 0 : weight_decay;
  a.shrink = decoupled ? 1 - lr * weight_decay : 1;
  a.amsgrad = !max_exp_avg_sqs.is_none();
  a.maximize = maximize;
  return step(Arrays("adam_step", {params, grads, exp_avgs, exp_avg_sqs, max_exp_avg_sqs}), kernels().adam_step_f32,
              kernels().adam_step_f64, a);
}

bool adagrad(const py::object& params, const py::object& grads, const py::object& sums, double step_count, double lr,
             double lr_decay, double weight_decay, double eps, bool maximize) {
  AdagradArgs a{lr / (1 + (step_count - 1) * lr_decay), weight_decay, eps, maximize};
  return step(Arrays("adagrad_step", {params, grads, sums}), kernels().adagrad_step_f32, kernels().adagrad_step_f64, a);
}

bool adadelta(const py::object& params, const py::object& grads, const py::object& square_avgs,
              const py::object& acc_deltas, double lr, double rho, double eps, double weight_decay, bool maximize) {
  AdadeltaArgs a{lr, rho, eps, weight_decay, maximize};
  return step(Arrays("adadelta_step", {params, grads, square_avgs, acc_deltas}), kernels().adadelta_step_f32,
              kernels().adadelta_step_f64, a);
}

bool rmsprop(const py::object& params, const py::object& grads, const py::object& square_avgs,
             const py::object& grad_avgs, const py::object& bufs, double lr, double alpha, double eps,
             double weight_decay, double momentum, bool maximize) {
  RmsPropArgs a{lr, alpha, eps, weight_decay, momentum, !grad_avgs.is_none(), !bufs.is_none(), maximize};
  return step(Arrays("rmsprop_step", {params, grads, square_avgs, grad_avgs, bufs}), kernels().rmsprop_step_f32,
              kernels().rmsprop_step_f64, a);
}

// The norm of order 1, 2 or inf, as a float; None where the twin has to compute it.
py::object grad_norm(const py::object& grads, double p) {
  bool inf = std::isinf(p) && p > 0;
  if (p != 1 && p != 2 && !inf) return py::none();
  Arrays arrays("grad_norm", {py::handle(), grads}, Cut::Arrays);
  if (!arrays.fits()) return py::none();
  NormKind kind = inf ? NormKind::Inf : p == 2 ? NormKind::Two : NormKind::One;
  OptimWork work = arrays.work();
  const auto total = [&](auto zero, auto kernel) {
    std::vector<decltype(zero)> partial(arrays.chunks() + 1);
    run(arrays, [&] { kernel(work, kind, partial.data()); });
    return py::float_(partial.back());
  };
  return arrays.is_double() ? total(0.0, kernels().grad_norm_f64) : total(0.0f, kernels().grad_norm_f32);
}

bool scale(const py::object& grads, double factor) {
  Arrays arrays("scale_", {grads});
  if (!arrays.fits()) return false;
  OptimWork work = arrays.work();
  run(arrays, [&] { (arrays.is_double() ? kernels().scale_f64 : kernels().scale_f32)(work, factor); });
  return true;
}
}  // namespace

void bind_optim(py::module_& m) {
  m.def("sgd_step", &sgd, py::arg("params"), py::arg("grads"), py::arg("bufs"), py::arg("lr"), py::arg("momentum"),
        py::arg("dampening"), py::arg("weight_decay"), py::arg("nesterov"), py::arg("maximize"), py::arg("first_step"));
  m.def("adam_step", &adam, py::arg("params"), py::arg("grads"), py::arg("exp_avgs"), py::arg("exp_avg_sqs"),
        py::arg("max_exp_avg_sqs"), py::arg("step"), py::arg("lr"), py::arg("beta1"), py::arg("beta2"), py::arg("eps"),
        py::arg("weight_decay"), py::arg("decoupled"), py::arg("maximize"));
  m.def("adagrad_step", &adagrad, py::arg("params"), py::arg("grads"), py::arg("sums"), py::arg("step"), py::arg("lr"),
        py::arg("lr_decay"), py::arg("weight_decay"), py::arg("eps"), py::arg("maximize"));
  m.def("adadelta_step", &adadelta, py::arg("params"), py::arg("grads"), py::arg("square_avgs"), py::arg("acc_deltas"),
        py::arg("lr"), py::arg("rho"), py::arg("eps"), py::arg("weight_decay"), py::arg("maximize"));
  m.def("rmsprop_step", &rmsprop, py::arg("params"), py::arg("grads"), py::arg("square_avgs"), py::arg("grad_avgs"),
        py::arg("bufs"), py::arg("lr"), py::arg("alpha"), py::arg("eps"), py::arg("weight_decay"), py::arg("momentum"),
        py::arg("maximize"));
  m.def("grad_norm", &grad_norm, py::arg("grads"), py::arg("p"));
  m.def("scale_", &scale, py::arg("grads"), py::arg("factor"));
}
}  // namespace fastnn
