"""`python -m fastnn run`: a script meets fastnn where it asks for torch, and notices nothing else."""

import os
import subprocess
import sys
import textwrap
import zipfile
from pathlib import Path

import pytest

import fastnn
from fastnn.torch_version import TorchVersion

PACKAGE_ROOT = Path(fastnn.__file__).resolve().parents[1]


def python(*args, cwd, stdin=None, **env):
    path = os.pathsep.join(p for p in (str(PACKAGE_ROOT), os.environ.get("PYTHONPATH", "")) if p)
    return subprocess.run(
        [sys.executable, *map(str, args)],
        cwd=cwd,
        env={**os.environ, "PYTHONPATH": path, **env},
        input=stdin,
        capture_output=True,
        text=True,
        timeout=300,
    )


def write(folder, name, text):
    file = folder / name
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(textwrap.dedent(text))
    return file


def run(folder, text, *args, name="script.py", **env):
    return python("-m", "fastnn", "run", write(folder, name, text), *args, cwd=folder, **env)


def passes(folder, text, *args, **env):
    done = run(folder, text, *args, **env)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture
def other_torch(tmp_path):
    """A folder in which a package `torch` lies that must not be loaded."""
    for package in ("torch", "torchvision"):
        write(tmp_path / "installed", f"{package}/__init__.py", "raise RuntimeError('the other torch was loaded')")
    return str(tmp_path / "installed")


def test_every_path_gives_the_one_module(tmp_path):
    passes(
        tmp_path,
        """
        import sys
        import torch, fastnn, torch.nn as nn, torch.nn.functional as F, torch.optim as optim
        import torch.nn.modules.activation, torch.utils.data.dataloader, torch.autograd.variable
        from torch.nn.modules.activation import ReLU
        from torch.nn.modules.conv import _ConvNd
        from torch.nn.modules.loss import _Loss, _WeightedLoss
        from torch.nn.modules.module import Module
        from torch.nn.modules.utils import _pair
        from torch.nn.parameter import Parameter
        from torch.optim.adamw import AdamW
        from torch.optim.lr_scheduler import StepLR, _LRScheduler, LRScheduler
        from torch.optim.optimizer import Optimizer
        from torch.utils.data._utils.collate import default_collate
        from torch.utils.data.dataset import Dataset
        from torch.utils.data.sampler import Sampler

        assert torch is fastnn and sys.modules["torch"] is fastnn
        assert torch.nn is nn is fastnn.nn is sys.modules["torch.nn"] and F is fastnn.nn.functional
        assert ReLU is nn.ReLU and Module is nn.Module and Parameter is nn.Parameter
        assert isinstance(nn.Conv2d(1, 1, 1), _ConvNd) and isinstance(nn.L1Loss(), _Loss)
        assert isinstance(nn.NLLLoss(), _WeightedLoss)
        assert issubclass(optim.SGD, Optimizer) and AdamW is optim.AdamW
        assert _LRScheduler is LRScheduler and issubclass(StepLR, LRScheduler)
        assert torch.utils.data.dataloader.default_collate is default_collate is torch.utils.data.default_collate
        assert torch.autograd.variable.Variable is torch.autograd.Variable
        assert torch.utils.data.Dataset is Dataset and torch.utils.data.Sampler is Sampler
        assert _pair(3) == (3, 3) and _pair((1, 2)) == (1, 2)
        assert nn.__spec__.name == "fastnn.nn" and "_C" not in dir(torch)
        """,
    )


@pytest.mark.parametrize("name", ["torch._export", "torch.backend", "torch.nn.modules.no_such", "torchvision.no_such"])
def test_unknown_modules_are_named(name, tmp_path):
    root = name.partition(".")[0]
    out = passes(
        tmp_path,
        f"""
        import importlib.util
        try:
            import {name}
        except ImportError as error:
            print(error.name, str(error).startswith("No module named '{name}'"), "{root}" in str(error))
        """,
    )
    assert out.split() == [name, "True", "True"]


def test_a_missing_name_is_an_import_error(tmp_path):
    done = run(tmp_path, "from torch.nn import NoSuchLayer")
    assert done.returncode == 1 and "cannot import name 'NoSuchLayer'" in done.stderr


