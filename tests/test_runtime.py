"""Threads, memory, fork and the choice of an instruction set: what the compiled module promises about itself."""

import ctypes
import os
import subprocess
import sys
import threading
import time

import numpy as np
import pytest

_cpu = pytest.importorskip("fastnn._cpu")
from fastnn import _config  # noqa: E402

linux = pytest.mark.skipif(_cpu._os() != "linux", reason="what the generic system file does not do")
F32 = np.dtype(np.float32)


def python(code: str, **env) -> str:
    """Output of `code` in a fresh interpreter; an error there fails the test."""
    done = subprocess.run(
        [sys.executable, "-c", code], env={**os.environ, **env}, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@pytest.fixture(autouse=True)
def _threads():
    before = _cpu.get_num_threads()
    yield
    _cpu.set_num_threads(before)


# ---- threads ----


@pytest.mark.parametrize("n", [1, 2, 3, 5, 8])
def test_every_chunk_runs_once_on_a_thread_below_the_number_set(n):
    _cpu.set_num_threads(n)
    for chunks in (0, 1, 2, n, 7, 1000):
        who = _cpu._parallel_indices(chunks, 100)
        assert len(who) == chunks
        # -1: never ran; -2: a nested call ran on another thread, which it may inside a single chunk
        assert all(0 <= i < n or (i == -2 and chunks == 1) for i in who)


@linux
def test_set_num_threads_starts_that_many_whatever_the_cores():
    code = "import os\nfrom fastnn import _cpu\ntasks = lambda: len(os.listdir('/proc/self/task'))\nbefore = tasks()\n"
    code += "for n in (8, 3, 2, 5):\n  _cpu.set_num_threads(n); _cpu._parallel_indices(8)\n"
    code += "  print(tasks() - before + 1)"
    assert python(code).split() == ["8", "3", "2", "5"]


@linux
def test_three_threads_take_part():
    _cpu.set_num_threads(3)
    seen = set()
    for _ in range(200):
        seen.update(_cpu._parallel_indices(64, 50_000))
        if seen == {0, 1, 2}:
            break
    assert seen == {0, 1, 2}


@pytest.mark.parametrize("bad", [0, -1, 1025, 2**62])
def test_a_wrong_number_of_threads_raises(bad):
    for function in (_cpu.set_num_threads, _config.set_num_threads):
        with pytest.raises(ValueError, match=f"set_num_threads: n must be from 1 to 1024, got {bad}"):
            function(bad)
    for text in ("2", 2.0, None, True):
        with pytest.raises(TypeError):
            _config.set_num_threads(text)


def test_omp_num_threads_is_obeyed():
    code = "from fastnn import _cpu; print(_cpu.get_num_threads())"
    assert python(code, OMP_NUM_THREADS="3") == "3"
    assert python(code, OMP_NUM_THREADS="4,2") == "4"  # a list: one number a nesting level
    default = python(code, OMP_NUM_THREADS="")
    for ignored in ("0", "-2", "many"):
        assert python(code, OMP_NUM_THREADS=ignored) == default


@linux
def test_affinity_is_obeyed():
    code = "import os; os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})\n"
    code += "from fastnn import _cpu; print(_cpu.get_num_threads(), set(_cpu._parallel_indices(64)))"
    assert python(code, OMP_NUM_THREADS="") == "1 {0}"


def write(root, path, text):
    file = root / path
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)


