"""The main job: a LeNet learns handwritten digits."""

import math
import os
import sys
import time

import fastnn
from fastnn import nn, optim
from fastnn.utils.data import DataLoader, TensorDataset

# Defaults by data set. Chosen on parts of the training data; the test data were never used to choose anything.
_PRESETS = {
    "digits": {"epochs": 30, "batch_size": 32, "lr": 3e-3, "model": {"image_size": 8, "kernel_size": 3, "pad": (1, 1)}},
    "mnist": {"epochs": 5, "batch_size": 64, "lr": 2e-3, "model": {"image_size": 28, "kernel_size": 5, "pad": (2, 0)}},
}
_OPTIMIZERS = {
    "sgd": (lambda parameters, lr: optim.SGD(parameters, lr=lr, momentum=0.9, weight_decay=1e-4), 10.0),
    "adagrad": (lambda parameters, lr: optim.Adagrad(parameters, lr=lr), 3.0),
    "rmsprop": (lambda parameters, lr: optim.RMSprop(parameters, lr=lr), 0.3),
    "adam": (lambda parameters, lr: optim.Adam(parameters, lr=lr, weight_decay=1e-4), 1.0),
    "adamw": (lambda parameters, lr: optim.AdamW(parameters, lr=lr), 1.0),
}  # how to make it, and its usual learning rate as a multiple of Adam's


class LeNet(nn.Module):
    """Two convolutions with pooling, then two linear layers (LeCun et al. 1998, with ReLU, max pooling and dropout).

    [N, 1, S, S] → conv, ReLU, pool → [N, 16, S/2, S/2] → conv, ReLU, pool → [N, 32, F, F] → 128 → classes.
    """

    def __init__(self, image_size: int = 28, kernel_size: int = 5, pad=(2, 0), classes: int = 10, dropout=0.5):
        super().__init__()
        side = image_size
        for padding in pad:
            side = (side + 2 * padding - kernel_size + 1) // 2
        self.conv1 = nn.Conv2d(1, 16, kernel_size, padding=pad[0])
        self.conv2 = nn.Conv2d(16, 32, kernel_size, padding=pad[1])
        self.pool = nn.MaxPool2d(2)
        self.fc1 = nn.Linear(32 * side * side, 128)
        self.dropout = nn.Dropout(dropout)
        self.fc2 = nn.Linear(128, classes)

    def forward(self, x):
        relu = nn.functional.relu
        x = self.pool(relu(self.conv1(x)))
        x = self.pool(relu(self.conv2(x)))
        x = relu(self.fc1(x.flatten(1)))
        return self.fc2(self.dropout(x))


def load_data(options) -> tuple[TensorDataset, TensorDataset]:
    """(training part, test part), images as [N, 1, S, S]: float32 in 0..1, or uint8 in 0..255."""
    if options.data == "digits":
        return fastnn.datasets.digits().split(test=0.2, seed=0)
    parts = []
    for train in (True, False):
        mnist = fastnn.datasets.MNIST(options.root, train=train, download=options.download)
        parts.append(TensorDataset(mnist.data.unsqueeze(1), mnist.targets))
    return parts[0], parts[1]


def _as_input(images):
    # MNIST stays in bytes until here: 47 MB instead of 188.
    return images.to(fastnn.float32).div_(255) if images.dtype is fastnn.uint8 else images


def evaluate(model, dataset, loss_function) -> tuple[float, float]:
    """(mean loss, share of right answers) on `dataset`, in evaluation mode."""
    model.eval()
    images, targets = dataset.tensors
    loss, right, n = 0.0, 0, len(dataset)
    with fastnn.no_grad():
        for start in range(0, n, 1000):
            wanted = targets[start : start + 1000]
            scores = model(_as_input(images[start : start + 1000]))
            loss += loss_function(scores, wanted).item() * len(wanted)
            right += int((scores.argmax(1) == wanted).sum())
    model.train()
    return loss / n, right / n


