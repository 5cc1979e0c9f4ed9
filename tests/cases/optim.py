"""The optimizers' lists of parameters: shapes for tests/test_optim.py and bench/bench_optim.py.

The steps change their arguments in place, so they are no rows of the value test.
"""

CASES: list = []

SHAPES = {
    "mlp": [(256, 784), (256,), (128, 256), (128,), (10, 128), (10,)],
    "tiny": [(4,)] * 16,
    "odd": [(3, 5), (), (0, 4), (17,), (1,), (16385,), (129, 127), (5, 1, 3)],
    "large": [(8_000_000,)],
}
