#!/usr/bin/env bash
# The extension for the GPU at hand alone, beside the package's sources.
set -euo pipefail
cd "$(dirname "$0")/../.."
python=${PYTHON:-python3}
capability=$(nvidia-smi --query-gpu=compute_cap --format=csv,noheader | head -1 | tr -d '. ')
[ "$capability" = 90 ] && capability=90a
cmake -S . -B build/gpu -G Ninja -DFASTNN_CPU=OFF -DFASTNN_CUDA=ON "-DFASTNN_CUDA_ARCHITECTURES=$capability-real" \
  -DCMAKE_CUDA_FLAGS=-lineinfo -DPython_EXECUTABLE="$(command -v "$python")" \
  -DCMAKE_PREFIX_PATH="$("$python" -m pybind11 --cmakedir)"
ninja -C build/gpu -j "$(nproc)"
cp build/gpu/_cuda*.so python/fastnn/
