"""The stages of bench/gpu/run.sh: each is a process with a limit of its own, and the results are written after each, so
that a stage which hangs or fails loses itself alone."""

import argparse
import json
import os
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
HERE = ROOT / "bench/gpu"
STAGES = {  # seconds (560 in all), command
    "env": (30, [sys.executable, HERE / "env.py"]),
    "build": (140, ["bash", HERE / "build.sh"]),
    "conformance": (30, [sys.executable, HERE / "conformance.py"]),
    "correctness": (
        100,
        [sys.executable, "-m", "pytest", "-q", "--maxfail=20", "-p", "no:cacheprovider", "tests/test_cuda_device.py",
         "tests/test_cuda_random.py", "tests/test_kernels.py", "-k", "cuda"],
    ),
    "sanitizer": (75, ["bash", HERE / "sanitizer.sh"]),
    "bench": (150, [sys.executable, HERE / "compare.py"]),
    "ncu": (35, [sys.executable, HERE / "ncu.py"]),
}  # fmt: skip


def parsed(output):
    """The JSON objects that a stage printed, one a line."""
    found = []
    for line in output.splitlines():
        if line.startswith("{"):
            try:
                found.append(json.loads(line))
            except ValueError:
                pass
    return found


def run(name, limit, command, environment):
    begin = time.monotonic()
    process = subprocess.Popen(
        [str(c) for c in command], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace", cwd=ROOT,
        env=environment, start_new_session=True,
    )  # fmt: skip
    try:
        output, _ = process.communicate(timeout=limit)
        status = "ok" if process.returncode == 0 else f"failed ({process.returncode})"
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, 9)
        output, _ = process.communicate()
        status = f"stopped after {limit:.0f} s"
    return {
        "stage": name, "status": status, "seconds": round(time.monotonic() - begin, 1), "rows": parsed(output),
        "tail": output[-3000:],
    }  # fmt: skip


def table(result):
    rows = [r for s in result["stages"] for r in s["rows"] if "ratio" in r]
    for r in sorted(rows, key=lambda r: r["ratio"]):
        rate = f"{r['tflops']:8.1f} TFLOP/s" if "tflops" in r else f"{r['gbps']:8.0f} GB/s"
        print(f"{r['ratio']:6.2f}  {r['op']:28} {r['shape']:24} {r['dtype']:9} {r['ours_us']:10.1f} µs {rate}")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--budget", type=float, default=560)
    parser.add_argument("--out", type=Path, default=ROOT / "bench/results")
    parser.add_argument("--stages", default=",".join(STAGES))
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    git = subprocess.run(["git", "rev-parse", "--short", "HEAD"], cwd=ROOT, capture_output=True, text=True)
    result = {"sha": git.stdout.strip(), "date": time.strftime("%Y-%m-%d %H:%M:%S"), "stages": []}
    file = options.out / f"gpu-{time.strftime('%Y%m%d-%H%M%S')}.json"
    end = time.monotonic() + options.budget
    for name in options.stages.split(","):
        limit, command = STAGES[name]
        left = end - time.monotonic()
        if left < 5:
            stage = {"stage": name, "status": "no time left", "seconds": 0, "rows": [], "tail": ""}
        else:
            stage = run(name, min(limit, left), command, {**os.environ, "FASTNN_GPU_RESULTS": str(file.resolve())})
        result["stages"].append(stage)
        file.write_text(json.dumps(result, indent=1))
        print(f"== {name}: {stage['status']}, {stage['seconds']} s, {len(stage['rows'])} rows", flush=True)
        if stage["status"] != "ok":
            print(stage["tail"][-1500:], flush=True)
    table(result)
    print(file)
    sys.exit(any(s["status"] != "ok" for s in result["stages"]))


if __name__ == "__main__":
    main()
