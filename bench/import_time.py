"""How much longer `import fastnn` takes than `import numpy`: medians of 11 fresh processes, in milliseconds.

    python bench/import_time.py

Byte code comes from a cache, as an installed package has it.
"""

import os
import statistics
import subprocess
import sys
import tempfile


def measure(name: str, cache: str) -> float:
    code = f"import time; t = time.perf_counter(); import {name}; print(time.perf_counter() - t)"
    env = {**os.environ, "PYTHONPYCACHEPREFIX": cache, "PYTHONDONTWRITEBYTECODE": ""}
    return float(subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, check=True, cwd="/").stdout)


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as cache:
        measure("fastnn", cache)
        pairs = [(measure("numpy", cache), measure("fastnn", cache)) for _ in range(11)]
    numpy, ours = (1e3 * statistics.median(p) for p in zip(*pairs, strict=True))
    print(f"import numpy {numpy:.1f} ms, import fastnn {ours:.1f} ms, difference {ours - numpy:.1f} ms")
