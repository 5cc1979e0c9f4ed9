"""What the examples share: the command line, which framework, the data, progress, the report, the pictures."""

import argparse
import importlib
import importlib.util
import os
import re
import sys
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
NO_DATA = 3  # the exit status where a data set or an extra is missing: "not run" is neither right nor wrong


def framework():
    """fastnn, or torch itself where the command line says `--with torch`. Every example chooses its import here."""
    name = "fastnn"
    for i, word in enumerate(sys.argv):
        if word == "--with" and i + 1 < len(sys.argv):
            name = sys.argv[i + 1]
        elif word.startswith("--with="):
            name = word[7:]
    return importlib.import_module("torch" if name == "torch" else "fastnn")


def library(name: str):
    """fastnn.<name>; under `--with torch` the same source file, run with torch in fastnn's place.

    That works for the modules which are written in torch's API alone (models, graph, most of text): the comparison is
    then between the same programs.
    """
    torch = framework()
    if torch.__name__ == "fastnn":
        return importlib.import_module(f"fastnn.{name}")
    # Found without an import: torch's run must not load fastnn.
    for folder in (HERE.parent / "python", *map(Path, sys.path)):
        path = folder / "fastnn" / (name.replace(".", "/") + ".py")
        if path.is_file():
            break
    else:
        raise ModuleNotFoundError(f"no source of fastnn.{name} on the path")
    spec = importlib.util.spec_from_file_location(f"torch_{name.replace('.', '_')}", path)
    module = importlib.util.module_from_spec(spec)
    before = sys.modules.get("fastnn")
    sys.modules["fastnn"] = torch
    try:
        spec.loader.exec_module(module)
    finally:
        del sys.modules["fastnn"]
        if before is not None:
            sys.modules["fastnn"] = before
    return module


def parser(text: str, with_torch: bool = False) -> argparse.ArgumentParser:
    """The options that all examples have; `text` is the module's docstring."""
    made = argparse.ArgumentParser(description=text, formatter_class=argparse.RawDescriptionHelpFormatter)
    made.add_argument("--quick", action="store_true", help="a smaller run of less than a minute, with its own bounds")
    made.add_argument("--seed", type=int, default=0)
    made.add_argument("--data", metavar="DIR", help="folder of the data sets (default: $FASTNN_DATA, ../shared/data)")
    made.add_argument("--out", metavar="DIR", default="out", help="where pictures go (default: out); '' for none")
    made.add_argument("--threads", type=int, help="threads to compute on")
    if with_torch:
        made.add_argument("--with", dest="framework", choices=("fastnn", "torch"), default="fastnn")
    return made


def parse(made: argparse.ArgumentParser, argv=None):
    """The options, with the seed and the number of threads in force."""
    options = made.parse_args(argv)
    torch = framework()
    if options.threads:
        torch.set_num_threads(options.threads)
    torch.manual_seed(options.seed)
    return options


# Data


def missing(what: str):
    print(f"not run: {what}", file=sys.stderr)
    raise SystemExit(NO_DATA)


def need(module: str):
    """The module, or exit: it comes with the extra `examples`."""
    try:
        return importlib.import_module(module)
    except ImportError:
        missing(f"{module.split('.')[0]} is not installed: pip install '.[examples]'")


def find(options, name: str, source: str) -> Path:
    """The file or folder `name` of the data folder; exits naming `source` where there is none."""
    roots = [options.data, os.environ.get("FASTNN_DATA"), HERE.parent.parent / "shared" / "data"]
    for root in roots:
        if root and (Path(root) / name).exists():
            return Path(root) / name
    missing(f"no {name} in the folder of --data or $FASTNN_DATA; it can be had from {source}")


def mnist(options, train=None, test=None, flat=False):
    """(train images, labels, test images, labels): float32 [N, 1, 28, 28] in 0..1 (or [N, 784]), the first N of each."""
    torch = framework()
    folder = find(options, "mnist", "yann.lecun.com/exdb/mnist, or python -m fastnn train --data mnist --download")
    out = []
    for part, count in (("train", train), ("t10k", test)):
        images = _idx(folder, f"{part}-images-idx3-ubyte", 16)[:count]
        labels = _idx(folder, f"{part}-labels-idx1-ubyte", 8)[:count]
        x = torch.tensor(images.reshape(-1, 784) if flat else images.reshape(-1, 1, 28, 28)).to(torch.float32).div_(255)
        out += [x, torch.tensor(labels).to(torch.int64)]
    return out


def _idx(folder, name, head):
    import gzip

    numpy = importlib.import_module("numpy")
    for path, opener in ((folder / name, open), (folder / f"{name}.gz", gzip.open)):
        if path.exists():
            with opener(path, "rb") as file:
                data = numpy.frombuffer(file.read(), dtype=numpy.uint8, offset=head)
            return data.reshape(-1, 784).copy() if "images" in name else data.copy()
    missing(f"no {name}[.gz] in {folder}")


def cut(total: int, share: float, seed: int):
    """Two index tensors, (1 - share) and share of `total`, shuffled by the seed: for training and for test."""
    torch = framework()
    order = torch.randperm(total, generator=torch.Generator().manual_seed(seed))
    held = int(total * share)
    return order[held:], order[:held]


