"""Model and Sequential; saving and loading them."""

import fastnn

from . import layers as _layers
from ._training import Trainer
from .layers import InputLayer, Layer

__all__ = ["Model", "Sequential", "clone_model", "load_model"]


class Model(Trainer, Layer):
    """A layer that can be trained: a subclass makes its layers in __init__ and uses them in call(inputs)."""

    @property
    def layers(self) -> list:
        """The layers, in the order in which they were set."""
        return [m for m in self.children() if isinstance(m, Layer)]

    def get_layer(self, name=None, index=None):
        """A layer by name or place."""
        if index is not None:
            return self.layers[index]
        for layer in self.layers:
            if layer.name == name:
                return layer
        raise ValueError(f"No such layer: {name}. Existing layers are: {[layer.name for layer in self.layers]}.")

    def build(self, input_shape) -> None:
        """Make all weights by running zeros of that shape (batch first, None for open sizes) through."""
        if input_shape is not None:
            _shape_after(self.call, input_shape)

    # ---- weights to files ----

    def save_weights(self, filepath, overwrite=True) -> None:
        """get_weights() as a file of fastnn.save."""
        weights = [fastnn.from_numpy(w) for w in self.get_weights()]
        fastnn.save({"format": "fastnn.keras weights 1", "weights": weights}, filepath)

    def load_weights(self, filepath) -> None:
        """Take what save_weights, or save, wrote."""
        saved = fastnn.load(filepath)
        if not isinstance(saved, dict) or "weights" not in saved:
            raise ValueError(f"load_weights: {filepath} holds no weights of fastnn.keras")
        self.set_weights([w.numpy() for w in saved["weights"]])

    def save(self, filepath, overwrite=True) -> None:
        """Layers, weights and what compile was told, as a file that load_model reads (not Keras's own format)."""
        raise NotImplementedError(
            f"save: {type(self).__name__} is a class of one's own; save_weights keeps its weights"
        )

    # ---- printing ----

    def summary(self, line_length=None, print_fn=print) -> None:
        """Print layers, output shapes and numbers of parameters."""
        if not self.built:
            raise ValueError(f"{type(self).__name__}: no shapes yet; give input_shape, or call the model once")
        rows = [
            (f"{layer.name} ({type(layer).__name__})", _shape_text(layer.output_shape), f"{layer.count_params():,}")
            for layer in self.layers
        ]
        head = ("Layer (type)", "Output Shape", "Param #")
        widths = [max(len(row[i]) for row in (head, *rows)) + 2 for i in range(3)]

        def line(left, fill, middle, right):
            return left + middle.join(fill * (w + 2) for w in widths) + right

        def cells(row, side):
            texts = [row[0].ljust(widths[0]), row[1].ljust(widths[1]), row[2].rjust(widths[2])]
            return side + side.join(f" {t} " for t in texts) + side

        print_fn(f'Model: "{self.name}"')
        print_fn(line("┏", "━", "┳", "┓"))
        print_fn(cells(head, "┃"))
        print_fn(line("┡", "━", "╇", "┩"))
        for i, row in enumerate(rows):
            if i:
                print_fn(line("├", "─", "┼", "┤"))
            print_fn(cells(row, "│"))
        print_fn(line("└", "─", "┴", "┘"))
        total = self.count_params()
        trained = sum(p.numel() for p in self.trainable_weights) - self._doubled()
        for name, count in (("Total", total), ("Trainable", trained), ("Non-trainable", total - trained)):
            print_fn(f" {name} params: {count:,} ({_bytes_text(4 * count)})")

    def _doubled(self) -> int:
        """Biases of torch's recurrent cells, which have two where Keras has one."""
        doubled = 0
        for module in self.modules():
            if isinstance(module, _layers.recurrent._Recurrent) and module.built:
                held = sum(p.numel() for p in module.cell.parameters() if p.requires_grad)
                doubled += held - module.count_params() if held else 0
        return doubled

    def count_params(self) -> int:
        return sum(layer.count_params() for layer in self.layers)

    def get_weights(self) -> list:
        return [w for layer in self.layers for w in layer.get_weights()]

    def set_weights(self, weights) -> None:
        counts = [len(layer.get_weights()) for layer in self.layers]
        if sum(counts) != len(weights):
            raise ValueError(
                f"You called `set_weights(weights)` on layer '{self.name}' with a weight list of length {len(weights)}, "
                f"but the layer was expecting {sum(counts)} weights."
            )
        start = 0
        for layer, n in zip(self.layers, counts, strict=True):
            layer.set_weights(weights[start : start + n])
            start += n


def _shape_text(shape) -> str:
    return "?" if shape is None else str(tuple(shape))


def _bytes_text(n: float) -> str:
    for unit in ("B", "KB", "MB"):
        if n < 1024:
            return f"{n:.2f} {unit}"
        n /= 1024
    return f"{n:.2f} GB"