def test_an_installed_torch_is_not_loaded(tmp_path, other_torch):
    passes(
        tmp_path,
        """
        import subprocess, sys
        import torch, torch.nn, torch.utils.data
        print(torch.ones(2).sum())
        code = "import torch.nn, sys; assert torch.nn.__name__ == 'fastnn.nn', torch; import torchvision"
        subprocess.run([sys.executable, "-c", code], check=True)
        """,
        PYTHONPATH=os.pathsep.join([str(PACKAGE_ROOT), other_torch]),
    )


def test_children(tmp_path):
    out = passes(
        tmp_path,
        """
        import multiprocessing, os, subprocess, sys
        from torch import nn

        def work(queue):
            import torch
            queue.put((torch.__name__, type(nn.ReLU()).__module__, os.path.basename(sys.argv[0])))

        if __name__ == "__main__":
            for method in ("spawn", "forkserver", "fork"):
                context = multiprocessing.get_context(method)
                queue = context.Queue()
                child = context.Process(target=work, args=(queue,))
                child.start()
                print(method, *queue.get(timeout=100))
                child.join()
            code = "import torch.optim.lr_scheduler as s, torch, fastnn; print(s.__name__, torch is fastnn)"
            for extra in ([], ["-W", "ignore"]):
                subprocess.run([sys.executable, *extra, "-c", code], check=True, cwd=os.sep)
        """,
    )
    expected = [f"{m} fastnn fastnn.nn.modules.activation script.py" for m in ("spawn", "forkserver", "fork")]
    assert out.splitlines() == expected + ["fastnn.optim.lr_scheduler True"] * 2


WHAT_IT_SEES = """
import os, sys
import helper
print(sys.argv[1:], os.path.basename(sys.argv[0]), os.path.realpath(sys.path[0]), __name__, __package__, helper.HERE)
print(os.path.basename(__file__), __doc__, sys.modules["__main__"].__dict__ is globals(), "annotations" in globals())
print(type(__spec__).__name__, getattr(__spec__, "name", None))
"""


@pytest.mark.parametrize("how", ["script", "module", "package", "folder", "zip"])
def test_it_runs_as_python_does(how, tmp_path):
    write(tmp_path, "work/helper.py", "HERE = __name__")
    write(tmp_path, "work/script.py", WHAT_IT_SEES)
    write(tmp_path, "work/pkg/__init__.py", "")
    write(tmp_path, "work/pkg/__main__.py", WHAT_IT_SEES)
    write(tmp_path, "work/folder/__main__.py", WHAT_IT_SEES)
    write(tmp_path, "work/folder/helper.py", "HERE = __name__")
    with zipfile.ZipFile(tmp_path / "work" / "app.zip", "w") as archive:
        archive.writestr("__main__.py", WHAT_IT_SEES)
        archive.writestr("helper.py", "HERE = __name__")
    target = {
        "script": [tmp_path / "work" / "script.py"],
        "module": ["-m", "script"],
        "package": ["-m", "pkg"],
        "folder": ["folder"],
        "zip": ["app.zip"],
    }[how]
    arguments = ["--epochs", "3", "--", "-h", "a b"]
    cwd = tmp_path if how == "script" else tmp_path / "work"
    plain = python(*target, *arguments, cwd=cwd)
    ours = python("-m", "fastnn", "run", *target, *arguments, cwd=cwd)
    assert plain.returncode == ours.returncode == 0, plain.stderr + ours.stderr
    assert ours.stdout == plain.stdout


def test_standard_input(tmp_path):
    done = python("-m", "fastnn", "run", "-", "x", cwd=tmp_path, stdin="import sys, torch; print(sys.argv, torch.pi)")
    assert done.stdout == f"['-', 'x'] {fastnn.pi}\n", done.stderr