# Training


def progress(items, text: str = "", total=None):
    """`items`, with a bar on a terminal (tqdm of the extra `progress`; a plain line without it)."""
    if total is None:
        total = len(items)
    if not sys.stderr.isatty():
        yield from items
        return
    try:
        from tqdm import tqdm
    except ImportError:
        shown = 0.0
        for i, item in enumerate(items, 1):
            yield item
            if time.monotonic() - shown > 0.2 or i == total:
                shown = time.monotonic()
                print(f"\r{text} {i}/{total}", end="\n" if i == total else "", file=sys.stderr, flush=True)
        return
    yield from tqdm(items, desc=text, total=total, leave=False)


def batches(total: int, size: int, shuffle: bool = True, last: bool = True):
    """Index tensors of one pass; `last=False` leaves out a last one that is not full."""
    torch = framework()
    order = torch.randperm(total) if shuffle else torch.arange(total)
    stop = total if last else total - total % size
    return [order[i : i + size] for i in range(0, stop, size)]


def fit(model, x, y, optimizer, loss_function, epochs: int, batch_size: int, text="", schedule=None, clip=None):
    """Train by mini-batches; returns the mean training loss of each epoch. `schedule` is stepped once a batch."""
    torch = framework()
    model.train()
    curve = []
    for epoch in range(epochs):
        total = 0.0
        for index in progress(batches(len(x), batch_size), f"{text} epoch {epoch + 1}/{epochs}"):
            optimizer.zero_grad()
            loss = loss_function(model(x[index]), y[index])
            loss.backward()
            if clip:
                torch.nn.utils.clip_grad_norm_(model.parameters(), clip)
            optimizer.step()
            if schedule:
                schedule.step()
            total += loss.item() * len(index)
        curve.append(total / len(x))
    return curve


def accuracy(model, x, y, size: int = 1000) -> float:
    """Share of right answers, in per cent, in evaluation mode."""
    torch = framework()
    model.eval()
    with torch.no_grad():
        right = sum(int((model(x[i : i + size]).argmax(1) == y[i : i + size]).sum()) for i in range(0, len(x), size))
    model.train()
    return 100 * right / len(x)


# The report


class Report:
    """Collects what was reached, prints it beside what is wanted and published, and ends the program accordingly."""

    def __init__(self, options, title: str):
        self.options, self.title, self.rows, self.wrong, self.start = options, title, [], False, time.perf_counter()

    def claim(self, what: str, reached: float, relation: str, wanted: float, source: str = "", digits: int = 4):
        """`reached` is to stand in `relation` (>=, <=, >, <) to `wanted`; NaN stands in none."""
        ok = {">=": reached >= wanted, "<=": reached <= wanted, ">": reached > wanted, "<": reached < wanted}[relation]
        self._row(what, f"{reached:.{digits}g}", f"{relation} {wanted:g}", bool(ok), source)

    def check(self, what: str, ok: bool, detail: str = "", source: str = ""):
        self._row(what, detail or str(bool(ok)), "", bool(ok), source)

    def note(self, what: str, detail: str):
        self.rows.append((what, detail, "", "", ""))

    def _row(self, what, reached, wanted, ok, source):
        self.wrong |= not ok
        self.rows.append((what, reached, wanted, "yes" if ok else "NO", source))
        if not self.options.quick:  # long runs show what they have so far
            print(f"{time.perf_counter() - self.start:6.0f} s  {what}: {reached}", flush=True)

    def end(self):
        """Print the table; exit with 1 where a claim does not hold."""
        torch = framework()
        mode = "quick" if self.options.quick else "full"
        seconds = time.perf_counter() - self.start
        print(f"\n{self.title} ({mode} run on {torch.__name__}, seed {self.options.seed}, {seconds:.0f} s)")
        head = ("what", "reached", "wanted", "holds", "published, and where")
        widths = [max(len(str(r[i])) for r in [head, *self.rows]) for i in range(4)]
        for row in [head, *self.rows]:
            print("  " + "  ".join(str(c).ljust(w) for c, w in zip(row, [*widths, 0], strict=True)).rstrip())
        if self.wrong:
            raise SystemExit(1)


# Pictures


def figure(options, rows: int = 1, columns: int = 1, size=None):
    """(figure, list of axes) of matplotlib, or (None, None) where --out is empty."""
    if not options.out:
        return None, None
    matplotlib = need("matplotlib")
    matplotlib.use("Agg")
    from matplotlib import pyplot

    made, axes = pyplot.subplots(rows, columns, figsize=size or (4.2 * columns, 3.2 * rows), squeeze=False)
    return made, list(axes.reshape(-1))


def save(options, made, name: str | None = None):
    """Write the figure as PNG into --out, named after the program."""
    if made is None:
        return
    name = name or re.sub(r"\W+", "_", Path(sys.argv[0]).stem)
    os.makedirs(options.out, exist_ok=True)
    path = os.path.join(options.out, f"{name}.png")
    made.tight_layout()
    made.savefig(path, dpi=110, bbox_inches="tight")  # "tight": titles and labels outside the axes are kept whole
    print(f"picture: {path}")
    importlib.import_module("matplotlib.pyplot").close(made)
