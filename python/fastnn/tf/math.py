"""tf.math's functions of one tensor."""

import fastnn

__all__ = ["abs", "exp", "log", "pow", "sigmoid", "sin", "cos", "sqrt", "square", "tanh"]


def _one(name):
    def function(x, name=None):
        from . import convert_to_tensor

        return getattr(fastnn, function.__name__)(convert_to_tensor(x))

    function.__name__ = function.__qualname__ = name
    function.__doc__ = f"{name}, element by element."
    return function


abs, exp, log, sigmoid, sin = map(_one, ("abs", "exp", "log", "sigmoid", "sin"))  # noqa: A001
cos, sqrt, square, tanh = map(_one, ("cos", "sqrt", "square", "tanh"))


def pow(x, y, name=None):  # noqa: A001
    """x to the power y."""
    from . import convert_to_tensor

    return fastnn.pow(convert_to_tensor(x), y)