@linux
def test_cgroup_quota(tmp_path):
    def tree(name, files):
        for path, text in files.items():
            write(tmp_path / name, path, text)
        return _cpu._cpu_quota(str(tmp_path / name))

    v2 = {"proc/self/cgroup": "0::/a/b\n"}
    assert tree("none", {}) == 0
    assert tree("v2", {**v2, "sys/fs/cgroup/a/b/cpu.max": "150000 100000\n"}) == 1.5
    assert tree("v2max", {**v2, "sys/fs/cgroup/a/b/cpu.max": "max 100000\n"}) == 0
    # Each level limits: the parent's is the smaller one here.
    parents = {"sys/fs/cgroup/a/b/cpu.max": "400000 100000", "sys/fs/cgroup/a/cpu.max": "200000 100000"}
    assert tree("v2parent", {**v2, **parents}) == 2
    # In a container the path is often the host's; only the mount's own file exists.
    assert tree("v2container", {**v2, "sys/fs/cgroup/cpu.max": "50000 100000"}) == 0.5
    v1 = {"proc/self/cgroup": "12:memory:/x\n4:cpu,cpuacct:/docker/1\n0::/\n"}
    files = {"cpu.cfs_quota_us": "300000\n", "cpu.cfs_period_us": "100000\n"}
    assert tree("v1", {**v1, **{f"sys/fs/cgroup/cpu,cpuacct/docker/1/{k}": v for k, v in files.items()}}) == 3
    assert tree("v1link", {**v1, **{f"sys/fs/cgroup/cpu/{k}": v for k, v in files.items()}}) == 3
    unlimited = {"cpu.cfs_quota_us": "-1\n", "cpu.cfs_period_us": "100000\n"}
    assert tree("v1max", {**v1, **{f"sys/fs/cgroup/cpu/{k}": v for k, v in unlimited.items()}}) == 0
    assert tree("broken", {"proc/self/cgroup": "nonsense\n::\n\n4:cpu\n", "sys/fs/cgroup/cpu.max": "x"}) == 0


def test_calls_from_16_threads_at_once():
    _cpu.set_num_threads(2)
    wrong = []

    def caller():
        for _ in range(1000):
            who = _cpu._parallel_indices(16, 50)
            if not all(0 <= i < 2 for i in who):
                wrong.append(who)
            a = _cpu.empty((64,), F32)
            a.fill(1)
            if a.sum() != 64:
                wrong.append(a)

    callers = [threading.Thread(target=caller) for _ in range(16)]
    for t in callers:
        t.start()
    for t in callers:
        t.join(60)
        assert not t.is_alive()
    assert not wrong


def test_the_number_may_change_while_others_compute():
    stop = threading.Event()
    wrong = []

    def caller():
        while not stop.is_set():
            who = _cpu._parallel_indices(32, 200)
            if not all(0 <= i < 8 for i in who):
                wrong.append(who)

    callers = [threading.Thread(target=caller) for _ in range(4)]
    for t in callers:
        t.start()
    for i in range(200):
        _cpu.set_num_threads(1 + i % 8)
        _cpu._parallel_indices(8)
    stop.set()
    for t in callers:
        t.join(60)
        assert not t.is_alive()
    assert not wrong


# ---- fork and exit ----


def in_child(function, seconds=10) -> int:
    """Exit status of `function` run in a forked child; a hang there is killed and fails the test."""
    pid = os.fork()
    if pid == 0:
        try:
            function()
            os._exit(0)
        except BaseException:
            os._exit(1)
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        done, status = os.waitpid(pid, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.002)
    os.kill(pid, 9)
    os.waitpid(pid, 0)
    pytest.fail("the forked child hung")


@linux
@pytest.mark.filterwarnings("ignore:.*multi-threaded.*:DeprecationWarning")
def test_parent_and_child_work_on_after_a_fork():
    def work():
        who = _cpu._parallel_indices(64, 2000)
        assert all(0 <= i < 3 for i in who)
        a = _cpu.empty((1000, 1000), F32)
        a.fill(2)
        assert a[999, 999] == 2

    _cpu.set_num_threads(3)
    for _ in range(20):
        work()
        assert in_child(work) == 0
        work()
    assert in_child(lambda: in_child(work) == 0 or os._exit(2)) == 0  # a child of a child


@linux
@pytest.mark.filterwarnings("ignore:.*multi-threaded.*:DeprecationWarning")
def test_fork_while_other_threads_compute_and_allocate():
    _cpu.set_num_threads(2)
    stop = threading.Event()

    def caller():
        while not stop.is_set():
            _cpu._parallel_indices(64, 500)
            _cpu.empty((100,), F32)

    callers = [threading.Thread(target=caller) for _ in range(3)]
    for t in callers:
        t.start()
    try:
        for _ in range(20):
            assert in_child(caller_once) == 0
    finally:
        stop.set()
        for t in callers:
            t.join(60)


def caller_once():
    _cpu._parallel_indices(64, 500)
    _cpu.empty((100,), F32).fill(0)


