// Softmax, cross-entropy, normalisations, pooling, look-ups.
#include "bindings_cuda.h"
#include "cuda/cross_entropy.h"
#include "cuda/embedding.h"
#include "cuda/norm.h"
#include "cuda/pool2d.h"
#include "cuda/softmax.h"

namespace fastnn {
namespace cuda {
namespace {

#if __has_include("cuda/softmax.cu")
SoftmaxArgs softmax_arguments(const char* fn, const Array& x, int dim) {
  need(x.contiguous() && dim >= 0 && dim < x.ndim && is_floating(x.dtype), fn,
       "x must be C-contiguous, floating and have the dimension");
  SoftmaxArgs s = {};
  s.dtype = x.dtype;
  s.rows = s.inner = 1;
  for (int d = 0; d < dim; ++d) s.rows *= x.shape[d];
  for (int d = dim + 1; d < x.ndim; ++d) s.inner *= x.shape[d];
  s.n = x.shape[dim];
  return s;
}

void run_softmax(int op, py::handle a, py::handle b, int dim, py::handle out, uintptr_t stream) {
  constexpr const char* fn = "softmax";
  Array x = to_array(a);
  need(op >= 0 && op <= 3, fn, "unknown op");
  SoftmaxArgs s = softmax_arguments(fn, x, dim);
  s.op = static_cast<Softmax>(op);
  s.a = x.p;
  s.b = dense(fn, "b", b, x.dtype, x.size(), op < 2);
  s.out = dense(fn, "out", out, x.dtype, x.size());
  if (x.size()) softmax(s, to_stream(stream));
}

void run_logsumexp(py::handle a, int dim, py::handle out, uintptr_t stream) {
  constexpr const char* fn = "logsumexp";
  Array x = to_array(a);
  SoftmaxArgs s = softmax_arguments(fn, x, dim);
  need(s.n > 0, fn, "the dimension is empty");
  s.a = x.p;
  s.out = dense(fn, "out", out, x.dtype, s.rows * s.inner);
  if (x.size()) logsumexp(s, to_stream(stream));
}
#endif

#if __has_include("cuda/cross_entropy.cu")
CrossEntropyArgs ce_arguments(const char* fn, py::handle logits, py::handle target, py::handle weight, int64_t ignore,
                              double smoothing, int reduction) {
  Array x = to_array(logits);
  need(x.ndim == 2 && x.contiguous() && is_floating(x.dtype), fn, "logits must be a C-contiguous floating matrix");
  need(reduction >= 0 && reduction <= 2, fn, "unknown reduction");
  CrossEntropyArgs a = {};
  a.dtype = x.dtype;
  a.reduction = static_cast<Reduction>(reduction);
  a.logits = x.p;
  a.rows = x.shape[0];
  a.classes = x.shape[1];
  a.target = static_cast<const int64_t*>(dense(fn, "target", target, Dtype::I64, a.rows));
  a.weight = dense(fn, "weight", weight, x.dtype, a.classes, true);
  a.ignore_index = ignore;
  a.smoothing = smoothing;
  return a;
}

// Workspace: asked with scratch = 0, then computed.
size_t run_ce(py::handle logits, py::handle target, py::handle weight, int64_t ignore, double smoothing, int reduction,
              py::handle lse, py::handle losses, py::handle loss, py::handle total, py::handle dlogits,
              py::object scratch, uintptr_t stream) {
  constexpr const char* fn = "cross_entropy";
  CrossEntropyArgs a = ce_arguments(fn, logits, target, weight, ignore, smoothing, reduction);
  const Dtype wide = compute_dtype(a.dtype);
  a.lse = dense(fn, "lse", lse, wide, a.rows);
  a.losses = dense(fn, "losses", losses, wide, a.rows);
  a.loss = dense(fn, "loss", loss, wide, 1, reduction == 0);
  a.total = dense(fn, "total", total, wide, 1);
  a.dlogits = dense(fn, "dlogits", dlogits, a.dtype, a.rows * a.classes, true);
  if (scratch.is_none()) return cross_entropy_workspace(a);
  cross_entropy(a, to_pointer(scratch.cast<uintptr_t>()), to_stream(stream));
  return 0;
}

size_t run_ce_backward(py::handle dloss, py::handle logits, py::handle target, py::handle weight, int64_t ignore,
                       double smoothing, int reduction, py::handle lse, py::handle total, py::handle dlogits,
                       py::object scratch, uintptr_t stream) {
  constexpr const char* fn = "cross_entropy_backward";
  CrossEntropyArgs a = ce_arguments(fn, logits, target, weight, ignore, smoothing, reduction);
  const Dtype wide = compute_dtype(a.dtype);
  a.dloss = dense(fn, "dloss", dloss, a.dtype, reduction == 0 ? a.rows : 1);
  a.lse = dense(fn, "lse", lse, wide, a.rows);
  a.total = dense(fn, "total", total, wide, 1);
  a.dlogits = dense(fn, "dlogits", dlogits, a.dtype, a.rows * a.classes);
  if (scratch.is_none()) return cross_entropy_workspace(a);
  if (a.rows && a.classes) cross_entropy_backward(a, to_pointer(scratch.cast<uintptr_t>()), to_stream(stream));
  return 0;
}
#endif

// weight and bias may be of the statistics' dtype instead of x's.
bool is_wide(py::handle weight, py::handle bias, Dtype d) {
  for (py::handle h : {weight, bias})
    if (!h.is_none()) return to_array(h).dtype != d;
  return false;
}

#if __has_include("cuda/layer_norm.cu")
LayerNormArgs ln_arguments(const char* fn, const Array& x, int64_t n, py::handle weight, py::handle bias, double eps,
                           bool centre) {
  need(x.contiguous() && is_floating(x.dtype) && n > 0 && x.size() % n == 0, fn, "x must be rows of n, C-contiguous");
  LayerNormArgs a = {};
  a.dtype = x.dtype;
  a.wide = is_wide(weight, bias, x.dtype);
  const Dtype w = a.wide ? compute_dtype(x.dtype) : x.dtype;
  a.centre = centre;
  a.rows = x.size() / n;
  a.n = n;
  a.x = x.p;
  a.weight = dense(fn, "weight", weight, w, n, true);
  a.bias = dense(fn, "bias", bias, w, n, true);
  a.eps = eps;
  return a;
}

void run_layer_norm(py::handle x_, int64_t n, py::handle weight, py::handle bias, double eps, bool centre, py::handle y,
                    py::handle mean, py::handle var, uintptr_t stream) {
  constexpr const char* fn = "layer_norm";
  Array x = to_array(x_);
  LayerNormArgs a = ln_arguments(fn, x, n, weight, bias, eps, centre);
  const Dtype wide = compute_dtype(x.dtype);
  a.y = dense(fn, "y", y, x.dtype, x.size());
  a.mean = dense(fn, "mean", mean, wide, a.rows, !centre);
  a.var = dense(fn, "var", var, wide, a.rows);
  if (x.size()) layer_norm(a, to_stream(stream));
}

size_t run_layer_norm_backward(py::handle dy, py::handle x_, int64_t n, py::handle weight, py::handle mean,
                               py::handle var, double eps, py::handle dx, py::handle dweight, py::handle dbias,
                               py::object scratch, uintptr_t stream) {
  constexpr const char* fn = "layer_norm_backward";
  Array x = to_array(x_);
  LayerNormArgs a = ln_arguments(fn, x, n, weight, py::none(), eps, !mean.is_none());
  const Dtype wide = compute_dtype(x.dtype);
  a.dy = dense(fn, "dy", dy, x.dtype, x.size());
  a.mean = dense(fn, "mean", mean, wide, a.rows, true);
  a.var = dense(fn, "var", var, wide, a.rows);
  a.dx = dense(fn, "dx", dx, x.dtype, x.size(), true);
  a.dweight = dense(fn, "dweight", dweight, wide, n, true);
  a.dbias = dense(fn, "dbias", dbias, wide, n, true);
  if (scratch.is_none()) return layer_norm_workspace(a);
  if (x.size()) layer_norm_backward(a, to_pointer(scratch.cast<uintptr_t>()), to_stream(stream));
  return 0;
}
#endif

#if __has_include("cuda/batch_norm.cu") || __has_include("cuda/group_norm.cu")
ChannelNormArgs cn_arguments(const char* fn, const Array& x, int64_t groups, py::handle weight, py::handle bias,
                             double eps) {
  need(x.contiguous() && is_floating(x.dtype) && x.ndim >= 2, fn, "x must be [N, C, ...], C-contiguous");
  ChannelNormArgs a = {};
  a.dtype = x.dtype;
  a.wide = is_wide(weight, bias, x.dtype);
  const Dtype w = a.wide ? compute_dtype(x.dtype) : x.dtype;
  a.N = x.shape[0];
  a.C = x.shape[1];
  a.L = 1;
  for (int d = 2; d < x.ndim; ++d) a.L *= x.shape[d];
  need(groups > 0 && a.C % groups == 0, fn, "channels are no multiple of the groups");
  a.groups = groups;
  a.x = x.p;
  a.weight = dense(fn, "weight", weight, w, a.C, true);
  a.bias = dense(fn, "bias", bias, w, a.C, true);
  a.eps = eps;
  return a;
}
#endif

#if __has_include("cuda/group_norm.cu")
void run_group_norm(py::handle x_, int64_t groups, py::handle weight, py::handle bias, double eps, py::handle y,
                    py::handle mean, py::handle var, uintptr_t stream) {
  constexpr const char* fn = "group_norm";
  Array x = to_array(x_);
  ChannelNormArgs a = cn_arguments(fn, x, groups, weight, bias, eps);
  const Dtype wide = compute_dtype(x.dtype);
  a.y = dense(fn, "y", y, x.dtype, x.size());
  a.mean = dense(fn, "mean", mean, wide, a.N * groups);
  a.var = dense(fn, "var", var, wide, a.N * groups);
  if (x.size()) group_norm(a, to_stream(stream));
}

size_t run_group_norm_backward(py::handle dy, py::handle x_, int64_t groups, py::handle weight, py::handle mean,
                               py::handle var, double eps, py::handle dx, py::handle dweight, py::handle dbias,
                               py::object scratch, uintptr_t stream) {
  constexpr const char* fn = "group_norm_backward";
  Array x = to_array(x_);
  ChannelNormArgs a = cn_arguments(fn, x, groups, weight, py::none(), eps);
  const Dtype wide = compute_dtype(x.dtype);
  a.dy = dense(fn, "dy", dy, x.dtype, x.size());
  a.mean = dense(fn, "mean", mean, wide, a.N * groups);
  a.var = dense(fn, "var", var, wide, a.N * groups);
  a.dx = dense(fn, "dx", dx, x.dtype, x.size(), true);
  a.dweight = dense(fn, "dweight", dweight, wide, a.C, true);
  a.dbias = dense(fn, "dbias", dbias, wide, a.C, true);
  if (scratch.is_none()) return group_norm_workspace(a);
  if (x.size()) group_norm_backward(a, to_pointer(scratch.cast<uintptr_t>()), to_stream(stream));
  return 0;
}
#endif

#if __has_include("cuda/batch_norm.cu")
size_t run_batch_norm(py::handle x_, py::handle weight, py::handle bias, double eps, bool given, py::handle y,
                      py::handle mean, py::handle var, py::object scratch, uintptr_t stream) {
  constexpr const char* fn = "batch_norm";
  Array x = to_array(x_);
  ChannelNormArgs a = cn_arguments(fn, x, 1, weight, bias, eps);
  const Dtype wide = compute_dtype(x.dtype);
  a.given = given;
  a.y = dense(fn, "y", y, x.dtype, x.size());
  a.mean = dense(fn, "mean", mean, wide, a.C);
  a.var = dense(fn, "var", var, wide, a.C);
  if (scratch.is_none()) return batch_norm_workspace(a);
  if (x.size()) batch_norm(a, to_pointer(scratch.cast<uintptr_t>()), to_stream(stream));
  return 0;
}

size_t run_batch_norm_backward(py::handle dy, py::handle x_, py::handle weight, py::handle mean, py::handle var,
                               double eps, bool given, py::handle dx, py::handle dweight, py::handle dbias,
                               py::object scratch, uintptr_t stream) {
  constexpr const char* fn = "batch_norm_backward";
  Array x = to_array(x_);
  ChannelNormArgs a = cn_arguments(fn, x, 1, weight, py::none(), eps);
  const Dtype wide = compute_dtype(x.dtype);
  a.given = given;
  a.dy = dense(fn, "dy", dy, x.dtype, x.size());
  a.mean = dense(fn, "mean", mean, wide, a.C);
  a.var = dense(fn, "var", var, wide, a.C);
  a.dx = dense(fn, "dx", dx, x.dtype, x.size(), true);
  a.dweight = dense(fn, "dweight", dweight, wide, a.C, true);
  a.dbias = dense(fn, "dbias", dbias, wide, a.C, true);
  if (scratch.is_none()) return batch_norm_workspace(a);
  if (x.size()) batch_norm_backward(a, to_pointer(scratch.cast<uintptr_t>()), to_stream(stream));
  return 0;
}
#endif

#if __has_include("cuda/pool2d.cu")
Pool2dShape pool_shape(py::tuple t) {
  need(t.size() == 15, "pool2d", "a shape has 15 numbers");
  int64_t v[15];
  for (int i = 0; i < 15; ++i) v[i] = t[i].cast<int64_t>();
  Pool2dShape s{v[0], v[1], v[2], v[3], v[4], v[5], v[6], v[7], v[8], v[9], v[10], v[11], v[12], v[13], v[14] != 0};
  for (int i = 1; i < 9; ++i) need(v[i] >= 1, "pool2d", "a size or stride below 1");
  need(v[0] >= 0 && v[9] >= 0 && v[10] >= 0 && v[11] >= 1 && v[12] >= 1, "pool2d", "a negative size or padding");
  need(s.pad_h <= s.R / 2 && s.pad_w <= s.S / 2, "pool2d", "padding is more than half of the window");
  need((s.P - 1) * s.stride_h < s.H + s.pad_h && (s.Q - 1) * s.stride_w < s.W + s.pad_w, "pool2d",
       "the last window begins outside the image");
  return s;
}

// task 0: max, 1: max backward, 2: average, 3: average backward, 4: places
void run_pool(int task, py::tuple shape, py::handle in, py::handle index, py::handle out, uintptr_t stream) {
  constexpr const char* fn = "pool2d";
  const Pool2dShape s = pool_shape(shape);
  const int64_t x = s.planes * s.H * s.W, y = s.planes * s.P * s.Q;
  const Dtype at = max_pool2d_compact(s) ? Dtype::U8 : Dtype::I64;
  Stream where = to_stream(stream);
  if (task == 4) {
    void* flat = dense(fn, "out", out, Dtype::I64, y);
    if (y) max_pool2d_indices(s, dense(fn, "index", index, at, y), static_cast<int64_t*>(flat), where);
    return;
  }
  const Dtype d = to_array(in).dtype;
  need(is_floating(d), fn, "x must be floating");
  if (!x) return;
  switch (task) {
    case 0:
      max_pool2d(d, s, dense(fn, "x", in, d, x), dense(fn, "y", out, d, y), dense(fn, "index", index, at, y), where);
      return;
    case 1:
      max_pool2d_backward(d, s, dense(fn, "dy", in, d, y), dense(fn, "index", index, at, y), dense(fn, "dx", out, d, x),
                          where);
      return;
    case 2:
      avg_pool2d(d, s, dense(fn, "x", in, d, x), dense(fn, "y", out, d, y), where);
      return;
    case 3:
      avg_pool2d_backward(d, s, dense(fn, "dy", in, d, y), dense(fn, "dx", out, d, x), where);
      return;
    default:
      refuse(fn, "unknown task");
  }
}
#endif

#if __has_include("cuda/embedding.cu")
void run_embedding(py::handle w_, py::handle index, py::handle out, uintptr_t stream) {
  constexpr const char* fn = "embedding";
  Array w = to_array(w_), i = to_array(index);
  need(w.ndim == 2 && w.contiguous(), fn, "w must be a C-contiguous matrix");
  EmbeddingArgs a = {};
  a.dtype = w.dtype;
  a.rows = w.shape[0];
  a.width = w.shape[1];
  a.count = i.size();
  a.w = w.p;
  a.index = static_cast<const int64_t*>(dense(fn, "index", index, Dtype::I64, a.count));
  a.out = dense(fn, "out", out, w.dtype, a.count * a.width);
  if (a.count && a.width) embedding(a, to_stream(stream));
}

void run_segment_sum(py::handle dy_, py::handle order, py::handle start, py::handle factor, py::handle out_,
                     uintptr_t stream) {
  constexpr const char* fn = "segment_sum";
  Array dy = to_array(dy_), out = to_array(out_);
  need(dy.ndim == 2 && dy.contiguous() && out.ndim == 2 && out.shape[1] == dy.shape[1], fn, "dy and out must be rows");
  SegmentSumArgs a = {};
  a.dtype = dy.dtype;
  a.segments = out.shape[0];
  a.width = dy.shape[1];
  a.dy = dy.p;
  a.order = static_cast<const int64_t*>(dense(fn, "order", order, Dtype::I64, dy.shape[0], true));
  a.start = static_cast<const int64_t*>(dense(fn, "start", start, Dtype::I64, a.segments + 1));
  a.factor = dense(fn, "factor", factor, dy.dtype, dy.shape[0], true);
  a.out = dense(fn, "out", out_, dy.dtype, a.segments * a.width);
  if (a.segments && a.width) segment_sum(a, to_stream(stream));
}

void run_stable_order(py::handle ids_, py::handle order, uintptr_t stream) {
  constexpr const char* fn = "stable_order";
  const int64_t n = to_array(ids_).size();
  need(n <= int64_t(1) << 20, fn, "more than 2^20 ids: each is compared with every other one");
  stable_order(static_cast<const int64_t*>(dense(fn, "ids", ids_, Dtype::I64, n)), n,
               static_cast<int64_t*>(dense(fn, "order", order, Dtype::I64, n)), to_stream(stream));
}

void run_embedding_bag(int mode, py::handle w_, py::handle index, py::handle start, py::handle factor, int64_t padding,
                       py::handle out_, py::handle chosen, uintptr_t stream) {
  constexpr const char* fn = "embedding_bag";
  Array w = to_array(w_), out = to_array(out_), i = to_array(index);
  need(w.ndim == 2 && w.contiguous() && is_floating(w.dtype), fn, "w must be a C-contiguous floating matrix");
  need(out.ndim == 2 && out.shape[1] == w.shape[1], fn, "out must have w's columns");
  need(mode >= 0 && mode <= 2, fn, "unknown mode");
  EmbeddingBagArgs a = {};
  a.dtype = w.dtype;
  a.bag = static_cast<Bag>(mode);
  a.rows = w.shape[0], a.width = w.shape[1], a.bags = out.shape[0], a.padding = padding;
  a.w = w.p;
  a.index = static_cast<const int64_t*>(dense(fn, "index", index, Dtype::I64, i.size()));
  a.start = static_cast<const int64_t*>(dense(fn, "start", start, Dtype::I64, a.bags + 1));
  a.factor = dense(fn, "factor", factor, w.dtype, i.size(), true);
  a.out = dense(fn, "out", out_, w.dtype, a.bags * a.width);
  a.chosen = static_cast<int64_t*>(dense(fn, "chosen", chosen, Dtype::I64, a.bags * a.width, true));
  embedding_bag(a, to_stream(stream));
}

// Of gather and scatter: the side that is looked into (x or out) and the side of index's shape.
void run_along(bool scattering, py::handle x_, int dim, py::handle index_, py::handle out_, uintptr_t stream) {
  const char* fn = scattering ? "scatter" : "gather";
  Array x = to_array(x_), index = to_array(index_), out = to_array(out_);
  const Array &table = scattering ? out : x, &rows = scattering ? x : out;
  need(x.contiguous() && out.contiguous() && index.contiguous() && index.dtype == Dtype::I64, fn,
       "arrays must be C-contiguous and index int64");
  need(x.dtype == out.dtype && dim >= 0 && dim < table.ndim, fn, "several dtypes, or no such dimension");
  need(table.ndim == index.ndim && rows.ndim == index.ndim, fn, "arrays of several numbers of dimensions");
  GatherArgs a = {};
  a.dtype = x.dtype;
  a.outer = a.inner = 1;
  for (int d = 0; d < index.ndim; ++d) {
    need(rows.shape[d] == index.shape[d] && (d == dim || table.shape[d] == index.shape[d]), fn,
         "shapes do not fit the index");
    if (d < dim) a.outer *= index.shape[d];
    if (d > dim) a.inner *= index.shape[d];
  }
  a.n = table.shape[dim], a.m = index.shape[dim];
  a.x = x.p, a.out = out.p;
  a.index = static_cast<const int64_t*>(index.p);
  scattering ? scatter(a, to_stream(stream)) : gather(a, to_stream(stream));
}
#endif

}  // namespace

void bind_layers(py::module_& m) {
  (void)m;
  (void)is_wide;
#if __has_include("cuda/softmax.cu")
  m.def("softmax", &run_softmax, "op 0: softmax, 1: its logarithm, 2 and 3: backward of (dy, y).");
  m.def("logsumexp", &run_logsumexp, "log sum exp along a dimension.");
#endif
#if __has_include("cuda/cross_entropy.cu")
  m.def("cross_entropy", &run_ce, "The loss; with scratch None the bytes that it needs.");
  m.def("cross_entropy_backward", &run_ce_backward, "dlogits; with scratch None the bytes that it needs.");
#endif
#if __has_include("cuda/layer_norm.cu")
  m.def("layer_norm", &run_layer_norm, "Over rows of n.");
  m.def("layer_norm_backward", &run_layer_norm_backward, "With scratch None: the bytes that it needs.");
#endif
#if __has_include("cuda/group_norm.cu")
  m.def("group_norm", &run_group_norm, "x [N, C, ...] over groups of channels.");
  m.def("group_norm_backward", &run_group_norm_backward, "With scratch None: the bytes that it needs.");
#endif
#if __has_include("cuda/batch_norm.cu")
  m.def("batch_norm", &run_batch_norm, "x [N, C, ...]; with scratch None: the bytes that it needs.");
  m.def("batch_norm_backward", &run_batch_norm_backward, "With scratch None: the bytes that it needs.");
#endif
#if __has_include("cuda/pool2d.cu")
  m.def("pool2d", &run_pool, "task 0: max, 1: its backward, 2: average, 3: its backward, 4: places of maxima.");
#endif
#if __has_include("cuda/embedding.cu")
  m.def("embedding", &run_embedding, "Rows of a table.");
  m.def("segment_sum", &run_segment_sum, "Sums of rows, segment by segment.");
  m.def("stable_order", &run_stable_order, "The places of ids sorted by id, in their order where ids are equal.");
  m.def("embedding_bag", &run_embedding_bag, "Sums (0), means (1) or largest (2) of looked-up rows, bag by bag.");
  m.def("along", &run_along, "gather, or (scattering) scatter, along a dimension.");
#endif
}

}  // namespace cuda
}  // namespace fastnn
