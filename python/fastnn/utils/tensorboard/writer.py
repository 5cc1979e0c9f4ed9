"""SummaryWriter over tensorboard's own file writer."""

import os
import sys
import time
import types

from fastnn.backend import xp
from fastnn.tensor import Tensor

# tensorboard asks for TensorFlow, and does without where this module exists; under `python -m fastnn run` the name
# tensorflow is fastnn's, which has not what tensorboard looks for.
sys.modules.setdefault("tensorboard.compat.notf", types.ModuleType("tensorboard.compat.notf"))
try:
    from tensorboard.compat.proto.event_pb2 import Event
    from tensorboard.compat.proto.summary_pb2 import HistogramProto, Summary, SummaryMetadata
    from tensorboard.compat.proto.tensor_pb2 import TensorProto
    from tensorboard.compat.proto.tensor_shape_pb2 import TensorShapeProto
    from tensorboard.summary.writer.event_file_writer import EventFileWriter
except ImportError as error:
    raise ImportError(
        f"fastnn.utils.tensorboard needs the package tensorboard: pip install tensorboard ({error})"
    ) from None

__all__ = ["SummaryWriter"]


def _array(x):
    return x.detach().numpy() if isinstance(x, Tensor) else xp.asarray(x)


def _default_log_dir(comment: str) -> str:
    import datetime
    import socket

    now = datetime.datetime.now().strftime("%b%d_%H-%M-%S")
    return os.path.join("runs", f"{now}_{socket.gethostname()}{comment}")


def _histogram(values, bins):
    """The counts of `values` between limits that grow by a tenth, as TensorBoard's own."""
    values = xp.asarray(values, "float64").reshape(-1)
    if values.size == 0:
        raise ValueError("The input has no element.")
    if bins == "tensorflow":
        grown, v = [], 1e-12
        while v < 1e20:
            grown.append(v)
            v *= 1.1
        bins = [-x for x in grown[::-1]] + [0] + grown
    counts, limits = xp.histogram(values, bins)
    kept = [i for i, c in enumerate(counts) if c]
    first, last = (kept[0], kept[-1]) if kept else (0, 0)
    counts, limits = [0.0, *map(float, counts[first : last + 1])], [float(x) for x in limits[first : last + 2]]
    return HistogramProto(
        min=float(values.min()), max=float(values.max()), num=values.size, sum=float(values.sum()),
        sum_squares=float(values @ values), bucket_limit=limits, bucket=counts,
    )  # fmt: skip


def _png(image):
    """Summary.Image of height x width x channels, uint8."""
    import io

    from PIL import Image

    height, width, channels = image.shape
    buffer = io.BytesIO()
    Image.fromarray(image[:, :, 0] if channels == 1 else image).save(buffer, format="PNG")
    return Summary.Image(height=height, width=width, colorspace=channels, encoded_image_string=buffer.getvalue())


class SummaryWriter:
    """Writes scalars, histograms, images and text as events into a file under log_dir (default runs/DATE_HOST)."""

    def __init__(
        self, log_dir=None, comment="", purge_step=None, max_queue=10, flush_secs=120, filename_suffix=""
    ):  # fmt: skip
        self.log_dir = str(log_dir) if log_dir else _default_log_dir(comment)
        self._options = (max_queue, flush_secs, filename_suffix)
        self._writers: dict = {}
        self._write(None, purge_step)

    def get_logdir(self) -> str:
        """The folder of the event file."""
        return self.log_dir

    def _writer(self, folder):
        if folder not in self._writers:
            queue, flush, suffix = self._options
            self._writers[folder] = EventFileWriter(folder, queue, flush, suffix)
        return self._writers[folder]

    def _write(self, summary, step=None, walltime=None, folder=None):
        event = Event(wall_time=time.time() if walltime is None else walltime)
        if summary is not None:
            event.summary.CopyFrom(summary)
        if step is not None:
            event.step = int(step)
        self._writer(folder or self.log_dir).add_event(event)

    def add_scalar(self, tag, scalar_value, global_step=None, walltime=None, new_style=False, double_precision=False):
        """One number."""
        value = Summary.Value(tag=tag, simple_value=float(scalar_value))
        self._write(Summary(value=[value]), global_step, walltime)

    def add_scalars(self, main_tag, tag_scalar_dict, global_step=None, walltime=None):
        """Several numbers in one chart, each in a folder of its own."""
        for tag, scalar in tag_scalar_dict.items():
            folder = os.path.join(self.log_dir, f"{main_tag}_{tag}".replace("/", "_"))
            value = Summary.Value(tag=main_tag, simple_value=float(scalar))
            self._write(Summary(value=[value]), global_step, walltime, folder)

    def add_histogram(self, tag, values, global_step=None, bins="tensorflow", walltime=None, max_bins=None):
        """The distribution of the values of a tensor."""
        histo = _histogram(_array(values), bins)
        self._write(Summary(value=[Summary.Value(tag=tag, histo=histo)]), global_step, walltime)

    def add_image(self, tag, img_tensor, global_step=None, walltime=None, dataformats="CHW"):
        """An image: uint8, or floating point in [0, 1]; dataformats names the dimensions."""
        image = _array(img_tensor)
        if sorted(dataformats.upper()) not in (["C", "H", "W"], ["H", "W"]) or image.ndim != len(dataformats):
            raise ValueError(f"add_image: a tensor of shape {image.shape} with dataformats={dataformats!r}")
        order = [dataformats.upper().index(c) for c in "HWC" if c in dataformats.upper()]
        image = image.transpose(order)
        if image.ndim == 2:
            image = image[:, :, None]
        if image.dtype.name != "uint8":
            image = (image * 255).clip(0, 255).astype("uint8")
        self._write(Summary(value=[Summary.Value(tag=tag, image=_png(image))]), global_step, walltime)

    def add_images(self, tag, img_tensor, global_step=None, walltime=None, dataformats="NCHW"):
        """A batch of images as one grid."""
        images = _array(img_tensor)
        if dataformats.upper() != "NCHW":
            images = images.transpose([dataformats.upper().index(c) for c in "NCHW"])
        from fastnn import from_numpy
        from fastnn.vision.utils import make_grid

        grid = make_grid(from_numpy(images), nrow=max(1, int(len(images) ** 0.5)), padding=0)
        self.add_image(tag, grid, global_step, walltime)

    def add_figure(self, tag, figure, global_step=None, close=True, walltime=None):
        """A matplotlib figure."""
        figure.canvas.draw()
        self.add_image(tag, xp.asarray(figure.canvas.buffer_rgba())[:, :, :3], global_step, walltime, "HWC")
        if close:
            import matplotlib.pyplot as plt

            plt.close(figure)

    def add_text(self, tag, text_string, global_step=None, walltime=None):
        """Text in Markdown."""
        plugin = SummaryMetadata.PluginData(plugin_name="text")
        shape = TensorShapeProto(dim=[TensorShapeProto.Dim(size=1)])
        tensor = TensorProto(dtype="DT_STRING", string_val=[text_string.encode()], tensor_shape=shape)
        metadata = SummaryMetadata(plugin_data=plugin)
        value = Summary.Value(tag=f"{tag}/text_summary", metadata=metadata, tensor=tensor)
        self._write(Summary(value=[value]), global_step, walltime)

    def flush(self):
        """Bring everything to disk."""
        for writer in self._writers.values():
            writer.flush()

    def close(self):
        """Flush and close."""
        for writer in self._writers.values():
            writer.flush()
            writer.close()
        self._writers.clear()

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.close()
