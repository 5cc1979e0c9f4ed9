// Matrix products.
#include "bindings_cuda.h"
#include "cuda/gemm.h"

namespace fastnn {
namespace cuda {
namespace {

GemmOptions options(int variant, bool tf32) {
  need(variant >= 0 && variant <= static_cast<int>(GemmVariant::AutoSimt), "gemm", "unknown variant");
  GemmOptions o;
  o.variant = static_cast<GemmVariant>(variant);
  o.tf32 = tf32;
  return o;
}

void run(py::handle a_, py::handle b_, py::handle bias, py::handle c_, int act, bool accumulate, int variant, bool tf32,
         uintptr_t stream) {
  constexpr const char* fn = "gemm";
  Array a = to_array(a_), b = to_array(b_), c = to_array(c_);
  const int lead = a.ndim - 2;
  need((lead == 0 || lead == 1) && b.ndim == a.ndim && c.ndim == a.ndim, fn, "a, b and c must be matrices or batches");
  const bool wide = size_of(a.dtype) == 2 && c.dtype == Dtype::F32;  // the sums of 16-bit operands
  need(a.dtype == b.dtype && (a.dtype == c.dtype || wide) && is_floating(a.dtype), fn,
       "a, b and c must be of one float dtype");
  need(act >= 0 && act <= static_cast<int>(GemmAct::Sigmoid), fn, "unknown act");
  GemmArgs g = {};
  g.dtype = a.dtype;
  g.m = a.shape[lead];
  g.k = a.shape[lead + 1];
  g.n = b.shape[lead + 1];
  need(b.shape[lead] == g.k && c.shape[lead] == g.m && c.shape[lead + 1] == g.n, fn, "shapes do not fit");
  need(g.n <= 1 || !c.size() || c.stride[lead + 1] == 1, fn, "c's rows must be contiguous");
  g.a = a.p, g.a_rs = a.stride[lead], g.a_cs = a.stride[lead + 1];
  g.b = b.p, g.b_rs = b.stride[lead], g.b_cs = b.stride[lead + 1];
  g.c = c.p, g.ldc = g.m > 1 ? c.stride[lead] : g.n;
  g.batch = 1;
  if (lead) {
    g.batch = a.shape[0];
    need(b.shape[0] == g.batch && c.shape[0] == g.batch, fn, "batches do not fit");
    g.a_bs = a.stride[0], g.b_bs = b.stride[0], g.c_bs = c.stride[0];
  }
  g.bias = dense(fn, "bias", bias, a.dtype, g.n, true);
  g.act = static_cast<GemmAct>(act);
  g.accumulate = accumulate;
  need(!accumulate || act == 0, fn, "accumulate takes no activation");
  GemmOptions o = options(variant, tf32);
  o.wide = wide;
  if (g.m && g.n && g.batch) gemm(g, o, to_stream(stream));
}

}  // namespace

void bind_gemm(py::module_& m) {
  py::dict variants;
  variants["auto"] = 0, variants["naive"] = 1, variants["tiled"] = 2, variants["warptiled"] = 3;
  variants["tensorcore"] = 4, variants["3xtf32"] = 5, variants["auto_simt"] = 6;
  m.attr("gemm_variants") = variants;
  m.def("gemm", &run, "c = act(a b + bias), or c += a b; matrices, or batches of them.");
}

}  // namespace cuda
}  // namespace fastnn
