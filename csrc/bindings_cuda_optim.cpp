// Optimizer steps over lists of parameters.
#include <vector>

#include "bindings_cuda.h"
#include "cuda/optim.h"

namespace fastnn {
namespace cuda {
namespace {

#if __has_include("cuda/optim.cu")
// Lists of arrays: parameters, gradients, up to three states (None where the rule runs without).
std::vector<OptimTensor> tensors(const char* fn, py::list params, py::list grads, py::tuple states, Dtype& dtype) {
  need(py::len(params) == py::len(grads) && states.size() <= 3, fn, "lists of several lengths");
  std::vector<OptimTensor> found;
  bool first = true;
  for (size_t i = 0; i < py::len(params); ++i) {
    Array p = to_array(params[i]);
    if (first) dtype = p.dtype;
    first = false;
    need(is_floating(p.dtype) && p.dtype == dtype, fn, "parameters of several dtypes");
    OptimTensor t = {};
    t.n = p.size();
    t.param = dense(fn, "a parameter", params[i], dtype, t.n);
    t.grad = dense(fn, "a gradient", grads[i], dtype, t.n);
    for (size_t s = 0; s < states.size(); ++s) {
      if (states[s].is_none()) continue;
      py::list state = states[s].cast<py::list>();
      need(py::len(state) == py::len(params), fn, "lists of several lengths");
      t.state[s] = dense(fn, "a state", state[i], dtype, t.n);
    }
    if (t.n) found.push_back(t);
  }
  return found;
}

void run(py::list params, py::list grads, py::tuple states, int rule, py::dict o, uintptr_t stream) {
  constexpr const char* fn = "optim_step";
  need(rule >= 0 && rule <= 3, fn, "unknown rule");
  OptimArgs a = {};
  auto list = tensors(fn, params, grads, states, a.dtype);
  a.rule = static_cast<Optimizer>(rule);
  auto number = [&](const char* name, double otherwise) {
    return o.contains(name) ? o[name].cast<double>() : otherwise;
  };
  auto flag = [&](const char* name) { return o.contains(name) && o[name].cast<bool>(); };
  a.lr = number("lr", 0), a.weight_decay = number("weight_decay", 0), a.eps = number("eps", 0);
  a.maximize = flag("maximize");
  a.momentum = number("momentum", 0), a.dampening = number("dampening", 0);
  a.has_buffers = flag("has_buffers"), a.nesterov = flag("nesterov"), a.first_step = flag("first_step");
  a.beta1 = number("beta1", 0), a.beta2 = number("beta2", 0);
  a.decoupled = flag("decoupled"), a.amsgrad = flag("amsgrad");
  a.lr_decay = number("lr_decay", 0), a.alpha = number("alpha", 0), a.centered = flag("centered");
  a.step = static_cast<int64_t>(number("step", 1));
  // Of a captured step: addresses in device memory, read anew at each replay.
  auto at = [&](const char* name) {
    const uintptr_t p = o.contains(name) ? o[name].cast<uintptr_t>() : 0;
    need(p % 8 == 0, fn, "the address of a number is not a multiple of 8");
    return to_pointer(p);
  };
  a.device.lr = static_cast<const double*>(at("lr_at"));
  a.device.step = static_cast<const int64_t*>(at("step_at"));
  // What a rule reads must be there.
  for (const OptimTensor& t : list) {
    if (a.rule == Optimizer::Sgd && a.has_buffers) need(t.state[0], fn, "SGD with momentum needs its buffer");
    if (a.rule == Optimizer::Adam)
      need(t.state[0] && t.state[1] && (t.state[2] || !a.amsgrad), fn, "Adam needs its means");
    if (a.rule == Optimizer::Adagrad) need(t.state[0], fn, "Adagrad needs its sum");
    if (a.rule == Optimizer::RmsProp)
      need(t.state[0] && (t.state[1] || !a.centered) && (t.state[2] || !a.has_buffers), fn, "RMSprop needs its means");
  }
  if (!list.empty()) optim_step(a, list.data(), static_cast<int>(list.size()), to_stream(stream));
}

size_t run_norm(py::list grads, double p, py::handle out, py::object scratch, uintptr_t stream) {
  constexpr const char* fn = "grad_norm";
  Dtype dtype = Dtype::F32;
  auto list = tensors(fn, grads, grads, py::tuple(), dtype);
  need(!list.empty(), fn, "no gradient has elements");
  void* to = dense(fn, "out", out, compute_dtype(dtype), 1);
  const int count = static_cast<int>(list.size());
  if (scratch.is_none()) return grad_norm_workspace(list.data(), count);
  grad_norm(dtype, list.data(), count, p, to, to_pointer(scratch.cast<uintptr_t>()), to_stream(stream));
  return 0;
}
#endif

}  // namespace

void bind_optim(py::module_& m) {
  (void)m;
#if __has_include("cuda/optim.cu")
  m.def("optim_step", &run, "One step of a rule (0: SGD, 1: Adam, 2: Adagrad, 3: RMSprop) over all parameters.");
  m.def("grad_norm", &run_norm, "The p-norm of all gradients together; with scratch None the bytes that it needs.");
#endif
}

}  // namespace cuda
}  // namespace fastnn
