"""What hooks need: handles that take them away again, and the taps that see a module's gradients pass."""

import itertools
import weakref

from fastnn.tensor import Tensor

_ids = itertools.count()


class HookTable(dict):
    """A dictionary of hooks in the order of registration; unlike dict it can be referred to weakly."""


class RemovableHandle:
    """Returned by every register_..._hook: `remove()`, or leaving a `with` block, takes the hook away."""

    def __init__(self, table: HookTable):
        self.table = weakref.ref(table)
        self.id = next(_ids)

    def remove(self) -> None:
        table = self.table()
        if table is not None:
            table.pop(self.id, None)

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        self.remove()


_tap_function = None


def _make_tap_function():
    """An identity whose backward hands the gradients to a callback. Made on first use: autograd imports later."""
    global _tap_function
    from fastnn.autograd import Function

    class Tap(Function):
        @staticmethod
        def forward(ctx, callback, *tensors):
            ctx.callback = callback
            ctx.set_materialize_grads(False)
            return tuple(t.view_as(t) for t in tensors)

        @staticmethod
        def backward(ctx, *grads):
            return (None, *ctx.callback(grads))

    _tap_function = Tap
    return Tap


class BackwardTap:
    """Puts identities on a module's inputs and outputs, and calls its backward hooks from their backward."""

    def __init__(self, module, hooks, pre_hooks):
        self.module, self.hooks, self.pre_hooks = module, hooks, pre_hooks
        self.grad_output = None
        self.input_count = 0
        self.input_places: list[int] | None = None

    def _through(self, callback, values):
        """The tensors among `values` that need gradients go through one identity; returns (values, places)."""
        places = [i for i, v in enumerate(values) if isinstance(v, Tensor)]
        if not any(values[i].requires_grad for i in places):
            return values, None
        tapped = (_tap_function or _make_tap_function()).apply(callback, *(values[i] for i in places))
        values = list(values)
        for i, tensor in zip(places, tapped, strict=True):
            values[i] = tensor
        return tuple(values), places

    def watch_inputs(self, args: tuple) -> tuple:
        self.input_count = len(args)
        args, self.input_places = self._through(self._on_input_gradients, args)
        return args

    def watch_outputs(self, output):
        if isinstance(output, Tensor):
            values = (output,)
        elif isinstance(output, (tuple, list)):
            values = tuple(output)
        else:
            return output  # a dict or an object of the user's: nothing to tap
        self.output_count = len(values)
        values, self.output_places = self._through(self._on_output_gradients, values)
        if isinstance(output, Tensor):
            return values[0]
        return type(output)(*values) if hasattr(output, "_fields") else type(output)(values)

    def _on_output_gradients(self, grads):
        grad_output = self._spread(grads, self.output_places, self.output_count)
        for hook in self.pre_hooks:
            result = hook(self.module, grad_output)
            if result is not None:
                grad_output = result if isinstance(result, tuple) else (result,)
        self.grad_output = grad_output
        if self.input_places is None:  # no input needs a gradient: nothing will pass there
            for hook in self.hooks:
                if hook(self.module, (None,) * self.input_count, grad_output) is not None:
                    raise RuntimeError(
                        "Backward hook for Modules where no input requires gradient should always return None"
                    )
        return tuple(grad_output[i] for i in self.output_places)

    def _on_input_gradients(self, grads):
        grad_input = self._spread(grads, self.input_places, self.input_count)
        for hook in self.hooks:
            result = hook(self.module, grad_input, self.grad_output)
            if result is not None:
                result = result if isinstance(result, tuple) else (result,)
                if len(result) != len(grad_input):
                    raise RuntimeError(
                        f"Backward hook returned an invalid number of grad_input, got {len(result)}, "
                        f"but expected {len(grad_input)}"
                    )
                grad_input = result
        return tuple(grad_input[i] for i in self.input_places)

    @staticmethod
    def _spread(grads, places, count):
        spread = [None] * count
        for i, grad in zip(places, grads, strict=True):
            spread[i] = grad
        return tuple(spread)
