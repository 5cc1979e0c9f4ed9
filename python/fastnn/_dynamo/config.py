"""Settings of a compiler that is not here: assigned and read, without effect."""

suppress_errors = verbose = False
cache_size_limit = recompile_limit = 8
accumulated_cache_size_limit = accumulated_recompile_limit = 256
optimize_ddp = specialize_int = capture_scalar_outputs = capture_dynamic_output_shape_ops = False
automatic_dynamic_shapes = assume_static_by_default = True