def test_exit_with_idle_and_with_busy_workers():
    python("from fastnn import _cpu; _cpu.set_num_threads(4); _cpu._parallel_indices(64, 1000)")
    busy = "import threading, time\nfrom fastnn import _cpu\n_cpu.set_num_threads(4)\n"
    busy += "f = lambda: _cpu._parallel_indices(1000, 10**6)\n"
    busy += "threading.Thread(target=f, daemon=True).start(); time.sleep(0.05)"
    python(busy)


# ---- memory ----


def test_empty():
    for shape in ((), (0,), (0, 3), (5,), (3, 4), (2, 3, 4, 5), [2, 2], (1,) * 32):
        a = _cpu.empty(shape, F32)
        assert type(a) is np.ndarray and a.shape == tuple(shape) and a.dtype == F32
        assert a.flags.c_contiguous and a.flags.aligned and a.flags.writeable
        assert a.ctypes.data % 64 == 0
        a[...] = 1
    assert _cpu.empty(7, "float64").shape == (7,)
    assert _cpu.empty((np.int64(2), True), bool).shape == (2, 1)
    for dtype in (np.float64, "int8", "<i4", ">f4", np.complex128, "S3", "V0"):
        assert _cpu.empty((2,), dtype).dtype == np.empty(2, dtype).dtype


@pytest.mark.parametrize(
    ("args", "error"),
    [
        (((-1,), F32), ValueError),
        (((2**62,), F32), (MemoryError, ValueError)),
        (((2**40, 2**40), F32), (MemoryError, ValueError)),
        (((2**70,), F32), ValueError),
        (((1,) * 33, F32), ValueError),
        (((1,) * 65, F32), ValueError),
        (((1.5,), F32), TypeError),
        (("ab", F32), TypeError),
        ((None, F32), TypeError),
        (((2,), object), TypeError),
        (((2,), [("a", object)]), TypeError),
        (((2,), "no such dtype"), TypeError),
        (((2,),), TypeError),
        ((), TypeError),
        (((2,), F32, 1), TypeError),
    ],
)
def test_empty_refuses(args, error):
    before = _cpu.memory_stats()["in_use"]
    with pytest.raises(error):
        _cpu.empty(*args)
    assert _cpu.memory_stats()["in_use"] == before


def test_every_size_is_aligned_writable_and_apart():
    sizes = [*range(0, 1300), *(2**k + d for k in range(10, 23) for d in (-1, 0, 1, 7))]
    kept = []
    for n in sizes:
        a = _cpu.empty((n,), np.uint8)
        assert a.ctypes.data % 64 == 0
        a.fill(n % 251)
        kept.append(a)
    for n, a in zip(sizes, kept, strict=True):
        assert (a == n % 251).all()


def test_large_blocks_have_different_offsets_in_a_page():
    blocks = [_cpu.empty((3 << 20,), np.uint8) for _ in range(8)]
    assert len({b.ctypes.data % 4096 for b in blocks}) > 4


def test_stats_reuse_and_empty_cache():
    _cpu.empty_cache()
    start = _cpu.memory_stats()
    assert start["cached"] == 0
    a = _cpu.empty((1000,), F32)
    held = _cpu.memory_stats()
    assert 4000 <= held["in_use"] - start["in_use"] <= 4000 * 1.125
    address = a.ctypes.data
    view = a[10:]
    del a
    assert _cpu.memory_stats()["in_use"] == held["in_use"]  # a view keeps the block
    del view
    after = _cpu.memory_stats()
    assert after["in_use"] == start["in_use"] and after["cached"] == held["in_use"] - start["in_use"]
    b = _cpu.empty((1001,), F32)
    assert b.ctypes.data == address
    assert _cpu.memory_stats()["reused"] == after["reused"] + 1
    del b
    _config.empty_cache()
    assert _config.memory_stats()["cached"] == 0
    assert after["peak"] >= held["in_use"]


def test_a_large_block_serves_a_slightly_smaller_request():
    _cpu.empty_cache()
    address = _cpu.empty((100, 1 << 16), np.uint8).ctypes.data
    assert _cpu.empty((85, 1 << 16), np.uint8).ctypes.data == address
    assert _cpu.empty((40, 1 << 16), np.uint8).ctypes.data != address


