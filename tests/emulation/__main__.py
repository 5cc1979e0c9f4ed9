"""python -m emulation script.py …: the script sees a device "cuda"."""

import runpy
import sys

import emulation

if len(sys.argv) < 2:
    sys.exit("usage: python -m emulation script.py [arguments]")
emulation.install()
sys.argv = sys.argv[1:]
runpy.run_path(sys.argv[0], run_name="__main__")
