// Connectionist temporal classification: parsing and checks; one task a sequence.
#include <algorithm>

#include "fast_functions.h"

namespace fastnn {
namespace {

constexpr int64_t kGilFree = 1024;  // states and steps

bool read_ids(PyObject* o, int ndim, ArrayView& v, py::object& keep) {
  return contiguous_ids(o, v, keep) && v.ndim == ndim;
}
const int64_t* ids(const ArrayView& v) { return reinterpret_cast<const int64_t*>(v.data); }

// What forward and backward read alike: log_probs, targets, input_lengths, target_lengths, blank. False: the twin's
// business.
struct Ctc {
  CtcArgs a{};
  ArrayView log_probs, targets, inputs, lengths;
  py::object keep[4];
  int64_t samples = 0, longest = 0;

  bool read(PyObject* const* args) {
    if (!contiguous(args[0], log_probs, keep[0]) || log_probs.ndim != 3 || !read_ids(args[1], 2, targets, keep[1]) ||
        !read_ids(args[2], 1, inputs, keep[2]) || !read_ids(args[3], 1, lengths, keep[3]) ||
        !read_int(args[4], a.blank))
      return false;
    a.dtype = log_probs.dtype;
    a.all_steps = log_probs.shape[0];
    samples = log_probs.shape[1];
    a.classes = log_probs.shape[2];
    a.step = samples * a.classes;
    longest = targets.shape[1];
    a.all_states = 2 * longest + 1;
    a.alpha_step = samples * a.all_states;
    if (targets.shape[0] != samples || inputs.shape[0] != samples || lengths.shape[0] != samples || a.blank < 0 ||
        a.blank >= a.classes)
      return false;
    for (int64_t i = 0; i < samples; ++i)
      if (ids(inputs)[i] < 0 || ids(inputs)[i] > a.all_steps || ids(lengths)[i] < 0 || ids(lengths)[i] > longest)
        return false;
    for (int64_t i = 0; i < samples * longest; ++i)
      if (ids(targets)[i] < 0 || ids(targets)[i] >= a.classes) return false;
    return true;
  }
  // f(context, the sample's number, its arguments)
  template <class F>
  void each(char* alpha, char* loss, const F& f) const {
    const size_t scratch = (kernels().ctc_loss_workspace(a.dtype, a.all_states) + 63) / 64 * 64;
    const Workspace memory(scratch * static_cast<size_t>(num_threads()));
    const auto item = static_cast<int64_t>(size_of(a.dtype));
    MaybeReleaseGil gil(a.all_steps * samples * a.all_states >= kGilFree);
    parallel_for(samples, [&](int64_t i, int thread) {
      CtcArgs b = a;
      b.log_probs = log_probs.data + i * a.classes * item;
      b.steps = ids(inputs)[i];
      b.length = ids(lengths)[i];
      b.target = ids(targets) + i * longest;
      b.alpha = alpha + i * a.all_states * item;
      b.loss = loss + i * item;
      f(Ctx{1, static_cast<char*>(memory.get()) + static_cast<size_t>(thread) * scratch}, i, b);
    });
  }
};

// ctc_loss(log_probs, targets, input_lengths, target_lengths, blank) -> (loss, alpha)
PyObject* ctc_loss(PyObject* const* args, Py_ssize_t nargs) {
  Ctc c;
  if (nargs != 5 || !c.read(args)) return nullptr;
  const py::dtype& dtype = numpy_dtype(c.a.dtype);
  const py::ssize_t shape[3] = {c.a.all_steps, c.samples, c.a.all_states};
  py::object loss = new_array(dtype, shape + 1, 1), alpha = new_array(dtype, shape, 3);
  const Kernels& k = kernels();
  c.each(data_of(alpha), data_of(loss), [&](const Ctx& ctx, int64_t, CtcArgs& b) { k.ctc_loss(ctx, b); });
  return py::make_tuple(loss, alpha).release().ptr();
}

// ctc_loss_backward(dloss, log_probs, targets, input_lengths, target_lengths, blank, loss, alpha, zero_infinity)
PyObject* ctc_loss_backward(PyObject* const* args, Py_ssize_t nargs) {
  Ctc c;
  ArrayView dloss, loss, alpha;
  py::object keep_dloss, keep_loss, keep_alpha;
  if (nargs != 9 || !c.read(args + 1) || !contiguous(args[0], dloss, keep_dloss) ||
      !contiguous(args[6], loss, keep_loss) || !contiguous(args[7], alpha, keep_alpha) || !PyBool_Check(args[8]) ||
      dloss.dtype != c.a.dtype || loss.dtype != c.a.dtype || alpha.dtype != c.a.dtype || dloss.ndim != 1 ||
      dloss.shape[0] != c.samples || !same_shape(dloss, loss) || alpha.ndim != 3 || alpha.shape[0] != c.a.all_steps ||
      alpha.shape[1] != c.samples || alpha.shape[2] != c.a.all_states)
    return nullptr;
  py::object grad = new_array(numpy_dtype(c.a.dtype), c.log_probs.shape, 3);
  char* to = data_of(grad);
  const auto item = static_cast<int64_t>(size_of(c.a.dtype));
  c.a.zero_infinity = args[8] == Py_True;
  const Kernels& k = kernels();
  c.each(alpha.data, loss.data, [&](const Ctx& ctx, int64_t i, CtcArgs& b) {
    b.dloss = dloss.data + i * item;
    b.grad = to + i * c.a.classes * item;
    k.ctc_loss_backward(ctx, b);
  });
  return grad.release().ptr();
}

constexpr FastFunction functions[] = {{"ctc_loss", &ctc_loss}, {"ctc_loss_backward", &ctc_loss_backward}};
}  // namespace

void bind_ctc_loss(py::module_& m) { FastFunctions<functions>::add(m, "See fastnn.backend.numpy_kernels.ctc_loss."); }

}  // namespace fastnn
