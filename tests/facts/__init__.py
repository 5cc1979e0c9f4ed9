"""Facts about torch's meaning: each is a function of the module, fact(T), that returns what can be compared.

A fact is run on torch when the test runs, and on fastnn with every kernel table; both answers must agree. Values,
dtypes, shapes, Python types and the kinds of exceptions are compared: see semantics.py.
"""

FACTS: dict = {}  # "file.name" -> function

KINDS = (IndexError, KeyError, ValueError, TypeError, AttributeError, AssertionError, StopIteration, RuntimeError)


def fact(function):
    name = f"{function.__module__.rsplit('.', 1)[-1]}.{function.__name__}"
    assert name not in FACTS, name
    FACTS[name] = function
    return function


def kind(call, *args, **kwargs) -> str:
    """The kind of the exception that the call raises (NotImplementedError counts as RuntimeError), or 'none'."""
    try:
        call(*args, **kwargs)
    except Exception as error:  # noqa: BLE001 - every kind is an answer
        if not str(error) and not isinstance(error, StopIteration):
            return f"{type(error).__name__} without a message"
        return next((k.__name__ for k in KINDS if isinstance(error, k)), type(error).__name__)
    return "none"


def answer(call, *args, **kwargs):
    """What the call returns, or the kind of its exception."""
    try:
        return call(*args, **kwargs)
    except Exception:  # noqa: BLE001
        return kind(call, *args, **kwargs)
