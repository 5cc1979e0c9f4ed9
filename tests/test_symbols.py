"""The build's check of the kernel objects (cmake/check_objects.cmake) finds what it looks for; the module is sealed."""

import pathlib
import shutil
import subprocess

import pytest

ROOT = pathlib.Path(__file__).parent.parent
CXX, NM, CMAKE = (shutil.which(name) for name in ("c++", "nm", "cmake"))
needs_tools = pytest.mark.skipif(not (CXX and NM and CMAKE), reason="needs a C++ compiler, nm and cmake")

GOOD = """
template <class T> static T total(const T* x, int n) { T s = 0; while (n--) s += *x++; return s; }
namespace fastnn { namespace avx2 { float sum(const float* x, int n) { return total(x, n); } } }
"""
BAD = {
    "weak": "inline __attribute__((noinline)) float sq(float x) { return x * x; } "
    "namespace fastnn { namespace avx2 { float f(float x) { return sq(x); } } }",
    "static initialiser": "extern int g(); namespace fastnn { namespace avx2 { int table = g(); } }",
    "global outside": "namespace fastnn { float helper(float x) { return x; } }",
    "global outside fastnn::avx2": "namespace fastnn { namespace avx512 { float f(float x) { return x; } } }",
    "must not be used": "namespace fastnn { namespace avx2 { int* f() { return new int; } } }",
}


def check(tmp_path, source: str) -> subprocess.CompletedProcess:
    (tmp_path / "a.cpp").write_text(source)
    subprocess.run([CXX, "-O2", "-c", "a.cpp", "-o", "a.o"], cwd=tmp_path, check=True)
    (tmp_path / "list").write_text("a.o\n")
    command = [CMAKE, f"-DNM={NM}", "-DISA=avx2", "-DLIST=list", "-P", str(ROOT / "cmake/check_objects.cmake")]
    return subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)


@needs_tools
def test_a_clean_object_passes(tmp_path):
    done = check(tmp_path, GOOD)
    assert done.returncode == 0, done.stderr


@needs_tools
@pytest.mark.parametrize("what", BAD)
def test_a_bad_object_stops_the_build(tmp_path, what):
    done = check(tmp_path, BAD[what])
    assert done.returncode != 0
    assert what.split(" fastnn")[0] in done.stderr


@pytest.mark.skipif(not NM, reason="needs nm")
def test_the_module_exports_its_entry_point_only():
    module = pytest.importorskip("fastnn._cpu")
    out = subprocess.run(
        [NM, "-D", "--defined-only", module.__file__], capture_output=True, text=True, check=True
    ).stdout
    assert [line.split()[-1] for line in out.splitlines()] == ["PyInit__cpu"]
