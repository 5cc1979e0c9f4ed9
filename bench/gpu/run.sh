#!/usr/bin/env bash
# One call that builds the CUDA kernels, checks them and measures them on the GPU at hand; at most 560 s, no network.
#   bash bench/gpu/run.sh [--budget 560] [--out DIRECTORY] [--stages env,build,...]
# Needs Python with CuPy, pybind11, cmake and ninja, nvcc; torch for the comparisons. Results: bench/results/gpu-*.json.
set -euo pipefail
cd "$(dirname "$0")/../.."
export PYTHONUNBUFFERED=1 PYTHONPATH="$PWD/python:$PWD/tests${PYTHONPATH:+:$PYTHONPATH}"
exec "${PYTHON:-python3}" bench/gpu/run.py "$@"