@pytest.mark.parametrize(
    "text",
    [
        "import sys; sys.exit(3)",
        "import sys; sys.exit('a message')",
        "raise SystemExit",
        "import os; os._exit(7)",
        "def f():\n    1 / 0\nf()",
        "raise KeyboardInterrupt",
        "import atexit\natexit.register(print, 'last words')\nraise ValueError('first')",
        "a = = 1",
        "import sys\nsys.excepthook = lambda *a: print('hook', a[0].__name__)\n1 / 0",
    ],
)
def test_exits_and_tracebacks(text, tmp_path):
    script = write(tmp_path, "script.py", text)
    plain, ours = (python(*before, script, cwd=tmp_path) for before in ([], ["-m", "fastnn", "run"]))
    assert ours.returncode == plain.returncode
    assert ours.stdout == plain.stdout
    if "Keyboard" not in text and "= =" not in text:
        assert ours.stderr == plain.stderr
    assert ours.stderr.splitlines()[-1:] == plain.stderr.splitlines()[-1:]


def test_what_is_not_there(tmp_path):
    for target in (["nothing.py"], ["-m", "nothing_at_all"], [], ["--epochs"], ["-m"]):
        done = python("-m", "fastnn", "run", *target, cwd=tmp_path)
        assert done.returncode in (1, 2) and done.stderr.strip(), target
        assert "Traceback" not in done.stderr


def test_without_run_nothing_is_replaced(tmp_path):
    code = "import sys, fastnn; assert 'torch' not in sys.modules and fastnn.__version__ == '0.1.0', fastnn.__version__"
    done = python("-c", code, cwd=tmp_path)
    assert done.returncode == 0, done.stderr


def test_run_after_torch_was_imported(tmp_path):
    code = (
        "import sys, types; sys.modules['torch'] = types.ModuleType('torch'); import fastnn._run\n"
        "try: fastnn._run.install()\n"
        "except RuntimeError as error: print(error)"
    )
    assert "cannot take the place of torch" in python("-c", code, cwd=tmp_path).stdout


def test_the_version_compares_as_a_version():
    v = TorchVersion("2.13.0+fastnn.0.1.0")
    assert v >= "2.8" and v > "2.9.1" and v < "2.14" and v >= "2.13" and v == "2.13.0" and v != "2.12"
    assert v >= (2, 13) and v > (1, 9) and not v < "2.13.0a0" and v < "3.0.0.dev1" and v > "2.13.0rc1"
    assert v.split("+")[0] == "2.13.0" and [int(n) for n in v.split(".")[:2]] == [2, 13]
    assert isinstance(v, str) and hash(v) == hash("2.13.0+fastnn.0.1.0")
    assert v != "not a version" and str(v) < "not a version" and v < "not a version"
    with pytest.raises(TypeError):
        v < 2.13  # noqa: B015


NOTES = {  # the recurrent snippets of the course notes
    "rnn": "rnn = nn.RNN(5, 6, 1)\noutput, hidden = rnn(torch.randn(1, 3, 5), torch.randn(1, 3, 6))",
    "lstm": "lstm = nn.LSTM(5, 6, 2)\nc0 = torch.randn(2, 3, 6)\n"
    "output, (hn, cn) = lstm(torch.randn(1, 3, 5), (torch.randn(2, 3, 6), c0))",
    "gru": "gru = nn.GRU(5, 6, 2)\noutput, hn = gru(torch.randn(1, 3, 5), torch.randn(2, 3, 6))",
}


@pytest.mark.parametrize("name", NOTES)
def test_snippets_of_the_course_notes(name, tmp_path):
    text = f"import torch\nimport torch.nn as nn\n{NOTES[name]}\nprint(output.shape)\n"
    assert passes(tmp_path, text) == "torch.Size([1, 3, 6])\n"


def test_classes_are_printed_under_torchs_names(tmp_path):
    out = passes(
        tmp_path,
        """
        import pickle
        import torch
        x = torch.ones(1)
        print(type(x), type(x.shape), type(x.device), type(x.dtype), type(torch.nn.Parameter(x)))
        assert pickle.loads(pickle.dumps(torch.Tensor)) is type(x)
        assert pickle.loads(pickle.dumps(torch.nn.Parameter(x))).requires_grad
        """,
    )
    names = "torch.Tensor torch.Size torch.device torch.dtype torch.nn.parameter.Parameter"
    assert out.split("\n")[0] == " ".join(f"<class '{name}'>" for name in names.split())
