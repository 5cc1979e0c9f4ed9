"""As torch.py beside it, for a child that imports keras first."""

import torch  # noqa: F401  (installs the finder)

import fastnn._run as _run

_run.replace(__name__)
