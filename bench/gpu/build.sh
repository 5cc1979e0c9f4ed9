#!/usr/bin/env bash
# The extension for the GPU at hand alone, beside the package's sources.
set -euo pipefail
cd "$(dirname "$0")/../.."
python=${PYTHON:-python3}
command -v nvcc > /dev/null || PATH=$PATH:/usr/local/cuda/bin
command -v nvcc > /dev/null || { echo "nvcc is neither on PATH nor in /usr/local/cuda/bin" >&2; exit 1; }
command -v nvidia-smi > /dev/null || { echo "nvidia-smi was not found: is there a GPU, and its driver?" >&2; exit 1; }
capability=$(nvidia-smi --query-gpu=compute_cap --format=csv,noheader | head -1 | tr -d '. ')
[ "$capability" = 90 ] && capability=90a
cmake -S . -B build/gpu -G Ninja -DFASTNN_CPU=OFF -DFASTNN_CUDA=ON "-DFASTNN_CUDA_ARCHITECTURES=$capability-real" \
  -DCMAKE_CUDA_FLAGS=-lineinfo -DPython_EXECUTABLE="$(command -v "$python")" \
  -DCMAKE_PREFIX_PATH="$("$python" -m pybind11 --cmakedir)"
ninja -C build/gpu -j "$(nproc)"
cp build/gpu/_cuda*.so python/fastnn/
