"""What can be read from the compiled CUDA kernels without a GPU; needs nvcc, cuobjdump and nvdisasm.

python tests/cuda/gates.py build/cuda/CMakeFiles/fastnn_cuda.dir     # the object files of a FASTNN_CUDA=ON build

- no kernel spills registers or has a stack frame, but for those of ALLOWED_STACK, each with its reason;
- the sm_90a GEMM, convolution and attention consist of HGMMA fed by UTMALDG, which the compiler has not made wait for one
  another; the sm_80 ones of HMMA fed by LDGSTS (cp.async) and
  LDSM (ldmatrix);
- recurrent layers multiply on tensor cores, 16 bytes a lane from shared memory and from L2;
- the memory-bound kernels load 16 bytes at a time.
"""

import argparse
import re
import shutil
import subprocess
import sys
from pathlib import Path

# Kernels (a part of the demangled name) that may use the stack.
ALLOWED_STACK = {
    "FamilyE1E": "Family::Rare of elementwise_rare.cu: sin, cos and tan of large arguments",
}
# By source file: instructions that its machine code for an architecture must contain.
INSTRUCTIONS = {
    "gemm_wgmma": ("sm_90a", ("HGMMA", "UTMALDG", "SYNCS")),
    "gemm_mma": ("sm_80", ("HMMA", "LDGSTS", "LDSM")),
    "gemm_3xtf32": ("sm_80", ("HMMA.1688.F32.TF32", "LDGSTS", "LDSM")),
    "conv2d_wgmma": ("sm_90a", ("HGMMA", "UTMALDG", "SYNCS")),
    "conv2d_mma": ("sm_80", ("HMMA", "LDGSTS", "LDSM", "FFMA", "STG.E.128")),
    "rnn": ("sm_80", ("HMMA.16816.F32.BF16", "HMMA.1688.F32.TF32", "LDS.128", "LDG.E.128")),
    "rnn_backward": ("sm_80", ("HMMA.16816.F32.BF16", "HMMA.1688.F32.TF32", "LDS.128", "LDG.E.128")),
    "attention": ("sm_80", ("HMMA", "LDGSTS", "LDSM", "MUFU.EX2")),
    "attention_wgmma": ("sm_90a", ("HGMMA", "UTMALDG", "SYNCS", "MUFU.EX2")),
    "attention_backward_wgmma": ("sm_90a", ("HGMMA", "UTMALDG", "SYNCS", "MUFU.EX2")),
    "attention_backward": ("sm_80", ("HMMA", "LDGSTS", "LDSM", "MUFU.EX2", "LDG.E.128")),
    "gemm_warptiled": ("sm_80", ("LDG.E.128", "LDS.128", "FFMA", "DFMA", "STG.E.128")),
}
# Memory-bound: 16-byte loads somewhere in the file's code.
MEMORY_BOUND = (
    "copy", "elementwise", "reduce", "softmax", "cross_entropy", "layer_norm", "group_norm", "batch_norm", "optim",
    "random", "embedding",
)  # fmt: skip


def tool(name):
    return shutil.which(name) or sys.exit(f"{name} is needed on PATH")


def out(*argv):
    done = subprocess.run(argv, capture_output=True, text=True)
    if done.returncode:
        sys.exit(" ".join(map(str, argv)) + "\n" + done.stderr)
    return done.stdout


def resources(file):
    """(kernel, architecture, stack, local) of each kernel in an object file."""
    arch, name = "", ""
    for line in out(tool("cuobjdump"), "-res-usage", file).splitlines():
        if m := re.search(r"arch = (sm_\w+)", line):
            arch = m[1]
        elif m := re.search(r"Function (\S+):", line):
            name = m[1]
        elif m := re.search(r"STACK:(\d+).*LOCAL:(\d+)", line):
            yield name, arch, int(m[1]), int(m[2])


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    files = sorted(parser.parse_args().folder.rglob("*.cu.o"))
    if not files:
        sys.exit("no *.cu.o below that folder")
    wrong, kernels, checked = [], 0, set()
    for file in files:
        stem = file.name.split(".")[0]
        for name, arch, stack, local in resources(file):
            kernels += 1
            if (stack or local) and not any(a in name for a in ALLOWED_STACK):
                wrong.append(f"{stem}: {name} has {stack} bytes of stack on {arch}")
        arch, expected = INSTRUCTIONS.get(stem, ("sm_80", ("LDG.E.128",) if stem in MEMORY_BOUND else ()))
        if expected:
            code = out(tool("cuobjdump"), "-sass", "-arch", arch, file)
            checked.add(stem)
            for instruction in expected:
                count = code.count(instruction)
                print(f"{stem:16} {arch:7} {instruction:10} {count}")
                if not count:
                    wrong.append(f"{stem}: no {instruction} for {arch}")
            # The last product of a group says gsb0: where ptxas serialises them, every product does.
            for name, kernel in re.findall(r"Function : (\S+)(.*?)(?=Function :|\Z)", code, re.DOTALL):
                if len(re.findall("HGMMA.*gsb0", kernel)) * 2 > kernel.count("HGMMA") > 0:
                    wrong.append(f"{stem}: products of {name} wait for one another on {arch}")
            if "STL" in code or "LDL" in code:
                wrong.append(f"{stem}: local memory on {arch}")
    if missing := set(INSTRUCTIONS) - checked:
        wrong.append(f"not compiled: {sorted(missing)}")
    print(f"{len(files)} files, {kernels} kernels, {len(wrong)} complaints")
    sys.exit("\n".join(wrong) if wrong else 0)


if __name__ == "__main__":
    main()
