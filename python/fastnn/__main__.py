"""The command line: `python -m fastnn info`, `train` and `run`."""

import argparse
import sys


def _positive(kind):
    def parse(text):
        value = kind(text)
        if not value > 0 or value == float("inf"):
            raise argparse.ArgumentTypeError(f"must be positive, got {text}")
        return value

    parse.__name__ = kind.__name__
    return parse


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m fastnn", description="Neural networks on hand-written AVX kernels, with torch's names."
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    commands.add_parser("info", help="print what this install runs on: backend, instruction set, threads, compiler")
    run = commands.add_parser(
        "run",
        help="run a script written for PyTorch, with fastnn in torch's place",
        description="Run a script as `python SCRIPT ARGS` does, with fastnn in the place of torch and torchvision, in "
        "this process and in its children. The real torch is not loaded.",
        usage="python -m fastnn run [-h] (SCRIPT | -m MODULE) [ARGS ...]",
        epilog="examples:\n  python -m fastnn run main.py --epochs 3\n  python -m fastnn run -m package.train",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    run.add_argument("-m", metavar="MODULE", dest="module", help="run a module or package, as python -m does")
    run.add_argument(
        "arguments", nargs=argparse.REMAINDER, metavar="SCRIPT ARGS", help="the script and what follows it"
    )
    train = commands.add_parser(
        "train",
        help="train a LeNet on real handwritten digits",
        description="Train a LeNet on handwritten digits and print loss and accuracy on held-back data per epoch.",
        epilog="examples:\n  python -m fastnn train --save lenet.pt\n"
        "  python -m fastnn train --data mnist --root data/mnist",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    train.add_argument(
        "--data", choices=["digits", "mnist"], default="digits",
        help="digits: 1,797 images of 8x8, shipped with fastnn (default); mnist: 70,000 of 28x28, read from --root",
    )  # fmt: skip
    train.add_argument("--root", metavar="DIR", help="folder with MNIST's four IDX files (for --data mnist)")
    train.add_argument("--download", action="store_true", help="fetch MNIST into --root where it is missing")
    train.add_argument("--epochs", type=_positive(int), metavar="N", help="default: 30 for digits, 5 for mnist")
    train.add_argument("--batch-size", type=_positive(int), metavar="N", help="default: 32 for digits, 64 for mnist")
    train.add_argument(
        "--lr", type=_positive(float), metavar="RATE", help="learning rate at the start; it falls linearly to zero"
    )
    train.add_argument(
        "--optimizer", choices=["sgd", "adagrad", "rmsprop", "adam", "adamw"], default="adam", help="default: adam"
    )
    train.add_argument("--seed", type=int, default=0, metavar="N", help="start of all random numbers (default: 0)")
    train.add_argument("--backend", choices=["numpy", "cpu"], help="default: cpu, the compiled kernels, where built")
    train.add_argument(
        "--threads", type=_positive(int), metavar="N", help="default: the CPUs that this process may use"
    )
    train.add_argument("--save", metavar="PATH", help="write the trained model's state_dict here (torch.load reads it)")
    train.add_argument("--quiet", action="store_true", help="no progress bar")
    return parser


def main(arguments=None) -> int:
    """Run one command; returns the process's exit status."""
    parser = _parser()
    given = sys.argv[1:] if arguments is None else list(arguments)
    if given[:1] == ["run"] and given[1:2] not in ([], ["-h"], ["--help"]):
        # by hand: whatever follows the script's name is the script's, `--` and abbreviations of options too
        from fastnn import _run

        module = given[1] == "-m"
        rest = given[2:] if module else given[1:]
        if not rest or (not module and rest[0] != "-" and rest[0].startswith("-")):
            parser.error("run needs a script, or -m and a module; options of the script follow its name")
        return _run.run(rest[0], rest[1:], module)
    options = parser.parse_args(given)
    if options.command == "run":
        parser.error("run needs a script, or -m and a module")
    if options.command == "info":
        import fastnn

        fastnn.show_config()
        return 0
    if options.data == "mnist" and not options.root:
        parser.error("train --data mnist needs --root DIR: the folder with MNIST's IDX files (or where to put them)")
    from fastnn import _train

    try:
        return _train.run(options)
    except KeyboardInterrupt:
        print("\ninterrupted; nothing was saved", file=sys.stderr)
        return 130
    except (OSError, ValueError, ImportError, RuntimeError) as error:
        print(f"python -m fastnn: {error}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
