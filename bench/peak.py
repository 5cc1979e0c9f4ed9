"""The machine's limits, which every kernel is scored against: `python bench/peak.py` prints them as JSON.

FMA rate (GFLOP/s) of each instruction set and dtype at one thread and at all; copy bandwidth (GB/s, read and written
bytes counted) with ordinary and with streaming stores. They run on the thread pool that the kernels use.
"""

import argparse
import json

from fastnn import _cpu


def measure(threads: int | None = None, repeats: int = 10, megabytes: int = 256) -> dict:
    isa, before = _cpu.isa(), _cpu.get_num_threads()
    counts = sorted({1, threads or before})
    fma: dict = {}
    copy: dict = {}
    try:
        for name in _cpu.supported_isas():
            _cpu.set_isa(name)
            for n in counts:
                _cpu.set_num_threads(n)
                for dtype in ("float32", "float64", "bfloat16"):
                    rate = _cpu.peak_fma(dtype, 200_000, repeats)
                    if rate:
                        fma.setdefault(name, {}).setdefault(dtype, {})[n] = round(rate, 1)
        _cpu.set_isa(isa)
        for n in counts:
            _cpu.set_num_threads(n)
            rates = {s: _cpu.peak_copy(megabytes, s == "streaming", repeats) for s in ("temporal", "streaming")}
            copy[n] = {k: round(v, 1) for k, v in rates.items()} | {"best": round(max(rates.values()), 1)}
    finally:
        _cpu.set_isa(isa)
        _cpu.set_num_threads(before)
    return {"isa": isa, "threads": counts[-1], "fma_gflops": fma, "copy_gbytes": copy}


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--threads", type=int, help="the larger thread count (default: what fastnn uses)")
    parser.add_argument("--repeats", type=int, default=10)
    options = parser.parse_args()
    print(json.dumps(measure(options.threads, options.repeats), indent=2))