def _shape_after(function, shape) -> tuple:
    """The shape of function's result for inputs of `shape`; None where it changes with the open sizes."""
    found = []
    with fastnn.no_grad():
        for size in (2, 3):
            x = fastnn.zeros([size if n is None else n for n in shape])
            out = function(x)
            out = out[0] if isinstance(out, (tuple, list)) else out
            found.append(tuple(out.shape))
    return tuple(a if a == b else None for a, b in zip(*found, strict=True))


class Sequential(Model):
    """Layers, one after another: Sequential([...]) or add(). With an input_shape on the first one, weights are made at
    once, else when data first comes."""

    def __init__(self, layers=None, trainable=True, name=None):
        super().__init__(trainable=trainable, name=name)
        for layer in layers or ():
            self.add(layer)

    def add(self, layer) -> None:
        """One more layer at the end."""
        if not isinstance(layer, Layer):
            raise ValueError(f"Only instances of `keras.Layer` can be added to a Sequential model. Received: {layer} "
                             f"(of type {type(layer)})")  # fmt: skip
        if any(layer.name == other.name for other in self._modules.values()):
            raise ValueError(f"All layers added to a Sequential model should have unique names. Name '{layer.name}' is "
                             "already the name of a layer in this model.")  # fmt: skip
        shape = self.output_shape if self._modules else None
        if isinstance(layer, InputLayer):
            if self._modules or self._given_shape is not None:
                raise ValueError(f"Sequential model '{self.name}' has already been configured to use input shape "
                                 f"{self._given_shape}.")  # fmt: skip
            self._given_shape = layer._given_shape
            self.output_shape = (None, *layer._given_shape)
            return
        if not self._modules:
            given = self._given_shape if self._given_shape is not None else layer._given_shape
            if given is not None:
                self._given_shape, shape = given, (None, *given)
        self.add_module(layer.name, layer)
        if shape is not None:
            self._append_shape(layer, shape)

    def _append_shape(self, layer, shape) -> None:
        training = layer.training
        layer.train(False)
        if not layer.built:
            layer._build(shape)
        layer.output_shape = self.output_shape = _shape_after(layer, shape)
        layer.train(training)
        self.input_shape = (None, *self._given_shape) if self._given_shape is not None else self.layers[0].input_shape
        self.built = True

    def pop(self):
        """Take the last layer out."""
        if not self._modules:
            raise TypeError("There are no layers in the model.")
        name = next(reversed(self._modules))
        layer = self._modules[name]
        del self._modules[name]
        self.output_shape = self.layers[-1].output_shape if self._modules else None
        return layer

    def build(self, input_shape=None) -> None:
        if input_shape is None:
            raise ValueError("Sequential: build needs the shape of the input, batch first")
        shape = (None, *input_shape[1:])
        self._given_shape = shape[1:]
        for layer in self.layers:
            self._append_shape(layer, shape)
            shape = layer.output_shape

    def call(self, inputs):
        x = inputs
        for layer in self._modules.values():
            x = layer(x)
        return x

    def get_config(self) -> dict:
        layers = [{"class_name": type(layer).__name__, "config": layer.get_config()} for layer in self.layers]
        return {"name": self.name, "input_shape": self._given_shape, "layers": layers}

    @classmethod
    def from_config(cls, config: dict):
        model = cls(name=config.get("name"))
        if config.get("input_shape") is not None:
            model.add(InputLayer(tuple(config["input_shape"])))
        for entry in config["layers"]:
            kind = getattr(_layers, entry["class_name"], None)
            if not (isinstance(kind, type) and issubclass(kind, Layer)):
                raise ValueError(f"Sequential.from_config: unknown layer {entry['class_name']!r}")
            inner = {k: v for k, v in entry["config"].items() if k != "input_shape"}
            model.add(kind.from_config(inner))
        return model

    def save(self, filepath, overwrite=True) -> None:
        for layer in self.layers:
            if getattr(_layers, type(layer).__name__, None) is not type(layer):
                raise NotImplementedError(f"save: {type(layer).__name__} is no layer of fastnn.keras; use save_weights")
        fastnn.save(
            {
                "format": "fastnn.keras model 1",
                "config": self.get_config(),
                "weights": [fastnn.from_numpy(w) for w in self.get_weights()],
                "training": self._compile_config(),
            },
            filepath,
        )


def load_model(filepath, custom_objects=None, compile=True):
    """The model that save wrote: layers, weights, and (compile) its optimizer, loss and metrics by name."""
    saved = fastnn.load(filepath)
    if not isinstance(saved, dict) or saved.get("format") != "fastnn.keras model 1":
        raise ValueError(f"load_model: {filepath} is not a model that fastnn.keras saved")
    model = Sequential.from_config(saved["config"])
    model.set_weights([w.numpy() for w in saved["weights"]])
    if compile and saved["training"] is not None:
        model._compile_from(saved["training"])
    return model


def clone_model(model):
    """The same layers with new weights."""
    return type(model).from_config(model.get_config())
