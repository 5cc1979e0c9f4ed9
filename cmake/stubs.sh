#!/usr/bin/env bash
# Writes python/fastnn/_cpu.pyi from the module that the given Python (with pybind11-stubgen and ruff) imports:
#   bash cmake/stubs.sh .venv/bin/python
# With --check it writes nothing and fails when the file is out of date.
set -euo pipefail
cd "$(dirname "$0")/.."
python=${1:?usage: stubs.sh PYTHON [--check]}
out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT
"$python" -m pybind11_stubgen fastnn._cpu -o "$out" --numpy-array-use-type-var > "$out/log" 2>&1 || { cat "$out/log"; exit 1; }
stub=$out/fastnn/_cpu.pyi
# The generator drops the slash of a plain C function's signature.
sed -i -e 's|^def empty(shape, dtype)|def empty(shape, dtype, /)|' -e '/^__all__.*]$/d' -e '/^__all__/,/^]/d' "$stub"  # the module itself has none
"$python" -m ruff format -q --config pyproject.toml "$stub"
if [ "${2:-}" = --check ]; then
  diff -u python/fastnn/_cpu.pyi "$stub" || { echo "python/fastnn/_cpu.pyi is out of date: bash cmake/stubs.sh PYTHON"; exit 1; }
else
  cp "$stub" python/fastnn/_cpu.pyi
fi
