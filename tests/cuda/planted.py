"""Plants bugs in the CUDA kernels, one at a time, and checks that the tests notice: the gates' own test.

python tests/cuda/planted.py                # every bug; fails if one gets through, or no longer applies
python tests/cuda/planted.py gemm_wgmma     # those of one kernel file, or whose name contains the word

A bug is a replacement in a kernel's source (the text must be there, once, so that the list cannot rot), the test program
and tests that must fail, and the gate that must catch it: values ("plain"), races ("tsan") or memory ("asan").
"""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

sys.path.insert(0, str(Path(__file__).parent))
import planted_memory
import run as native


class Bug(NamedTuple):
    name: str
    file: str  # below csrc/cuda, or a test program
    old: str
    new: str
    test: str  # tests/cuda/test_<test>.cu
    only: str  # its tests whose names contain this
    mode: str
    report: str = ""  # what the output must contain, where any failure will not do


BUGS = [
    # ---- the order of look-ups ----
    Bug("order: a tile is overwritten while it is read", "embedding.cu", "__syncthreads();  // the tile before has been read",
        "// the tile before has been read", "embedding", "order_of_look_ups", "tsan", "data race"),
    Bug("order: equal ids change places", "embedding.cu", "begin + k < i", "begin + k > i", "embedding",
        "order_of_look_ups", "plain"),
    # ---- GEMM: naive and tiled ----
    Bug("naive: a row too many", "gemm.cu", "row >= p.m ||", "row > p.m ||", "gemm", "naive_f32", "asan"),
    Bug(
        "tiled: no barrier before the tile is overwritten",
        "gemm.cu",
        "bs[k][x];\n      __syncthreads();",
        "bs[k][x];",
        "gemm",
        "tiled_f64",
        "tsan",
        "data race",
    ),
    Bug("tiled: the ragged end of k is read", "gemm.cu", "row0 + ar < p.m && k0 + ak < p.k", "row0 + ar < p.m", "gemm",
        "tiled_f32", "asan"),
    # ---- GEMM: warp-tiled ----
    Bug("warptiled: the next step overwrites this one", "gemm_warptiled.cu", "tiles + ((s + 1) & 1) * kBuffer",
        "tiles + (s & 1) * kBuffer", "gemm", "warptiled_f32", "plain"),
    Bug("warptiled: the columns of another lane", "gemm_warptiled.cu", "lane % 4 * V;", "lane / 8 * V;", "gemm",
        "warptiled_f32", "plain"),
    Bug("warptiled: a vector of a ragged row is stored whole", "gemm_warptiled.cu", "col + V <= p.n", "col < p.n",
        "gemm", "warptiled_f32", "plain"),
    Bug("warptiled: a pass overwrites rows that are still read", "gemm_warptiled.cu",
        "finish<T>(p, v[l], z, r, col + l, to + l);\n        }\n      }\n      __syncthreads();",
        "finish<T>(p, v[l], z, r, col + l, to + l);\n        }\n      }", "gemm", "warptiled_f32_large", "tsan",
        "data race"),
    # ---- GEMM: mma.sync ----
    Bug("mma: bfloat16 read as float16", "gemm_mma.cu", "return mma_run<bf16>", "return mma_run<f16>", "gemm_mma",
        "mma_bf16_layouts", "plain"),
    Bug("mma: multiplies before its copies have landed", "gemm_mma.h", "cp_async_wait<kMmaStages - 2>",
        "cp_async_wait<kMmaStages - 1>", "gemm_mma", "mma_bf16_layouts", "plain"),
    Bug("mma: no barrier between the copies and their readers", "gemm_mma.h",
        "__syncthreads();  // stage s is there for all", "// stage s is there for all", "gemm_mma", "mma_bf16_layouts",
        "tsan", "data race"),
    Bug("mma: two of A's matrices swapped", "gemm_mma.h", "lane / 16 * 8 + lane % 8, row / 8 + lane / 8 % 2",
        "lane / 8 % 2 * 8 + lane % 8, row / 8 + lane / 16", "gemm_mma", "mma_bf16_layouts", "plain"),
    Bug("mma: copies beyond the ragged end of k", "gemm_mma.h", "bool valid = row < rows && k < ks;",
        "bool valid = row < rows;", "gemm_mma", "mma_bf16_layouts", "asan"),
    Bug("mma: 16 bytes from an address that is no multiple", "gemm_mma.h", "bool whole = p.a_vector && p.b_vector &&",
        "bool whole = (p.a_vector || p.a_cs == 1) && (p.b_vector || p.b_rs == 1) &&", "gemm_mma", "auto_takes|mma_bf16",
        "plain", "misaligned"),
    Bug("3xtf32: the low part is lost", "gemm_mma.h", "term == 1 ? y_low[j / 2] : y[j / 2]", "y[j / 2]", "gemm_3xtf32",
        "low_parts", "plain"),
    Bug("3xtf32: an infinite operand makes NaN", "gemm_mma.h", "!(fabsf(from[l]) <= 3.402823466e38f)",
        "fabsf(from[l]) > 3.402823466e38f", "gemm_3xtf32", "infinities", "plain"),
    Bug("3xtf32: rows beyond the last are summed", "gemm_mma.h",
        "3.402823466e38f) && r < p.m && col + l < p.n", "3.402823466e38f) && r <= p.m", "gemm_3xtf32", "infinities",
        "asan"),
    Bug("3xtf32: other dtypes are let in", "gemm_3xtf32.cu", "if (dtype != Dtype::F32)", "if (dtype == Dtype::I32)",
        "gemm_3xtf32", "automatic", "plain"),
    # ---- GEMM: TMA and wgmma ----
    Bug("wgmma: no wait for an empty stage", "wgmma_ring.h", "mbarrier_wait(&empty[stage], phase ^ 1);", "",
        "gemm_wgmma", "long_sums", "tsan"),
    Bug("wgmma: 16 bytes more expected than come", "wgmma_ring.h", "mbarrier_arrive_expect(&full[stage], stage_bytes)",
        "mbarrier_arrive_expect(&full[stage], stage_bytes + 16)", "gemm_wgmma", "long_sums", "plain", "deadlock"),
    Bug("wgmma: a wrong advance along k", "wgmma_ring.h", "a + k * (kAlongA ? 2 : 128)", "a + k * (kAlongA ? 4 : 128)",
        "gemm_wgmma", "long_sums", "plain"),
    Bug("wgmma: a stage given back before it has been read", "wgmma_ring.h",
        "wgmma_wait<1>();\n        if (lane == 0) mbarrier_arrive(&empty[before]);",
        "if (lane == 0) mbarrier_arrive(&empty[before]);\n        wgmma_wait<1>();", "gemm_wgmma", "long_sums", "tsan"),
    Bug("wgmma: the first stage is not waited for", "wgmma_ring.h", "mbarrier_wait(&full[stage], phase);",
        "if (s > 0) mbarrier_wait(&full[stage], phase);", "gemm_wgmma", "long_sums", "plain"),
    Bug("wgmma: the sums are read in flight", "wgmma_ring.h", "wgmma_wait<0>();", "", "gemm_wgmma", "long_sums",
        "plain"),
    Bug("wgmma: barriers used before they are there", "wgmma_ring.h", "      mbarrier_fence_init();\n    }\n    __syncthreads();",
        "      mbarrier_fence_init();\n    }", "gemm_wgmma", "wgmma_f16", "tsan"),
    Bug("wgmma: one arrival a warpgroup where one a warp comes", "wgmma_ring.h", "kConsumers * 4);  // one",
        "kConsumers);  // one", "gemm_wgmma", "long_sums", "tsan"),
    Bug("wgmma: 64 columns too near, across k", "wgmma_ring.h", "wgmma_descriptor(at + a_bytes, kBox, 1024)",
        "wgmma_descriptor(at + a_bytes, kBox / 2, 1024)", "gemm_wgmma", "wgmma_bf16_layouts", "plain"),
    Bug("wgmma: lanes read what others are still writing", "gemm_wgmma.cu",
        "        __syncwarp();\n#pragma unroll 1", "#pragma unroll 1", "gemm_wgmma", "wgmma_f16", "tsan", "data race"),
    # ---- convolution ----
    Bug("conv: the row below the image", "conv2d.cu", "h < g.H && d >= 0", "h <= g.H && d >= 0", "conv2d",
        "conv_padded", "plain"),
    Bug("conv: positions between the strides", "conv2d.cu", "p < 0 || p % g.stride_h ||", "p < 0 ||", "conv2d",
        "conv_strided_uneven", "plain"),
    Bug("conv: dw of earlier images is lost", "conv2d.cu", "first ? A(0) : total[i]", "A(0)", "conv2d", "conv_16_bits",
        "plain"),
    Bug("conv: an element of dw too many", "conv2d.cu", "if (i >= n) return;", "if (i > n) return;", "conv2d",
        "conv_plain", "asan", "AddressSanitizer"),
    Bug("implicit: multiplies before its copies have landed", "conv2d_mma.cu", "cp_async_wait<kConvStages - 2>",
        "cp_async_wait<kConvStages - 1>", "conv2d_implicit", "bf16_last", "plain"),
    Bug("implicit: no barrier between the copies and their readers", "conv2d_mma.cu",
        "__syncthreads();  // stage s is there for all", "// stage s is there for all", "conv2d_implicit", "bf16_last",
        "tsan", "data race"),
    Bug("implicit: a tap's carry is lost", "conv2d_tile.h", "a.mid -= mids, ++a.high;", "a.mid -= mids;",
        "conv2d_implicit", "bf16_last", "plain"),
    Bug("implicit: taps that reach no pixel of the sub-problem", "conv2d_implicit.cu",
        "p.stride_h / gcd(p.stride_h, p.dilation_h)", "p.stride_h", "conv2d_implicit", "dilated", "plain"),
    Bug("implicit: a tile is turned before it is there", "conv2d_layout.cu", "    __syncthreads();\n#pragma unroll",
        "#pragma unroll", "conv2d_implicit", "bf16_padded", "tsan", "data race"),
    Bug("conv wgmma: no wait for an empty stage", "wgmma_ring.h", "mbarrier_wait(&empty[stage], phase ^ 1);", "",
        "conv2d_wgmma", "strided", "tsan"),
    Bug("conv wgmma: the window of another tap", "conv2d_wgmma.cu", "wh.first + r * wh.first_step", "r * wh.first_step",
        "conv2d_wgmma", "strided", "plain"),
    Bug("conv wgmma: pixels behind the padding's edge", "conv2d_wgmma.cu", "(w.count - 1) * w.step - (size - 1), -back",
        "w.count * w.step - (size - 1), -back", "conv2d_wgmma", "strided", "plain"),
    Bug("depthwise: rows between the strides", "conv2d_depthwise.cu", "if (a % p.stride_h) continue;", "",
        "conv2d_depthwise", "strided", "plain"),
    Bug("depthwise: threads' sums are read too early", "conv2d_depthwise.cu",
        "          __syncthreads();\n          if (threadIdx.x < half)", "          if (threadIdx.x < half)",
        "conv2d_depthwise", "depthwise_many", "tsan", "data race"),
    # ---- recurrent layers ----
    Bug("rnn: a step begins before the grid has ended the last one", "rnn.cu",
        "G, H, units);\n      grid_barrier(counter);\n", "G, H, units);\n", "rnn", "persistent_f32", "tsan", "data race"),
    Bug("rnn: sequences that start late have no h0", "rnn.cu",
        "operand[operand_at<T>(p, j, b)] = operand[p.operand + operand_at<T>(p, j, b)] = h;",
        "operand[operand_at<T>(p, j, b)] = h;", "rnn", "persistent_packed", "plain"),
    Bug("rnn: halves of a chunk do not meet", "rnn_persistent.h", "{b[j][2 * h], b[j][2 * h + 1]}",
        "{b[j][2 * h], b[j][3 - 2 * h]}", "rnn", "persistent_16_bits", "plain"),
    Bug("rnn: weights beyond the last", "rnn_persistent.h", "row < p.rows && k + i < depth", "row < p.rows", "rnn",
        "persistent_f32", "asan", "AddressSanitizer"),
    Bug("rnn: the gradient of the last h is lost", "rnn_backward.cu", "(v, row, b, j, b >= later), dgates[G]",
        "(v, row, b, j, false), dgates[G]", "rnn", "persistent_packed", "plain"),
    Bug("rnn: sums are read before they are there", "rnn_backward.cu",
        "(columns + 7) / 8, sums);\n      __syncthreads();", "(columns + 7) / 8, sums);", "rnn", "persistent_f32", "tsan",
        "data race"),
    Bug("rnn: c's gradient passes a closed gate", "rnn_cell.h", "v.carry[at] = dc * f;", "v.carry[at] = dc;", "rnn",
        "a_kernel_a_step", "plain"),
    # ---- attention ----
    Bug("attention: V overwritten while it is read", "attention.cu",
        "__syncthreads();  // K is there, and the V before has been read", "// K is there", "attention", "layouts", "tsan",
        "data race"),
    Bug("attention: a row that sees nothing", "attention.cu", "const bool empty = sum[m][e] == 0;",
        "const bool empty = false;", "attention", "masks", "plain"),
    Bug("attention: the diagonal itself is hidden", "attention_common.h", "(causal && j > i)", "(causal && j >= i)",
        "attention", "layouts", "plain"),
    Bug("attention: a row of keys too many", "attention_common.h", "const bool valid = row < rows && column < width;",
        "const bool valid = row <= rows && column < width;", "attention", "layouts", "asan", "AddressSanitizer"),
    Bug("attention: an infinite value makes NaN", "attention_common.h", "fabsf(near) < INFINITY ? near : 0.0f", "near",
        "attention", "infinities", "plain"),
    Bug("attention: keys given back before they have been multiplied", "attention_wgmma.cu",
        "wgmma_wait<0>();\n  if (lane == 0) mbarrier_arrive(&empty_k[0]);",
        "if (lane == 0) mbarrier_arrive(&empty_k[0]);\n  wgmma_wait<0>();", "attention_wgmma", "sizes", "tsan"),
    Bug("attention: a result scaled while it is added to", "attention_wgmma.cu",
        "wgmma_wait<0>();\n    if (lane == 0) mbarrier_arrive(&empty_v[", "if (lane == 0) mbarrier_arrive(&empty_v[",
        "attention_wgmma", "sizes", "plain"),
    Bug("attention: an issue that nobody is told of", "attention_wgmma.cu",
        "if (group == 0 || s + 1 < steps) named_barrier_arrive(2 - group, 256);",
        "if (group == 0) named_barrier_arrive(2 - group, 256);", "attention_wgmma", "sizes", "plain", "deadlock"),
    Bug("attention: values of keys in another order", "attention_wgmma.cu", "p[j], v + j * 128", "p[j], v + j * 64",
        "attention_wgmma", "sizes", "plain"),
    Bug("attention: gradients of what dropout kept, unscaled", "attention_backward.cu", "return kept ? x * up : 0.0f;",
        "return kept ? x : 0.0f;", "attention_backward", "drops", "plain"),
    Bug("attention: a stage read before it is there for all", "attention_backward.cu",
        "__syncthreads();\n    if (F::stages == 2", "if (F::stages == 2", "attention_backward", "layouts", "tsan", "data race"),
    Bug("attention: queries before the first that sees the keys", "attention_backward.cu",
        "a.causal ? row0 / F::rows : 0", "a.causal ? row0 / F::rows + 1 : 0", "attention_backward", "layouts", "plain"),
    Bug("attention: a stage given back while sums are taken of it", "attention_backward_wgmma.cu",
        "wgmma_wait<1>();\n      if (lane == 0) mbarrier_arrive(&empty[(s - 1) % kRing]);",
        "if (lane == 0) mbarrier_arrive(&empty[(s - 1) % kRing]);\n      wgmma_wait<1>();", "attention_backward_wgmma",
        "rings", "tsan"),
    Bug("attention: queries before the first that sees the keys, by wgmma", "attention_backward_wgmma.cu",
        "a.causal ? row0 / kMoved : 0", "a.causal ? row0 / kMoved + 1 : 0", "attention_backward_wgmma", "layouts",
        "plain"),
    Bug("attention: dp is read while it is multiplied", "attention_backward_wgmma.cu",
        "wgmma_wait<0>();\n      operands_of_sums(s);", "operands_of_sums(s);", "attention_backward_wgmma", "rings",
        "plain"),
    Bug("attention: a stage full without its lse and delta", "attention_backward_wgmma.cu",
        "          __syncwarp();\n          if (lane == 0) mbarrier_arrive(&full[stage]);",
        "          if (lane == 0) mbarrier_arrive(&full[stage]);", "attention_backward_wgmma", "one_at_a_time", "tsan",
        "data race"),
    Bug("attention: gradients of rows in another order", "attention_backward_wgmma.cu", "left[k], right + k * 128",
        "left[k], right + k * 64", "attention_backward_wgmma", "layouts", "plain"),
    # ---- primitives ----
    Bug("a block's sum without a fence", "test_prim.cu", "partial[blockIdx.x] = s;\n    __threadfence();",
        "partial[blockIdx.x] = s;", "prim", "last_block", "tsan", "data race"),
    Bug("shared memory read before the barrier", "test_prim.cu", "partial[threadIdx.x / 32] = s;\n  __syncthreads();",
        "partial[threadIdx.x / 32] = s;", "prim", "row_sum", "tsan", "data race"),
    Bug("a block of a cluster leaves while others read", "test_prim.cu",
        "  cluster_sync();  // nobody leaves while others read\n", "", "prim", "clusters", "plain"),
    Bug("a step begins before the grid has ended the last one", "test_prim.cu", "    grid_barrier(counter);\n", "",
        "prim", "grid_barriers", "plain"),
    Bug("a copy's stage overwritten while it is read", "test_prim.cu",
        "ring[t % 2][127 - i];\n    __syncthreads();", "ring[t % 2][127 - i];", "prim", "asynchronous", "tsan"),
    Bug("a shuffle in a branch of half a warp", "test_prim.cu", "  s = warp_sum(s);\n  if (threadIdx.x % 32 == 0) partial[",
        "  if (threadIdx.x % 32 < 16) s = warp_sum(s);\n  if (threadIdx.x % 32 == 0) partial[", "prim", "row_sum", "plain"),
]  # fmt: skip
BUGS += [Bug(*b) for b in planted_memory.BUGS]


