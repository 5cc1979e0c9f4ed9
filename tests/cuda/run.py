"""Builds the CUDA kernels for the CPU, with the emulator of csrc/cuda/emu, and runs their native tests.

python tests/cuda/run.py                        # all of tests/cuda/test_*.cu, under every schedule
python tests/cuda/run.py --mode tsan softmax    # one program; ThreadSanitizer is the race check
python tests/cuda/run.py --mode asan            # AddressSanitizer and UBSan are the memory check

A test program is one file, tests/cuda/test_<op>.cu, which includes the kernel's own source ("cuda/<op>.cu").
"""

import argparse
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SCHEDULES = {
    "plain": "forward,reverse,random:1,random:2,random:3,random:4",
    "tsan": "forward,random:1",
    "asan": "forward,random:2",
}
# Of the kernels, of the engine (ThreadSanitizer must see the kernels' accesses alone), and of the kernels where one run
# of a few tests is all: what compiles fastest.
MODES = {
    "plain": ("-O2", "-O2", "-O0"),
    "tsan": ("-O1 -g -fsanitize=thread", "-O2 -g -DFASTNN_EMU_TSAN", "-O0 -g -fsanitize=thread"),
    "asan": (
        "-O0 -g -fsanitize=address,undefined -fno-sanitize-recover=undefined",
        "-O1 -g -fsanitize=address",
        "-O0 -g -fsanitize=address",
    ),
}
COMMON = "-Wall -Wextra -Wno-unknown-pragmas -std=c++17 -DFASTNN_EMU".split()
STANDARD = (
    "algorithm chrono cmath cstdio cstring functional limits math.h memory random stdexcept string type_traits vector"
)
ENVIRONMENT = {"TSAN_OPTIONS": "history_size=2 exitcode=66 halt_on_error=1", "ASAN_OPTIONS": "exitcode=66"}


def compiler():
    """The C++ compiler, or None."""
    return shutil.which(os.environ.get("CXX", "g++"))


def command(argv):
    done = subprocess.run(argv, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(" ".join(map(str, argv)) + "\n" + done.stdout + done.stderr)


def engine(mode, into, root=ROOT):
    """The emulator's objects, compiled once for each mode and content."""
    sources = sorted((root / "csrc/cuda/emu").glob("*.cpp"))
    headers = sorted((root / "csrc/cuda").glob("**/*.h"))
    digest = hashlib.sha256(b"".join(f.read_bytes() for f in sources + headers) + repr(MODES).encode()).hexdigest()[:12]
    objects = []
    for source in sources:
        target = into / f"{source.stem}-{mode}-{digest}.o"
        if not target.exists():
            flags = [*MODES[mode][1].split(), *COMMON, f"-I{root}/csrc"]
            command([compiler(), *flags, "-c", source, "-o", f"{target}.tmp"])
            os.replace(f"{target}.tmp", target)
        objects.append(target)
    return objects


def kernel_flags(mode, quick):
    flags = [*MODES[mode][2 if quick else 0].split(), *COMMON]
    return flags if mode == "plain" else [*flags, "-DFASTNN_ROW_SHARED=16384"]


def standard(mode, quick, into):
    """The standard library's headers, compiled once for each mode: every test program begins with them."""
    folder = into / f"standard-{mode}-{'quick' if quick else 'full'}"
    header = folder / "standard.h"
    if not (folder / "standard.h.gch").exists():
        folder.mkdir(exist_ok=True)
        header.write_text("".join(f"#include <{name}>\n" for name in STANDARD.split()))
        command([compiler(), *kernel_flags(mode, quick), "-x", "c++-header", header, "-o", f"{header}.tmp"])
        os.replace(f"{header}.tmp", f"{header}.gch")
    return header


def build(test, mode, into, root=ROOT, engine_from=None, quick=False):
    """Compiles one test program and returns its path. quick: what compiles fastest, for one run of a few tests."""
    target = into / f"{Path(test).stem}-{mode}"
    shared = engine_from or into
    flags = [*kernel_flags(mode, quick), "-include", standard(mode, quick, shared)]
    flags += [f"-I{root}/csrc", f"-I{root}/tests/cuda"]
    objects = engine(mode, shared, ROOT if engine_from else root)
    command([compiler(), *flags, "-x", "c++", test, "-x", "none", *objects, "-o", target])
    return target


def run(program, mode, schedules=None, only="", timeout=300):
    """Runs a test program: (exit status, output). A report of a sanitizer is a failure too."""
    schedules = schedules or SCHEDULES[mode]
    done = subprocess.run(
        [program, f"--schedule={schedules}", f"--only={only}"],
        capture_output=True,
        text=True,
        errors="replace",
        timeout=timeout,
        env={**os.environ, **ENVIRONMENT},
    )
    return done.returncode, done.stdout + done.stderr


def programs(names=()):
    found = sorted((ROOT / "tests/cuda").glob("test_*.cu"))
    return [f for f in found if not names or any(n == f.stem[5:] for n in names)]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", help="of ops: softmax for tests/cuda/test_softmax.cu")
    parser.add_argument("--mode", choices=MODES, default="plain")
    parser.add_argument("--schedules")
    parser.add_argument("--only", default="", help="tests whose name contains this")
    parser.add_argument("--jobs", type=int, default=os.cpu_count())
    parser.add_argument("--build", type=Path, help="keep objects and programs here")
    options = parser.parse_args()
    found = programs(options.names)
    if not found:
        sys.exit(f"no test program among tests/cuda/test_*.cu is named {options.names}")
    if options.build:
        options.build.mkdir(parents=True, exist_ok=True)
    failed = []
    with tempfile.TemporaryDirectory() as temporary, ThreadPoolExecutor(options.jobs) as pool:
        into = options.build or Path(temporary)
        engine(options.mode, into)
        standard(options.mode, False, into)

        def one(test):
            return run(build(test, options.mode, into), options.mode, options.schedules, options.only)

        for test, (status, output) in zip(found, pool.map(one, found), strict=True):
            print(f"== {test.name} ({options.mode}): {'FAILED' if status else 'ok'}")
            print(output if status else output.splitlines()[-1], flush=True)
            if status:
                failed.append(test.name)
    sys.exit(f"failed: {failed}" if failed else 0)


if __name__ == "__main__":
    main()