class _PlainBar:
    """A progress line for terminals without tqdm; prints nothing where standard error is not a terminal."""

    def __init__(self, total, text):
        self.total, self.text, self.done, self.shown = total, text, 0, 0.0
        self.on = sys.stderr.isatty()

    def update(self, n=1):
        self.done += n
        now = time.monotonic()
        if self.on and (now - self.shown > 0.1 or self.done == self.total):
            self.shown = now
            filled = 30 * self.done // self.total
            print(f"\r{self.text} |{'#' * filled:<30}| {self.done}/{self.total}", end="", file=sys.stderr, flush=True)

    def close(self):
        if self.on:
            print("\r" + " " * (len(self.text) + 60) + "\r", end="", file=sys.stderr, flush=True)


def _bar(total, text, quiet):
    if quiet:
        bar = _PlainBar(total, text)
        bar.on = False
        return bar
    try:
        from tqdm import tqdm
    except ImportError:
        return _PlainBar(total, text)
    return tqdm(total=total, desc=text, unit="batch", leave=False, disable=not sys.stderr.isatty())


def _train_epoch(model, loader, optimizer, loss_function, bar) -> float:
    """One pass over the training data; returns the mean loss."""
    total = count = 0
    for images, targets in loader:
        optimizer.zero_grad()
        loss = loss_function(model(_as_input(images)), targets)
        loss.backward()
        optimizer.step()
        total += loss.item() * len(targets)
        count += len(targets)
        bar.update()
    return total / count


def _settings(options) -> dict:
    """The options, the data set's defaults filled in, checked as far as possible before any work."""
    preset = _PRESETS[options.data]
    make, scale = _OPTIMIZERS[options.optimizer]
    settings = {
        "epochs": options.epochs or preset["epochs"],
        "batch_size": options.batch_size or preset["batch_size"],
        "lr": options.lr or preset["lr"] * scale,
        "make_optimizer": make,
        "model": preset["model"],
    }
    if options.save:
        folder = os.path.dirname(os.path.abspath(options.save))
        if not os.path.isdir(folder):
            raise FileNotFoundError(f"--save {options.save}: there is no folder {folder}")
        if os.path.isdir(options.save):
            raise IsADirectoryError(f"--save {options.save}: is a folder")
    return settings


def run(options) -> int:
    """Train as the command line says; returns the exit status."""
    settings = _settings(options)
    if options.backend:
        fastnn.backend.use(options.backend)
    if options.threads:
        fastnn.set_num_threads(options.threads)
    fastnn.manual_seed(options.seed)
    train_set, test_set = load_data(options)
    model = LeNet(**settings["model"])
    count = sum(p.numel() for p in model.parameters())
    print(
        f"LeNet, {count:,} parameters, on {options.data}: {len(train_set):,} training and {len(test_set):,} test "
        f"images; backend {fastnn.backend.active().name}, {fastnn.get_num_threads()} threads"
    )
    optimizer = settings["make_optimizer"](model.parameters(), settings["lr"])
    loss_function = nn.CrossEntropyLoss()
    loader = DataLoader(train_set, batch_size=settings["batch_size"], shuffle=True)
    epochs = settings["epochs"]
    started = time.perf_counter()
    for epoch in range(epochs):
        for group in optimizer.param_groups:
            group["lr"] = settings["lr"] * (1 - epoch / epochs)
        epoch_started = time.perf_counter()
        bar = _bar(len(loader), f"epoch {epoch + 1}/{epochs}", options.quiet)
        try:
            loss = _train_epoch(model, loader, optimizer, loss_function, bar)
        finally:
            bar.close()
        if not math.isfinite(loss):
            raise RuntimeError(
                f"the loss became {loss} in epoch {epoch + 1}; try a smaller --lr than {settings['lr']:g}"
            )
        test_loss, accuracy = evaluate(model, test_set, loss_function)
        print(
            f"epoch {epoch + 1:>{len(str(epochs))}}/{epochs}  loss {loss:.4f}  test loss {test_loss:.4f}  "
            f"test accuracy {100 * accuracy:.2f}%  {time.perf_counter() - epoch_started:.2f} s",
            flush=True,
        )
    print(
        f"test accuracy {100 * accuracy:.2f}% on {len(test_set):,} images that were held back, "
        f"after {time.perf_counter() - started:.1f} s"
    )
    if options.save:
        fastnn.save(model.state_dict(), options.save)
        print(f"saved to {options.save}")
    return 0
