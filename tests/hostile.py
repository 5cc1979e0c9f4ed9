"""Calls with hostile arguments, and the process that makes them.

Each entry is an expression and words of which the message must contain one (none: any message will do). All must raise
one of KINDS within 100 ms and 1 MB of memory, on every backend; none may end the process or hang it.

`python tests/hostile.py TABLE SKIP` makes all calls after the first SKIP, writing a line of JSON before and after each,
so that whoever started it knows which call killed it.
"""

import io
import json
import os
import sys
import time

KINDS = ("RuntimeError", "ValueError", "TypeError", "IndexError", "NotImplementedError", "MemoryError")
KINDS += ("UnpicklingError",)  # what a file that is no tensor raises, as in torch

# Names the expressions use, besides T (the module), F (nn.functional) and nn.
SETUP = {
    "x": "T.ones(2, 3)",
    "v": "T.ones(3)",
    "w": "T.ones(2, 3, requires_grad=True)",
    "i": "T.tensor([0, 1])",
    "d": "T.ones(2, 3, dtype=T.float64)",
    "img": "T.ones(1, 2, 5, 5)",
    "ker": "T.ones(4, 2, 3, 3)",
    "logits": "T.ones(4, 3)",
    "ids": "T.tensor([0, 1, 2, 0])",
}

