"""Ours against the vendor's, in one process: cuBLAS through CuPy, and torch eager where it is installed (TF32 off).
ratio: the vendor's time over ours. Timings interleave (ours, vendor, ours); buffers rotate past the L2 cache.

--only OP SHAPE: ours alone, once, between the profiler's marks (ncu.py).
"""

import json
import sys
from functools import partial

from fastnn.backend import cuda_runtime, variants

if reason := cuda_runtime.problem():
    sys.exit(f"compare: {reason}")
import composite  # noqa: E402
import cupy as cp  # noqa: E402

from fastnn.backend import cuda_kernels as k  # noqa: E402

try:
    import torch

    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False
except ImportError:
    torch = None
_ROTATE = 120 << 20
_only = tuple(sys.argv[2:4]) if sys.argv[1:2] == ["--only"] else None
_failed = []


def seconds(f, sets, repeats=20):
    """The median of one call over rotating buffers."""
    for s in sets[:2]:
        f(*s)
    cp.cuda.runtime.deviceSynchronize()
    times = []
    for i in range(repeats):
        s = sets[i % len(sets)]
        a, b = cp.cuda.Event(), cp.cuda.Event()
        a.record()
        f(*s)
        b.record()
        b.synchronize()
        times.append(cp.cuda.get_elapsed_time(a, b) / 1e3)
    times.sort()
    return times[len(times) // 2], (times[-2] - times[1]) / times[len(times) // 2]


def measure(op, shape, dtype, ours, vendor, make, work, name, theirs=None):
    """make() -> one set of CuPy arrays; theirs turns it into the vendor's. What fails costs its own row alone."""
    if _only is not None and _only != (op, "x".join(map(str, shape))):
        return
    try:
        _measure(op, shape, dtype, ours, vendor, make, work, name, theirs)
    except Exception as e:
        _failed.append(op)
        print(json.dumps({"op": op, "shape": "x".join(map(str, shape)), "dtype": dtype, "error": repr(e)}), flush=True)
    cp.get_default_memory_pool().free_all_blocks()


def _measure(op, shape, dtype, ours, vendor, make, work, name, theirs):
    first = make()
    if _only is not None:
        ours(*first)
        cp.cuda.runtime.deviceSynchronize()
        cp.cuda.profiler.start()
        ours(*first)
        cp.cuda.runtime.deviceSynchronize()
        cp.cuda.profiler.stop()
        return
    copies = max(2, min(8, _ROTATE // max(sum(a.nbytes for a in first), 1) + 1))
    sets = [first] + [make() for _ in range(copies - 1)]
    other = sets if theirs is None else [tuple(theirs(a) for a in s) for s in sets]
    a, spread = seconds(ours, sets)
    b, _ = seconds(vendor, other)
    c, _ = seconds(ours, sets)
    best = min(a, c)
    row = {"op": op, "shape": "x".join(map(str, shape)), "dtype": dtype, "ours_us": best * 1e6, "spread": spread}
    row |= {"ref_name": name, "ref_us": b * 1e6, "ratio": b / best}
    kind, amount = work
    row |= {"tflops": amount / best / 1e12} if kind == "flops" else {"gbps": amount / best / 1e9}
    print(json.dumps(row), flush=True)


def random(*shape, dtype="float32"):
    return cp.random.standard_normal(shape, dtype=cp.float32).astype(dtype)


def labelled(shape, classes):
    return random(*shape), cp.random.randint(0, classes, shape[0]).astype(cp.int64)


def pair(n, dtype="float32"):
    return random(n, n, dtype=dtype), random(n, n, dtype=dtype)


def gemms():
    for dtype, sizes in (("float16", (4096, 8192)), ("float32", (1024, 4096, 8192))):
        for n in sizes:
            measure(
                "gemm", (n, n, n), dtype, k.gemm, cp.matmul, lambda n=n, dtype=dtype: pair(n, dtype),
                ("flops", 2 * n**3), "cublas",
            )  # fmt: skip
    for variant in ("naive", "tiled", "warptiled", "3xtf32"):
        token = variants.gemm_variant.set(variant)
        measure(
            f"gemm {variant}", (2048,) * 3, "float32", k.gemm, cp.matmul, lambda: (random(2048, 2048), random(2048, 2048)),
            ("flops", 2 * 2048**3), "cublas",
        )  # fmt: skip
        variants.gemm_variant.reset(token)


def memory_bound():
    f = torch.nn.functional

    def theirs(a):
        return torch.from_dlpack(a)

    def one(op, ours, vendor, passes, *shape):
        amount = passes * 4
        for s in shape:
            amount *= s
        measure(op, shape, "float32", ours, vendor, lambda: (random(*shape),), ("bytes", amount), "torch", theirs)

    one("softmax", lambda x: k.softmax(x, 1), lambda x: f.softmax(x, 1), 2, 8192, 4096)
    one("log_softmax", lambda x: k.log_softmax(x, 1), lambda x: f.log_softmax(x, 1), 2, 8192, 32768)
    one("gelu", k.gelu, f.gelu, 2, 1 << 27)
    one("sum rows", lambda x: k.sum(x, (1,)), lambda x: x.sum(1), 1, 16384, 16384)
    one("sum columns", lambda x: k.sum(x, (0,)), lambda x: x.sum(0), 1, 16384, 16384)
    one("copy transposed", lambda x: k.copy(x.T), lambda x: x.T.contiguous(), 2, 16384, 8192)
    one(
        "layer_norm", lambda x: k.layer_norm(x, 1, None, None, 1e-5, True), lambda x: f.layer_norm(x, x.shape[1:]), 2, 16384,
        4096,
    )  # fmt: skip
    how = ((2, 2), (2, 2), (0, 0), (1, 1), False)
    one(
        "max_pool2d",
        lambda x: k.max_pool2d(x, *how),
        lambda x: f.max_pool2d(x, 2, return_indices=True),
        1.3,
        64,
        64,
        224,
        224,
    )
    one(
        "batch_norm",
        lambda x: k.batch_norm(x, None, None, 1e-5),
        lambda x: f.batch_norm(x, None, None, training=True),
        3,
        64,
        64,
        112,
        112,
    )


def images(shape, dtype, last):
    a = random(*shape, dtype=dtype)
    return cp.ascontiguousarray(a.transpose(0, 2, 3, 1)).transpose(0, 3, 1, 2) if last else a


# ResNet-50's convolutions: channels, size, channels out, taps, stride; then a depthwise one (groups).
_LAYERS = (
    (3, 224, 64, 7, 2, 1), (64, 56, 64, 1, 1, 1), (64, 56, 64, 3, 1, 1), (64, 56, 256, 1, 1, 1), (256, 56, 64, 1, 1, 1),
    (256, 56, 128, 1, 1, 1), (128, 56, 128, 3, 2, 1), (128, 28, 512, 1, 1, 1), (256, 56, 512, 1, 2, 1),
    (512, 28, 128, 1, 1, 1), (128, 28, 128, 3, 1, 1), (256, 28, 256, 3, 2, 1), (256, 14, 1024, 1, 1, 1),
    (512, 28, 1024, 1, 2, 1), (1024, 14, 256, 1, 1, 1), (256, 14, 256, 3, 1, 1), (512, 14, 512, 3, 2, 1),
    (512, 7, 2048, 1, 1, 1), (1024, 14, 2048, 1, 2, 1), (2048, 7, 512, 1, 1, 1), (512, 7, 512, 3, 1, 1),
    (256, 28, 256, 3, 1, 256),
)  # fmt: skip


def _ours(task, how, x, w, dy):
    if task == "dx":
        return k.conv2d_backward_input(dy, w, x.shape, *how)
    return k.conv2d_backward_weight(dy, x, w.shape, *how) if task == "dw" else k.conv2d(x, w, None, *how)


def _cudnn(task, how, x, w, dy):
    if task == "":
        return torch.nn.functional.conv2d(x, w, None, *how)
    wanted = [task == "dx", task == "dw", False]
    return torch.ops.aten.convolution_backward(dy, x, w, None, *how[:3], False, [0, 0], how[3], wanted)


def convolutions():
    """Three arrays for each task, so that every vendor's call sees real ones of its layout."""
    torch.backends.cudnn.benchmark = True
    n = 64
    for dtype, last, layers in (
        ("float16", True, _LAYERS), ("float32", True, _LAYERS[2:3] + _LAYERS[10:11]), ("float16", False, _LAYERS[2:3]),
    ):  # fmt: skip
        for c, size, out, taps, stride, groups in layers:
            q = (size + 2 * (taps // 2) - taps) // stride + 1
            how = ((stride, stride), (taps // 2, taps // 2), (1, 1), groups)
            shapes = (n, c, size, size), (out, c // groups, taps, taps), (n, out, q, q)
            name = f"{taps}x{taps}/{stride}" + (" depthwise" if groups > 1 else "") + ("" if last else " planes")

            def make(shapes=shapes, dtype=dtype, last=last):
                return tuple(images(s, dtype, last) for s in shapes)

            for task in ("", "dx", "dw") if c > 3 else ("", "dw"):  # nobody asks for the gradient of photographs
                measure(
                    " ".join(("conv2d", task, name)).replace("  ", " "), (n, c, size, size, out), dtype,
                    partial(_ours, task, how), partial(_cudnn, task, how), make,
                    ("flops", 2 * n * out * q * q * (c // groups) * taps * taps), "cudnn", torch.from_dlpack,
                )  # fmt: skip


def weights_of(gates, steps, batch, features, hidden, dtype):
    """(x [steps * batch, features], w_ih, w_hh, b_ih, b_hh) of one layer."""
    scale = hidden**-0.5
    shapes = (gates * hidden, features), (gates * hidden, hidden), (gates * hidden,), (gates * hidden,)
    return random(steps * batch, features, dtype=dtype), *(
        random(*n, dtype=dtype) * cp.dtype(dtype).type(scale) for n in shapes
    )


def recurrent():
    """Training's forward pass, and both passes, of one layer against cuDNN's."""
    for cell, gates, steps, batch, features, hidden, dtype in (
        ("LSTM", 4, 512, 64, 1024, 1024, "float16"), ("LSTM", 4, 256, 32, 512, 512, "float32"),
        ("LSTM", 4, 512, 1, 256, 256, "float32"), ("LSTM", 4, 35, 20, 200, 200, "float32"),
        ("GRU", 3, 256, 64, 512, 512, "float16"), ("GRU", 3, 64, 32, 128, 256, "float32"),
    ):  # fmt: skip
        net = getattr(torch.nn, cell)(features, hidden).to("cuda", getattr(torch, dtype))
        sizes, dy = (batch,) * steps, random(steps * batch, hidden, dtype=dtype)
        needs = (True, False, False, *(True,) * 4, False)

        def forward(x, *w, cell=cell, sizes=sizes):
            return k.rnn_layer(cell, x, None, None, [(*w, None)], sizes, True)

        def both(x, *w, cell=cell, sizes=sizes, dy=dy, forward=forward, needs=needs):
            y, _, _, kept = forward(x, *w)
            return k.rnn_layer_backward(cell, dy, None, None, x, None, None, [(*w, None)], sizes, y, kept, needs)

        def vendor(x, *_, net=net, shape=(steps, batch, features)):
            with torch.enable_grad():
                return net(x.detach().reshape(shape).requires_grad_())[0]

        def vendor_both(x, *_, net=net, vendor=vendor, dy=dy):
            y = vendor(x)
            y.backward(torch.from_dlpack(dy).reshape(y.shape))

        work = 2 * steps * batch * gates * hidden * (features + hidden)
        make = partial(weights_of, gates, steps, batch, features, hidden, dtype)
        shape = (steps, batch, features, hidden)
        measure(f"{cell} forward", shape, dtype, forward, vendor, make, ("flops", work), "cudnn", torch.from_dlpack)
        measure(
            f"{cell} forward + backward",
            shape,
            dtype,
            both,
            vendor_both,
            make,
            ("flops", 3 * work),
            "cudnn",
            torch.from_dlpack,
        )


def attentions():
    f = torch.nn.functional
    for dtype, shape, causal in (
        ("float16", (4, 16, 4096, 128), False), ("float16", (4, 16, 4096, 128), True),
        ("float16", (1, 16, 16384, 128), False), ("float16", (1, 16, 16384, 128), True),
        ("float16", (4, 16, 4096, 64), False), ("float32", (2, 16, 2048, 64), True),
    ):  # fmt: skip
        b, h, n, d = shape
        how = (None, causal, d**-0.5, None, 1.0)
        flops, name = 4 * b * h * n * n * d * (0.5 if causal else 1), " causal" if causal else ""

        def make(shape=shape, dtype=dtype):
            return tuple(random(*shape, dtype=dtype) for _ in range(3))

        measure(
            "attention" + name, shape, dtype, lambda q, k_, v, how=how: k.attention(q, k_, v, *how),
            lambda q, k_, v, causal=causal: f.scaled_dot_product_attention(q, k_, v, is_causal=causal), make,
            ("flops", flops), "torch", torch.from_dlpack,
        )  # fmt: skip

        def saved(make=make, how=how):
            q, k_, v = make()
            out, lse = k.attention(q, k_, v, *how)
            return random(*q.shape, dtype=q.dtype), q, k_, v, out, lse

        def vendor(dout, q, k_, v, out, lse, causal=causal):  # forward and backward: the work is that of both
            with torch.enable_grad():
                given = [x.detach().requires_grad_() for x in (q, k_, v)]
                y = f.scaled_dot_product_attention(*given, is_causal=causal)
                return torch.autograd.grad(y, given, dout)

        def both(dout, q, k_, v, out, lse, how=how):
            out, lse = k.attention(q, k_, v, *how)
            return k.attention_backward(dout, q, k_, v, *how, out, lse, (True, True, True))

        measure(
            "attention forward and backward" + name, shape, dtype, both, vendor, saved, ("flops", 3.5 * flops), "torch",
            torch.from_dlpack,
        )  # fmt: skip


def main():
    gemms()
    if torch is None or not torch.cuda.is_available():
        print(json.dumps({"torch": "absent: the memory-bound kernels have nothing to be compared with"}))
        return
    with torch.no_grad():
        memory_bound()
        convolutions()
        attentions()
        recurrent()
    composite.captured(measure, labelled, torch)
    composite.linear_cross_entropy(measure, labelled, random, torch)
    sys.exit(f"failed: {_failed}" if _failed else 0)


if __name__ == "__main__":
    main()
