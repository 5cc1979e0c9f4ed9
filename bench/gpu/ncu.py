"""Nsight Compute on the two worst ratios that the bench stage found: one launch of ours each, six metrics. Where the tool or
the results are absent, that is recorded, not failed."""

import csv
import glob
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

METRICS = {
    "us": "gpu__time_duration.sum",
    "dram_pct": "dram__throughput.avg.pct_of_peak_sustained_elapsed",
    "sm_pct": "sm__throughput.avg.pct_of_peak_sustained_elapsed",
    "warps_pct": "sm__warps_active.avg.pct_of_peak_sustained_active",
    "registers": "launch__registers_per_thread",
    "shared_bytes": "launch__shared_mem_per_block",
}


def worst(results, count=2):
    """(op, shape) of the lowest ratios in the file of results, an op once."""
    rows = [r for s in json.loads(Path(results).read_text())["stages"] for r in s["rows"] if "ratio" in r]
    found = {}
    for r in sorted(rows, key=lambda r: r["ratio"]):
        found.setdefault(r["op"], r["shape"])
    return list(found.items())[:count]


def values(output):
    """The metrics in ncu's raw page as CSV: a line of names, one of units, one a launch."""
    lines = [line for line in output.splitlines() if line.startswith('"')]
    rows = list(csv.DictReader(lines))[1:]
    if not rows:
        return None
    return {"kernel": rows[0].get("Kernel Name", "")[:80]} | {k: rows[0].get(m) for k, m in METRICS.items()}


def main():
    tool = shutil.which("ncu") or next(iter(sorted(glob.glob("/usr/local/cuda*/bin/ncu"))), None)
    results = os.environ.get("FASTNN_GPU_RESULTS", "")
    chosen = worst(results) if os.path.exists(results) else []
    if not tool or not chosen:
        print(json.dumps({"ncu": "absent" if not tool else "no measurement to look into"}))
        return
    script, failed = Path(__file__).with_name("compare.py"), False
    for op, shape in chosen:
        done = subprocess.run(
            [tool, "--clock-control", "none", "--profile-from-start", "off", "--launch-count", "1", "--csv", "--page", "raw",
             "--metrics", ",".join(METRICS.values()), sys.executable, script, "--only", op, shape],
            capture_output=True, text=True,
        )  # fmt: skip
        found = values(done.stdout)
        failed |= found is None
        print(
            json.dumps({"ncu": op, "shape": shape, **(found or {"error": (done.stdout + done.stderr)[-600:]})}),
            flush=True,
        )
    sys.exit(failed)


if __name__ == "__main__":
    main()
