"""Every activation, as module, function and in place, against torch: values, gradients, draws, printing and errors."""

import numpy as np
import pytest

pytest.importorskip("torch")
from oracle.side_by_side import same, same_error  # noqa: E402

# Zero, both sides of every corner, and values that overflow e^x: gradients at NaN are left out, where torch's vector and
# scalar code differ.
CORNERS = np.array([0.0, -0.0, 1, -1, 3, -3, 6, 0.5, -0.5, 20.5, -20.5, 100, -100, 1e-3, 2.9, -2.9])

MODULES = """
ReLU() ReLU6() LeakyReLU() LeakyReLU(-0.3) ELU() ELU(0.5) SELU() CELU() CELU(0.5) GELU() GELU('tanh') SiLU() Mish()
Softplus() Softplus(2.0,1.5) Softsign() Tanhshrink() Hardtanh() Hardtanh(-2.0,0.5) Hardsigmoid() Hardswish() Hardshrink()
Hardshrink(1.0) Softshrink() Softshrink(1.0) Sigmoid() Tanh() LogSigmoid() Threshold(0.5,-2.0) PReLU() RReLU()
RReLU(0.1,0.9) RReLU().eval() ReLU(inplace=False)
""".split()


@pytest.mark.parametrize("text", MODULES)
def test_module(text, table):
    same(f"nn.{text}", CORNERS)
    same(f"nn.{text}", (3, 17))
    same(f"nn.{text}", (2, 3, 2, 2))
    same(f"(lambda x: (m := nn.{text}.to(x.dtype))(x.transpose(0, 1)))", (4, 5))


IN_PLACE = """
ReLU ReLU6 LeakyReLU ELU SELU CELU SiLU Mish Hardtanh Hardsigmoid Hardswish RReLU
""".split()


@pytest.mark.parametrize("name", IN_PLACE)
def test_in_place(name, table):
    same(f"nn.{name}(inplace=True)", (3, 17), gradients=False)
    same(f"(lambda x: (y := x * 1, nn.{name}(inplace=True)(y), y)[1:])", (3, 17))


@pytest.mark.parametrize("name", "relu_ elu_ selu_ celu_ leaky_relu_ hardtanh_ rrelu_ tanh sigmoid".split())
def test_function_in_place(name, table):
    same(f"(lambda x: F.{name}(x * 1))", (3, 17))
    same(f"(lambda x: (y := x * 1, F.{name}(y), y)[2])", (3, 17))


ALONG = [
    ("nn.Softmax(1)", (3, 5)), ("nn.Softmin(0)", (3, 5)), ("nn.LogSoftmax(-1)", (3, 5)),
    ("nn.Softmax2d()", (2, 3, 4, 5)), ("nn.Softmax2d()", (3, 4, 5)), ("nn.Softmax()", (3, 5)),
    ("nn.Softmin()", (2, 3, 5)), ("nn.LogSoftmax()", (5,)), ("nn.GLU()", (3, 6)), ("nn.GLU(0)", (4, 3)),
    ("nn.PReLU(3)", (2, 3, 4)), ("nn.PReLU(5, 0.1)", (2, 5)), ("(lambda x, w: F.prelu(x, w))", (2, 3, 4), (3,)),
    ("(lambda x: F.threshold(x, 0.1, 20))", (3, 4)), ("(lambda x: F.threshold_(x * 1, 0.1, 20))", (3, 4)),
    ("(lambda x: F.softmax(x, 1, dtype=T.float64))", (2, 3)), ("(lambda x: F.gumbel_softmax(x, tau=0.7))", (4, 5)),
    ("(lambda x: F.gumbel_softmax(x, hard=True, dim=0))", (4, 5)),
    ("(lambda x: F.rrelu(x, 0.2, 0.4, training=True))", (40, 50)),
    ("(lambda x: F.rrelu(x.t(), training=True))", (4, 5)), ("(lambda x: F.hardtanh(x, -1, 2))", ("ids", (3, 4), 5)),
    ("(lambda x: F.relu6(x))", ("ids", (3, 4), 9)), ("(lambda x: F.threshold(x, 2, 7))", ("ids", (3, 4), 5)),
    ("(lambda x: F.relu(x))", ("ids", (3, 4), 5)),
]  # fmt: skip


@pytest.mark.parametrize("case", ALONG, ids=str)
def test_along_a_dimension_and_options(case, table):
    same(*case)


ERRORS = [
    ("F.hardshrink(T.ones(2, dtype=T.int64))",), ("nn.Softmax2d()", (3, 4)), ("F.glu(T.ones(3))",),
    ("F.glu(T.ones(()))",), ("F.rrelu(T.ones(2), 0.5, 0.1)",), ("F.rrelu(T.ones(2), 0.5, 0.1, training=True)",),
    ("nn.Hardtanh(1.0, -1.0)",), ("F.softshrink(T.ones(2), -1.0)",), ("F.celu(T.ones(2), 0.0)",),
    ("F.gelu(T.ones(2), approximate='x')",), ("F.gelu(T.ones(2), 'tanh')",), ("F.prelu(T.ones(2, 3), T.ones(2))",),
    ("F.prelu(T.ones(2, 3), T.ones(2, 2))",), ("nn.Softmax(2)", (2, 3)), ("nn.GLU(2)", (2, 4)),
    ("F.elu(T.ones(2, dtype=T.int64))",), ("F.mish(T.ones(2, dtype=T.int64))",),
    ("F.hardswish(T.ones(2, dtype=T.int64))",), ("nn.Threshold()",), ("F.logsigmoid(T.ones(2, dtype=T.int64))",),
    ("F.softplus(T.ones(2, dtype=T.int64))",), ("F.relu(T.ones(2) > 0)",), ("F.threshold(T.ones(2) > 0, 0, 1)",),
    ("F.gumbel_softmax(T.ones(2, 3), dim=2)",),
]  # fmt: skip


@pytest.mark.parametrize("case", ERRORS, ids=lambda c: c[0])
def test_errors(case):
    same_error(*case)
