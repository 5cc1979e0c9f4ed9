"""What machine this is, and its ceilings: copy bandwidth, cuBLAS on random data, an empty launch."""

import json
import platform
import subprocess
import sys

try:
    import cupy as cp
except ModuleNotFoundError:
    sys.exit("CuPy is not installed: pip install '.[cuda13]'")


def timed(f, n=20):
    """Seconds of one call: the median over n, by events."""
    f()
    times = []
    for _ in range(n):
        a, b = cp.cuda.Event(), cp.cuda.Event()
        a.record()
        f()
        b.record()
        b.synchronize()
        times.append(cp.cuda.get_elapsed_time(a, b) / 1e3)
    return sorted(times)[n // 2]


def main():
    query = ["nvidia-smi", "--query-gpu=name,driver_version,clocks.sm,clocks.mem,memory.total", "--format=csv,noheader"]
    found = {
        "gpu": subprocess.run(query, capture_output=True, text=True).stdout.strip(),
        "python": platform.python_version(),
    }
    found |= {"cupy": cp.__version__, "runtime": cp.cuda.runtime.runtimeGetVersion()}
    try:
        import torch

        found["torch"] = torch.__version__
    except ImportError:
        found["torch"] = None
    print(json.dumps(found), flush=True)
    x = cp.random.random(1 << 28, dtype=cp.float32)  # 1 GB
    y = cp.empty_like(x)
    print(json.dumps({"ceiling": "copy", "gbps": 2 * x.nbytes / timed(lambda: cp.copyto(y, x)) / 1e9}), flush=True)
    x = y = None
    for dtype, n in (("float32", 4096), ("float16", 8192)):
        a, b = (cp.random.standard_normal((n, n)).astype(dtype) for _ in range(2))
        print(
            json.dumps({"ceiling": f"cublas {dtype} {n}", "tflops": 2 * n**3 / timed(lambda a=a, b=b: a @ b) / 1e12}),
            flush=True,
        )
    print(json.dumps({"ceiling": "launch", "us": timed(lambda: cp.empty(1)[...].fill(0)) * 1e6}), flush=True)


if __name__ == "__main__":
    main()
