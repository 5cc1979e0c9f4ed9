"""What a child of `python -m fastnn run` finds as torch: puts fastnn in its place there too (see fastnn/_run.py)."""

import os
import sys

try:
    import fastnn._run as _run
except ImportError:  # the child's own path does not lead to fastnn: it is three folders above this file
    sys.path.append(os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))
    import fastnn._run as _run

_run.install()
_run.replace(__name__)
