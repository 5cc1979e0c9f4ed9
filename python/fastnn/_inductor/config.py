"""Settings of a code generator that is not here: assigned and read, without effect."""

from types import SimpleNamespace

coordinate_descent_tuning = epilogue_fusion = max_autotune = max_autotune_gemm = force_fuse_int_mm_with_mul = False
fx_graph_cache = shape_padding = True
freezing = cpp_wrapper = use_mixed_mm = False
triton = SimpleNamespace(unique_kernel_names=True, cudagraphs=False, cudagraph_trees=True)
cpp = SimpleNamespace(threads=-1, simdlen=None)