CREATION = [
    ("T.zeros(2**62)", "4611686018427387904", "memory", "size", "large"),
    ("T.zeros(2**40, 2**40)", "size", "large", "memory", "big"),
    ("T.zeros(2**63)", "9223372036854775808", "int", "size", "large"),
    ("T.zeros(2**100)", "int", "size", "large", "1267650600228229401496703205376"),
    ("T.empty(2**50)", "1125899906842624", "memory", "size", "large"),
    ("T.ones(2**45)", "35184372088832", "memory", "size", "large"),
    ("T.full((2**48,), 1)", "281474976710656", "memory", "size", "large"),
    ("T.zeros(-1)", "-1"),
    ("T.zeros(2, -3)", "-3"),
    ("T.zeros(1.5)", "1.5", "float", "int"),
    ("T.zeros('a')", "str", "int"),
    ("T.zeros(None)", "None"),
    ("T.ones(2, dtype='float32')", "float32", "dtype"),
    ("T.ones(2, dtype=3)", "dtype", "3"),
    ("T.ones(2, device='cuda:99')", "cuda"),
    ("T.ones(2, device='nowhere')", "nowhere"),
    ("T.eye(-1)", "-1"),
    ("T.eye(2**40)", "1099511627776", "memory", "size", "large"),
    ("T.arange(0, 1, 0)", "step", "zero"),
    ("T.arange(5, 0)", "step", "bound", "sign", "5"),
    ("T.arange(2**60)", "1152921504606846976", "memory", "size", "large"),
    ("T.arange(0, float('inf'))", "inf", "finite"),
    ("T.arange(float('nan'))", "nan", "finite"),
    ("T.arange(0, 1e300, 1e-300)", "size", "large", "memory", "1e+300", "inf"),
    ("T.linspace(0, 1, -1)", "-1", "steps"),
    ("T.linspace(0, 1, 2**60)", "1152921504606846976", "memory", "size", "large"),
    ("T.tensor([[1, 2], [3]])", "length", "ragged", "expected", "inhomogeneous", "sequence"),
    ("T.tensor('abc')", "str"),
    ("T.tensor([None])", "None"),
    ("T.tensor(object())", "object"),
    ("T.tensor(2**64)", "18446744073709551616", "int", "large", "overflow"),
    ("T.rand(-1)", "-1"),
    ("T.rand(2**60)", "1152921504606846976", "memory", "size", "large"),
    ("T.randn(2**60)", "1152921504606846976", "memory", "size", "large"),
    ("T.randint(5, 5, (2,))", "5"),
    ("T.randint(5, 2, (2,))", "5", "2"),
    ("T.randint(0, 10, (-1,))", "-1"),
    ("T.randint(0, 2**70, (2,))", "int", "range", "high", "1180591620717411303424"),
    ("T.randperm(-1)", "-1"),
    ("T.randperm(2**60)", "1152921504606846976", "memory", "size", "large"),
    ("T.bernoulli(T.tensor([2.0]))", "2", "p", "0 and 1", "[0, 1]"),
    ("T.bernoulli(T.tensor([float('nan')]))", "nan", "p", "0 and 1", "[0, 1]"),
    ("T.normal(0.0, -1.0, (2,))", "-1", "std"),
    ("T.ones(2).uniform_(1, 0)", "from", "1", "0"),
    ("T.ones(2).normal_(0, -1)", "-1", "std"),
    ("T.manual_seed('a')", "str", "a", "int"),
    ("T.from_numpy([1, 2])", "list", "ndarray"),
    ("T.set_num_threads(0)", "0"),
    ("T.set_num_threads(-4)", "-4"),
    ("T.set_num_threads(2**40)", "1099511627776", "int", "thread"),
    ("T.set_default_dtype(T.int32)", "int32", "float"),
]
SHAPES = [
    ("x.reshape(-1, -1)", "-1", "infer"),
    ("x.reshape(7)", "7", "invalid"),
    ("x.reshape(-2)", "-2"),
    ("x.reshape(0, -1)", "0", "-1", "infer"),
    ("x.reshape(2**62, 2**62)", "4611686018427387904", "invalid", "size"),
    ("x.reshape(2**70)", "int", "1180591620717411303424", "size"),
    ("x.reshape('a')", "str", "int"),
    ("x.reshape(2.0, 3)", "float", "int"),
    ("x.view(-2)", "-2"),
    ("x.view(5)", "5"),
    ("x.t().view(6)", "stride", "contiguous", "view"),
    ("x.permute(0)", "dim", "permute"),
    ("x.permute(0, 0)", "0", "repeat", "dim"),
    ("x.permute(0, 2**62)", "4611686018427387904", "dim", "range"),
    ("x.transpose(0, 2)", "2"),
    ("x.transpose(0, -2**63)", "9223372036854775808", "dim", "range"),
    ("x.squeeze(2)", "2"),
    ("x.unsqueeze(4)", "4"),
    ("x.unsqueeze(-4)", "-4"),
    ("x.flatten(1, 0)", "start", "dim"),
    ("x.flatten(5)", "5"),
    ("x.expand(3, 3)", "3"),
    ("x.expand(3)", "dim", "3"),
    ("x.expand(-2, 3)", "-2"),
    ("x.expand(2**62, 2**62, 2, 3)", "4611686018427387904", "size", "large", "overflow"),
    ("x.repeat(2)", "dim", "repeat"),
    ("x.repeat(-1, 1)", "-1"),
    ("x.repeat(2**40, 2**40)", "1099511627776", "size", "large", "memory"),
    ("x.narrow(0, 1, 5)", "5", "length"),
    ("x.narrow(0, 7, 1)", "7", "start"),
    ("x.select(0, 9)", "9"),
    ("x.as_strided((2**40,), (1,))", "storage", "size", "bound", "1099511627776"),
    ("x.as_strided((2,), (2**62,))", "storage", "stride", "bound", "4611686018427387904"),
    ("x.as_strided((2,), (1,), 2**62)", "storage", "offset", "bound", "4611686018427387904"),
    ("x.as_strided((2,), (-1,))", "-1"),
    ("x.unfold(0, 2**62, 1)", "4611686018427387904", "size"),
    ("x.unfold(0, 1, 0)", "step", "0"),
    ("x.unfold(0, -1, 1)", "-1", "size"),
    ("x.split(0)", "0", "split"),
    ("x.split(-1)", "-1", "split"),
    ("x.split([1, 5])", "5", "6", "sum"),
    ("x.chunk(0)", "0", "chunk"),
    ("x.unbind(3)", "3"),
    ("x.roll(1, 5)", "5"),
    ("x.flip(4)", "4"),
    ("T.cat([])", "empty", "non-empty", "expected"),
    ("T.cat([x, T.ones(2, 4, 1)])", "dim"),
    ("T.cat([x, T.ones(2, 4)])", "4", "3", "size"),
    ("T.cat([x, 1])", "int", "tensor", "Tensor"),
    ("T.cat([x, x], 2**62)", "4611686018427387904", "dim", "range"),
    ("T.stack([x, v])", "size", "shape", "equal"),
    ("T.stack([])", "empty", "non-empty", "expected"),
    ("x + T.ones(4)", "3", "4"),
    ("x.add_(T.ones(4, 2, 3))", "shape", "broadcast"),
    ("x + 'a'", "str"),
    ("x + None", "None"),
    ("x @ x", "2", "3"),
    ("x @ T.ones(2, 4, 5)", "shape", "size", "3"),
    ("x @ 3", "int", "matmul", "@"),
    ("x @ d.t()", "dtype", "double", "float64"),
    ("T.mm(x, v)", "2", "dim", "matrix"),
    ("T.bmm(x, x)", "3", "dim"),
    ("T.dot(x, x)", "1", "dim"),
    ("x.sum(5)", "5"),
    ("x.sum((0, 0))", "0", "twice", "repeat", "multiple"),
    ("x.sum(2**62)", "4611686018427387904", "dim", "range"),
    ("x.sum('a')", "str", "int", "a"),
    ("x.mean(-3)", "-3"),
    ("T.ones(2, dtype=T.int64).mean()", "int64", "Long", "float"),
    ("T.ones(0).max()", "empty", "numel", "no identity", "max"),
    ("T.ones(0, 3).argmax(0)", "empty", "numel", "size", "argmax"),
    ("x.topk(4)", "4", "k"),
    ("x.topk(-1)", "-1", "k"),
    ("x.softmax(2)", "2"),
    ("x.cumsum(7)", "7"),
    ("x.norm(p='other')", "other"),
    ("x.clamp()", "min", "max"),
    ("x.softmax('a')", "str", "int"),
    ("T.where(x, x, x)", "bool", "condition"),
    ("T.ones(2, dtype=T.int64) // 0", "ero"),
    ("T.tensor([2]) ** -1", "negative", "power"),
]
INDICES = [
    ("x[2]", "2"),
    ("x[-3]", "-3"),
    ("x[0, 3]", "3"),
    ("x[2**62]", "4611686018427387904", "range", "bound"),
    ("x[2**70]", "1180591620717411303424", "range", "int", "large", "index"),
    ("x[0, 0, 0]", "many", "dim"),
    ("x['a']", "str", "a"),
    ("x[1.5]", "float", "1.5", "ind"),
    ("x[::-1]", "step", "-1"),
    ("x[::0]", "step", "zero"),
    ("x[T.tensor([2])]", "2"),
    ("x[T.tensor([-3])]", "-3"),
    ("x[T.tensor([2**62])]", "4611686018427387904"),
    ("x[T.tensor([0.5])]", "float", "Float", "long", "int"),
    ("x[T.tensor([True])]", "mask", "shape", "index", "1"),
    ("x[T.ones(3, 2, dtype=T.bool)]", "mask", "shape", "index"),
    ("x[T.tensor([0, 1]), T.tensor([0, 1, 2])]", "broadcast", "shape"),
    ("x.__setitem__(5, 1.0)", "5"),
    ("x.__setitem__(0, T.ones(4))", "4", "shape"),
    ("x.__setitem__(0, 'a')", "str", "a"),
    ("x.__setitem__(T.tensor([9]), 0)", "9"),
    ("x.__setitem__((slice(None), T.tensor([-9])), 0)", "-9"),
    ("x.gather(1, T.tensor([[3]]))", "3"),
    ("x.gather(1, T.tensor([[-1]]))", "-1"),
    ("x.gather(1, T.tensor([[2**62]]))", "4611686018427387904"),
    ("x.gather(5, T.tensor([[0]]))", "5"),
    ("x.gather(1, T.tensor([0]))", "dim"),
    ("x.gather(1, T.zeros(3, 1, dtype=T.int64))", "3", "size", "shape"),
    ("x.scatter(1, T.tensor([[7]]), 1.0)", "7"),
    ("x.scatter(1, T.tensor([[-(2**63)]]), 1.0)", "-9223372036854775808"),
    ("x.scatter_(1, T.tensor([[0, 0, 0, 0]]), T.ones(1, 2))", "size", "shape", "index", "4"),
    ("x.scatter_add(1, T.tensor([[3]]), T.ones(1, 1))", "3"),
    ("x.index_select(0, T.tensor([2]))", "2"),
    ("x.index_select(0, T.tensor([[0]]))", "dim", "1-D", "vector", "1d"),
    ("x.index_add(0, T.tensor([2**40]), T.ones(1, 3))", "1099511627776", "index", "range"),
    ("T.take(x, T.tensor([6]))", "6"),
    ("x.masked_fill(T.ones(2, 3), 0)", "bool"),
    ("x.masked_fill(T.ones(5, dtype=T.bool), 0)", "5", "shape", "size"),
    ("T.masked_select(x, x)", "bool"),
    ("list(T.tensor(1))", "0-d"),
    ("bool(x)", "bool", "ambiguous"),
    ("float(x)", "one", "6", "calar"),
    ("x.item()", "item", "calar", "one"),
    ("len(T.tensor(1))", "0-d"),
]
GRADIENTS = [
    ("x.backward()", "require", "grad"),
    ("w.backward()", "scalar"),
    ("w.backward(T.ones(5))", "shape", "5"),
    ("w.sum().backward('a')", "str", "tensor", "Tensor", "a"),
    ("w.add_(1)", "leaf"),
    ("setattr(w, 'grad', T.ones(9))", "9", "size", "shape"),
    ("i.requires_grad_()", "float"),
    ("T.autograd.grad(w.sum(), x)", "require", "used", "grad"),
    ("T.autograd.grad(w.sum(), [])", "empty", "input"),
    ("w.numpy()", "detach", "grad"),
    ("w.register_hook(3)", "callable", "int", "3"),
    ("x.register_hook(lambda g: g)", "grad"),
    ("x.expand(2, 2, 3).add_(1)", "memory", "overlap", "expand", "single"),
    ("v[1:].copy_(v[:-1])", "overlap", "memory", "clone"),
]
LAYERS = [
    ("F.linear(x, T.ones(2, 4))", "4", "3"),
    ("F.linear(x, T.ones(2, 3), T.ones(3))", "3", "bias"),
    ("F.linear(x, d)", "dtype", "double", "float64"),
    ("F.linear(x, None)", "None", "weight"),
    ("F.conv2d(img, ker, stride=0)", "stride"),
    ("F.conv2d(img, ker, stride=-1)", "stride"),
    ("F.conv2d(img, ker, stride=(1, 2, 3))", "stride"),
    ("F.conv2d(img, ker, stride=2**62, padding=2**61)", "padding", "stride", "large", "size", "memory"),
    ("F.conv2d(img, ker, padding=-1)", "padding"),
    ("F.conv2d(img, ker, padding=2**40)", "1099511627776", "padding", "large", "memory", "size"),
    ("F.conv2d(img, ker, padding=2**62)", "4611686018427387904", "padding", "large", "size"),
    ("F.conv2d(img, ker, padding=2**63 - 1)", "padding", "large", "size", "9223372036854775807"),
    ("F.conv2d(img, ker, padding='other')", "other", "padding"),
    ("F.conv2d(img, ker, dilation=0)", "dilation"),
    ("F.conv2d(img, ker, dilation=-1)", "dilation"),
    ("F.conv2d(img, ker, dilation=2**62)", "dilation", "kernel", "size", "4611686018427387904"),
    ("F.conv2d(img, ker, dilation=2**63 - 1)", "dilation", "kernel", "size", "9223372036854775807"),
    ("F.conv2d(img, ker, groups=0)", "groups"),
    ("F.conv2d(img, ker, groups=-1)", "groups"),
    ("F.conv2d(img, ker, groups=3)", "groups", "3"),
    ("F.conv2d(img, ker, groups=2**62)", "groups", "4611686018427387904"),
    ("F.conv2d(img, T.ones(4, 3, 3, 3))", "3", "channel"),
    ("F.conv2d(img, T.ones(4, 2, 0, 0))", "kernel", "0", "weight"),
    ("F.conv2d(img, T.ones(4, 2, 7, 7))", "kernel", "7", "size"),
    ("F.conv2d(img, T.ones(4, 2, 3))", "weight", "dim", "4"),
    ("F.conv2d(T.ones(5), ker)", "dim", "4", "input"),
    ("F.conv2d(img, ker, T.ones(3))", "bias", "3"),
    ("F.conv2d(img, ker.double())", "dtype", "ouble", "float64"),
    ("F.conv2d(T.ones(1, 2, 0, 5), ker)", "kernel", "size", "0"),
    ("F.conv1d(img, ker)", "dim", "3"),
    ("F.max_pool2d(img, 0)", "kernel", "0"),
    ("F.max_pool2d(img, -1)", "kernel", "-1"),
    ("F.max_pool2d(img, 2**62)", "kernel", "4611686018427387904", "size", "small"),
    ("F.max_pool2d(img, 2, 0)", "stride"),
    ("F.max_pool2d(img, 2, -1)", "stride"),
    ("F.max_pool2d(img, 2, padding=2)", "pad"),
    ("F.max_pool2d(img, 2, padding=-1)", "pad"),
    ("F.max_pool2d(img, 2**62, padding=2**61)", "kernel", "pad", "size", "4611686018427387904", "2305843009213693952"),
    ("F.max_pool2d(img, 2, dilation=0)", "dilation"),
    ("F.max_pool2d(img, 2, dilation=2**62)", "dilation", "size", "4611686018427387904", "small"),
    ("F.max_pool2d(T.ones(2), 2)", "dim", "3", "4"),
    ("F.max_pool2d(img, (1, 2, 3))", "kernel", "2", "int"),
    ("F.max_pool2d(img, 9)", "9", "kernel", "size", "small"),
    ("F.avg_pool2d(img, 0)", "kernel", "0"),
    ("F.avg_pool2d(img, 2**62)", "kernel", "4611686018427387904", "size", "small"),
    ("F.avg_pool2d(img, 2, 0)", "stride"),
    ("F.avg_pool2d(img, 2, padding=3)", "pad"),
    ("F.avg_pool2d(img, 2, divisor_override=0)", "divisor"),
    ("F.avg_pool2d(img, 2, stride=2**63 - 1, ceil_mode=True, padding=2)", "pad", "stride"),
    ("F.cross_entropy(logits, T.tensor([0, 1, 2, 3]))", "3", "class", "target"),
    ("F.cross_entropy(logits, T.tensor([0, 1, 2, -1]))", "-1", "class", "target"),
    ("F.cross_entropy(logits, T.tensor([0, 1, 2, 2**62]))", "4611686018427387904"),
    ("F.cross_entropy(logits, T.tensor([0, 1, 2, -(2**63)]))", "-9223372036854775808"),
    ("F.cross_entropy(logits, ids[:3])", "3", "4", "batch", "size"),
    ("F.cross_entropy(logits, ids.float())", "dtype", "loat", "long", "int64"),
    ("F.cross_entropy(logits, ids, T.ones(2))", "weight", "2"),
    ("F.cross_entropy(logits, ids, label_smoothing=2.0)", "smoothing", "2"),
    ("F.cross_entropy(logits, ids, reduction='other')", "other"),
    ("F.cross_entropy(logits, None)", "None", "target"),
    ("F.nll_loss(logits, T.tensor([0, 1, 2, 9]))", "9", "class", "target"),
    ("F.mse_loss(x, T.ones(2, 4))", "3", "4", "size"),
    ("F.mse_loss(x, x, reduction='other')", "other"),
    ("F.binary_cross_entropy(x * 2, x)", "between", "0", "[0, 1]"),
    ("F.binary_cross_entropy_with_logits(x, v)", "size", "shape"),
    ("F.smooth_l1_loss(x, x, beta=-1.0)", "beta", "-1"),
    ("F.embedding(T.tensor([2]), x)", "2", "range"),
    ("F.embedding(T.tensor([-1]), x)", "-1", "range"),
    ("F.embedding(T.tensor([2**62]), x)", "4611686018427387904"),
    ("F.embedding(T.tensor([0.5]), x)", "float", "int", "Long", "Float"),
    ("F.one_hot(T.tensor([5]), 3)", "5", "class", "3"),
    ("F.one_hot(T.tensor([-1]))", "-1", "negative", "class"),
    ("F.one_hot(T.tensor([0]), -2)", "-2", "class"),
    ("F.one_hot(T.tensor([2**50]))", "112589990684262", "memory", "class"),
    ("F.one_hot(T.tensor([0]), 2**60)", "1152921504606846976", "memory", "class", "large", "size"),
    ("F.dropout(x, 1.5)", "1.5"),
    ("F.dropout(x, float('nan'))", "nan", "p", "between"),
    ("F.softmax(x, 9)", "9"),
    ("F.gelu(x, approximate='other')", "other"),
    ("F.layer_norm(x, (4,))", "4", "shape"),
    ("F.layer_norm(x, ())", "1-dim"),
    ("F.group_norm(img, 0)", "0"),
    ("F.group_norm(img, 3)", "3"),
    ("F.batch_norm(img, T.ones(3), T.ones(2))", "running_mean", "3"),
    ("F.batch_norm(img, None, None)", "running_mean"),
    ("F.instance_norm(img, weight=v)", "weight", "3"),
    ("F.rms_norm(x, (3,), T.ones(2))", "weight", "2"),
    ("F.scaled_dot_product_attention(x, T.ones(2, 4), x)", "3", "4"),
    ("F.scaled_dot_product_attention(x, x, T.ones(5, 3))", "2", "5"),
    ("F.scaled_dot_product_attention(x, x, x, T.ones(7, 7))", "7", "attn_mask"),
    ("F.scaled_dot_product_attention(x, x, x, 'mask')", "str", "attn_mask"),
    ("F.scaled_dot_product_attention(x, x, x, dropout_p=float('nan'))", "nan", "dropout"),
    ("F.scaled_dot_product_attention(x, x, x, enable_gqa=True)", "enable_gqa", "2"),
    ("F.scaled_dot_product_attention(x, None, x)", "None", "scaled_dot_product_attention"),
    ("F.embedding_bag(T.tensor([[9]]), x)", "9", "range"),
    ("F.embedding_bag(T.tensor([0, 1]), x, T.tensor([0, 5]))", "offsets", "5"),
    ("F.embedding_bag(T.tensor([0, 1]), x, T.tensor([1]))", "offsets", "1"),
    ("F.embedding_bag(T.tensor([0, 1]), x, T.tensor([0, 2, 1]))", "offsets"),
    ("F.embedding_bag(T.tensor([[0]]), x, mode='other')", "other"),
    ("nn.Linear(-1, 2)", "-1", "in_features"),
    ("nn.Linear(2**40, 2**40)", "1099511627776", "memory", "size", "large"),
    ("nn.Linear(3, 2)(T.ones(2, 4))", "4", "3"),
    ("nn.Linear(3, 2)(None)", "None", "input"),
    ("nn.Conv2d(2, 4, 0)(img)", "kernel", "0"),
    ("nn.Conv2d(3, 4, 3, groups=2)", "groups"),
    ("nn.Conv2d(3, 4, 3, groups=0)", "groups"),
    ("nn.Conv2d(3, 4, 3, padding='other')", "other", "padding"),
    ("nn.Conv2d(3, 4, 3)(img)", "3", "2", "channel"),
    ("nn.Dropout(-0.1)", "-0.1", "p"),
    ("nn.Sequential(3)", "Module", "int"),
    ("nn.Linear(2, 2).load_state_dict({})", "weight", "issing"),
    ("nn.Linear(2, 2).load_state_dict({'weight': T.ones(9), 'bias': T.ones(2)})", "9", "size", "shape"),
    ("nn.init.xavier_uniform_(v)", "dim", "2"),
    ("T.optim.SGD([w], lr=-0.1)", "-0.1", "lr", "learning"),
    ("T.optim.Adam([w], betas=(1.5, 0.9))", "1.5", "beta"),
    ("T.optim.SGD([], lr=0.1)", "empty"),
    ("T.optim.SGD([x * w], lr=0.1)", "leaf"),
    ("nn.utils.clip_grad_norm_([w, 3], 1.0)", "int", "Tensor", "tensor", "3"),
    ("T.utils.data.DataLoader([1], batch_size=0)", "batch_size"),
    ("T.utils.data.DataLoader([1], batch_size=-2)", "batch_size"),
    ("T.utils.data.DataLoader([1], num_workers=-1)", "num_workers"),
    ("next(iter(T.utils.data.DataLoader([T.ones(2), T.ones(3)], batch_size=2)))", "size", "shape", "equal"),
]
FILES = [
    ("T.load(io.BytesIO(b''))",),
    ("T.load(io.BytesIO(b'garbage'))",),
    ("T.load(io.BytesIO(b'PK\\x03\\x04' + b'\\0' * 100))",),
    ("T.load(io.BytesIO(b'\\x80\\x02' + b'\\xff' * 200))",),
    ("T.load(io.BytesIO(os.urandom(1000)))",),
]
CALLS = CREATION + SHAPES + INDICES + GRADIENTS + LAYERS + FILES