def plant(bug, into):
    """A copy of the sources with the bug in it: (root, test program)."""
    root = into / "tree"
    for name in ("csrc/cuda", "tests/cuda"):
        shutil.copytree(native.ROOT / name, root / name)
    for header in (native.ROOT / "csrc").glob("*.*"):
        if header.is_file():
            shutil.copy(header, root / "csrc" / header.name)
    file = root / ("tests/cuda" if bug.file.startswith("test_") else "csrc/cuda") / bug.file
    text = file.read_text()
    if text.count(bug.old) != 1:
        raise RuntimeError(f"{bug.file} has {text.count(bug.old)} places like this, not one: {bug.old!r}")
    file.write_text(text.replace(bug.old, bug.new))
    return root, root / "tests/cuda" / f"test_{bug.test}.cu"


def caught(bug, objects):
    """Why the bug was caught (a line of the report), or None."""
    with tempfile.TemporaryDirectory() as temporary:
        root, test = plant(bug, Path(temporary))
        program = native.build(test, bug.mode, Path(temporary), root, engine_from=objects, quick=True)
        for only in bug.only.split("|"):
            try:
                status, output = native.run(program, bug.mode, "forward,random:1", only, timeout=120)
            except subprocess.TimeoutExpired:  # values in flight may decide how long a kernel runs
                status, output = 1, "endless loop"
            if status and bug.report in output:
                for line in output.splitlines():
                    if "SUMMARY" in line or "FAILED" in line or "runtime error" in line:
                        return line.strip()
                return output.splitlines()[-1]
    return None


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("words", nargs="*")
    parser.add_argument("--jobs", type=int, default=os.cpu_count())
    options = parser.parse_args()
    bugs = [b for b in BUGS if not options.words or any(w in b.file or w in b.name for w in options.words)]
    missed = []
    with tempfile.TemporaryDirectory() as temporary:
        objects = Path(temporary)
        for mode in native.MODES:
            native.engine(mode, objects)
            native.standard(mode, True, objects)
        with ThreadPoolExecutor(options.jobs) as pool:
            for bug, why in zip(bugs, pool.map(lambda b: caught(b, objects), bugs), strict=True):
                print(
                    f"{'caught' if why else 'MISSED':7} {bug.mode:6} {bug.file}: {bug.name}\n{'':15}{(why or '')[:160]}",
                    flush=True,
                )
                if not why:
                    missed.append(bug.name)
    print(f"{len(bugs)} bugs planted, {len(missed)} missed")
    # Every kernel file has a bug of its own.
    if not options.words:
        files = {f.name for f in (native.ROOT / "csrc/cuda").glob("*.cu")} - {b.file for b in BUGS} - {"device.cu"}
        if files:
            missed.append(f"no bug planted in {sorted(files)}")
    sys.exit("missed: " + "; ".join(missed) if missed or not bugs else 0)


if __name__ == "__main__":
    main()