def resident() -> int:
    with open("/proc/self/statm") as f:
        return int(f.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


@linux
def test_same_sizes_again_take_no_new_memory():
    shapes = [(64, 784), (64, 256), (256,), (1024, 1024), (3, 1000, 1000), ()]

    def step():
        for a in [_cpu.empty(s, F32) for s in shapes]:
            a.fill(1)

    for _ in range(10):
        step()
    before, size = _cpu.memory_stats(), resident()
    for _ in range(200):
        step()
    after = _cpu.memory_stats()
    assert after["reused"] - before["reused"] == after["allocations"] - before["allocations"] == 200 * len(shapes)
    assert resident() - size < 1 << 20
    _cpu.empty_cache()
    assert resident() < size  # what was cached went back to the system


def test_a_block_freed_by_another_thread_comes_back():
    _cpu.empty_cache()
    box = [_cpu.empty((5000,), F32)]
    address = box[0].ctypes.data
    t = threading.Thread(target=box.clear)
    t.start()
    t.join()
    assert _cpu.empty((5000,), F32).ctypes.data == address


def test_failing_allocation_raises_and_leaves_no_trace():
    before = _cpu.memory_stats()["in_use"]
    for n in range(1, 6):
        _cpu._fail_allocation(n)
        with pytest.raises(MemoryError):
            for _ in range(n):
                _cpu.empty((10,), F32)
    _cpu._fail_allocation(0)
    assert _cpu.memory_stats()["in_use"] == before
    _cpu.empty((10,), F32)


def test_poison_fills_blocks_with_nan():
    code = "import numpy as np\nfrom fastnn import _cpu\n"
    code += "for n in (1, 100, 10**6):\n  for i in range(2):\n"
    code += "    a = _cpu.empty((n,), np.dtype('f4')); assert np.isnan(a).all(); a.fill(1); del a"
    python(code, FASTNN_POISON="1")


# ---- instruction sets ----


def test_each_supported_set_can_be_chosen():
    before = _cpu.isa()
    names = _cpu.supported_isas()
    assert names[0] == "baseline" and before in names
    try:
        for name in names:
            _cpu.set_isa(name)
            assert _cpu.isa() == name
            assert python("from fastnn import _cpu; print(_cpu.isa())", FASTNN_ISA=name) == name
        with pytest.raises(ValueError, match="unknown instruction set 'mmx'; built in are baseline"):
            _cpu.set_isa("mmx")
        assert _cpu.isa() == names[-1]
    finally:
        _cpu.set_isa(before)


def test_an_unknown_set_in_the_environment_raises_at_import():
    code = "try:\n  from fastnn import _cpu\nexcept ImportError as e: print(e)"
    assert "FASTNN_ISA: unknown instruction set 'sse9'; built in are baseline" in python(code, FASTNN_ISA="sse9")


@pytest.mark.skipif(os.uname().machine != "x86_64" or sys.platform != "linux", reason="reads x86-64's MXCSR")
def test_import_and_calls_leave_the_floating_point_control_alone():
    libm = ctypes.CDLL("libm.so.6")
    env = (ctypes.c_uint32 * 8)()  # fenv_t: MXCSR is its last word

    def mxcsr():
        libm.fegetenv(env)
        return env[7] & 0xFFC0  # without the sticky exception flags

    assert mxcsr() == 0x1F80
    _cpu._parallel_indices(64, 1000)
    assert mxcsr() == 0x1F80
    tiny = np.float32(1e-40)
    assert tiny * np.float32(1) != 0


# ---- what it says about itself ----


def test_show_config(capsys):
    _config.show_config()
    text = capsys.readouterr().out
    for word in ("backend", "instruction set", "threads", "compiler", "CUDA", _cpu.isa(), _cpu.compiler()):
        assert word in text
    assert _config.config()["threads"] == _config.get_num_threads() == _cpu.get_num_threads()


def test_counters_only_grow():
    before = _cpu.counters()
    assert all(isinstance(v, int) for v in before.values())
    assert all(_cpu.counters()[k] >= v for k, v in before.items())
