"""SummaryWriter: event files for TensorBoard, written by the package tensorboard."""

from .writer import SummaryWriter

__all__ = ["SummaryWriter"]
