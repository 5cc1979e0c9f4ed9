"""The main job, from the command line."""

import os
import signal
import subprocess
import sys
import time

import pytest

import fastnn
from fastnn import _train
from fastnn.__main__ import main

ENVIRONMENT = {**os.environ, "PYTHONPATH": os.pathsep.join(p for p in sys.path if p)}


def test_digits_reach_their_accuracy(capsys, tmp_path):
    path = tmp_path / "lenet.pt"
    assert main(["train", "--save", str(path), "--quiet"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("LeNet, ") and "1,438 training and 359 test images" in lines[0]
    assert lines[1].startswith("epoch  1/30  loss ") and "test accuracy" in lines[1]
    accuracy = float(lines[-2].split("%")[0].split()[-1])
    assert accuracy >= 97.5  # one seed; the median of five is at least 98.0 (README)
    model = _train.LeNet(**_train._PRESETS["digits"]["model"])
    model.load_state_dict(fastnn.load(path))
    test = fastnn.datasets.digits().split()[1]
    assert _train.evaluate(model, test, fastnn.nn.CrossEntropyLoss())[1] * 100 == pytest.approx(accuracy, abs=0.01)


def test_the_same_seed_gives_the_same_run(capsys):
    outputs = []
    for seed in ("1", "1", "2"):
        assert main(["train", "--epochs", "2", "--seed", seed, "--quiet"]) == 0
        outputs.append([line.split("  ")[1] for line in capsys.readouterr().out.splitlines()[1:3]])
    assert outputs[0] == outputs[1] != outputs[2]


@pytest.mark.parametrize("optimizer", ["sgd", "adagrad", "rmsprop", "adam", "adamw"])
def test_every_optimizer_learns(capsys, optimizer):
    assert main(["train", "--epochs", "4", "--optimizer", optimizer, "--quiet"]) == 0
    assert float(capsys.readouterr().out.split("test accuracy ")[-1].split("%")[0]) > 80


def test_numpy_backend(capsys):
    before = fastnn.backend.active().name
    try:
        assert main(["train", "--epochs", "1", "--backend", "numpy", "--threads", "1", "--quiet"]) == 0
    finally:
        fastnn.backend.use(before)
    assert "backend numpy" in capsys.readouterr().out


def test_info(capsys):
    assert main(["info"]) == 0
    assert "backend" in capsys.readouterr().out


@pytest.mark.parametrize(
    "arguments",
    [[], ["nothing"], ["train", "--epochs", "0"], ["train", "--lr", "nan"], ["train", "--batch-size", "x"],
     ["train", "--data", "mnist"], ["train", "--optimizer", "lbfgs"]],
)  # fmt: skip
def test_wrong_usage_exits_with_2(arguments, capsys):
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    assert caught.value.code == 2 and "usage" in capsys.readouterr().err


def test_help(capsys):
    with pytest.raises(SystemExit) as caught:
        main(["train", "--help"])
    assert caught.value.code == 0 and "--optimizer" in capsys.readouterr().out


def test_failures_exit_with_1_and_one_line(capsys, tmp_path):
    assert main(["train", "--data", "mnist", "--root", str(tmp_path)]) == 1
    assert "no train-images-idx3-ubyte" in capsys.readouterr().err
    assert main(["train", "--save", str(tmp_path / "absent" / "x.pt")]) == 1
    assert "there is no folder" in capsys.readouterr().err
    assert main(["train", "--save", str(tmp_path)]) == 1
    assert main(["train", "--optimizer", "sgd", "--lr", "1e30", "--quiet"]) == 1
    assert "the loss became" in capsys.readouterr().err


@pytest.mark.skipif(os.name != "posix", reason="Ctrl-C is sent as a signal")
def test_interrupt_ends_cleanly(tmp_path):
    path = tmp_path / "model.pt"
    command = [sys.executable, "-m", "fastnn", "train", "--epochs", "10000", "--save", str(path)]
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=ENVIRONMENT,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # a shell's background job ignores it
    )  # fmt: skip
    for _ in range(2):
        process.stdout.readline()
    time.sleep(0.1)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=30)
    assert process.returncode == 130 and "interrupted" in errors and "Traceback" not in errors
    assert not path.exists()