def peak_rss_kb() -> int:
    """The highest resident size since the last reset, and resets it (Linux)."""
    with open("/proc/self/status") as f:
        peak = next(int(line.split()[1]) for line in f if line.startswith("VmHWM"))
    with open("/proc/self/clear_refs", "w") as f:
        f.write("5")
    return peak


def attempt(module, expression) -> dict:
    """What the call does: the kind and text of its exception, its time, and by how much memory peaked."""
    names = {"T": module, "F": module.nn.functional, "nn": module.nn, "io": io, "os": os}
    for name, source in SETUP.items():
        if name in expression:
            names[name] = eval(source, names)
    code = compile(expression, expression, "eval")
    peak_rss_kb()
    before = peak_rss_kb()
    start = time.perf_counter()
    try:
        result = eval(code, names)
        kind, message = None, f"returned {type(result).__name__}"
    except BaseException as error:  # noqa: BLE001 - any kind is to be reported
        kinds = [c.__name__ for c in type(error).__mro__]
        kind, message = next((k for k in kinds if k in KINDS), kinds[0]), str(error)
    seconds = time.perf_counter() - start
    return {"kind": kind, "message": message, "ms": 1000 * seconds, "kb": peak_rss_kb() - before}


def main(table: str, skip: int) -> None:
    sys.path.insert(0, os.path.dirname(__file__))
    from conftest import select

    import fastnn

    select(table)
    for number, (expression, *_) in enumerate(CALLS[skip:], skip):
        print(json.dumps({"start": number}), flush=True)
        best = attempt(fastnn, expression)
        for _ in range(2):  # a first call may import and a busy machine may pause: the best of three counts
            if best["ms"] > 50 or best["kb"] > 500:
                again = attempt(fastnn, expression)
                best = {**again, "ms": min(best["ms"], again["ms"]), "kb": min(best["kb"], again["kb"])}
        print(json.dumps({"done": number, **best}), flush=True)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
