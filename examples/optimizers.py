"""Row 6: optimizers. Batch, stochastic and mini-batch; momentum, AdaGrad, RMSProp, Adam.

On a ravine (steep across, shallow along) plain descent crawls and momentum runs; at a saddle it waits and the methods that
scale each coordinate leave at once; on MNIST a pass in mini-batches learns more than one in a single step.
"""

import _common as common

torch = common.framework()
nn = torch.nn
OPTIMIZERS = {
    "SGD": lambda p, rate: torch.optim.SGD(p, lr=rate),
    "momentum": lambda p, rate: torch.optim.SGD(p, lr=rate, momentum=0.9),
    "AdaGrad": lambda p, rate: torch.optim.Adagrad(p, lr=rate),
    "RMSProp": lambda p, rate: torch.optim.RMSprop(p, lr=rate),
    "Adam": lambda p, rate: torch.optim.Adam(p, lr=rate),
}


def ravine(p):
    return 0.5 * (p[0] ** 2 + 100 * p[1] ** 2)


def saddle(p):
    """Down along y, which starts all but on the ridge; walls far out keep it finite."""
    return p[0] ** 2 - p[1] ** 2 + 0.05 * p[1] ** 4


RATES = {
    "ravine": {"SGD": 0.015, "momentum": 0.015, "AdaGrad": 1.0, "RMSProp": 0.05, "Adam": 0.2},
    "saddle": {"SGD": 0.02, "momentum": 0.02, "AdaGrad": 0.2, "RMSProp": 0.02, "Adam": 0.05},
}


def descend(name, surface, start, steps):
    function = {"ravine": ravine, "saddle": saddle}[surface]
    point = torch.tensor(start, dtype=torch.float64, requires_grad=True)
    optimizer = OPTIMIZERS[name]([point], RATES[surface][name])
    path = []
    for _ in range(steps):
        path.append((*point.tolist(), function(point).item()))
        optimizer.zero_grad()
        function(point).backward()
        optimizer.step()
    return path


def escape(path):
    """Steps until the saddle is left behind (y beyond 1)."""
    return next((i for i, (_, y, _) in enumerate(path) if abs(y) > 1), len(path))


def net():
    return nn.Sequential(nn.Linear(784, 64), nn.ReLU(), nn.Linear(64, 10))


def mnist_run(options, data, name, rate, batch, epochs):
    torch.manual_seed(options.seed)
    model = net()
    curve = common.fit(
        model, data[0], data[1], OPTIMIZERS[name](model.parameters(), rate), nn.CrossEntropyLoss(), epochs, batch, name
    )
    return common.accuracy(model, data[2], data[3]), curve


def main():
    parser = common.parser(__doc__)
    parser.add_argument("--epochs", type=int, default=5, help="passes over MNIST of each optimizer (quick: 2)")
    options = common.parse(parser)
    report = common.Report(options, "Optimizers")
    paths = {"ravine": {}, "saddle": {}}
    for name in OPTIMIZERS:
        paths["ravine"][name] = descend(name, "ravine", (-8.0, 1.0), 100)
        paths["saddle"][name] = descend(name, "saddle", (2.0, 1e-4), 300)
    plain = paths["ravine"]["SGD"][-1][2]
    for name in list(OPTIMIZERS)[1:]:
        if name == "RMSProp":  # its steps keep their size: it arrives, and then dithers
            report.claim("ravine, RMSProp: lowest value", min(v for *_, v in paths["ravine"][name]), "<", 8, digits=3)
        else:
            report.claim(f"ravine, {name}: value after 100 steps", paths["ravine"][name][-1][2], "<", plain, digits=3)
    slow = escape(paths["saddle"]["SGD"])
    for name in list(OPTIMIZERS)[1:]:
        report.claim(f"saddle, {name}: steps to leave", escape(paths["saddle"][name]), "<", slow)

    data = common.mnist(options, *((6000, None) if options.quick else (20000, None)), flat=True)
    epochs = 2 if options.quick else options.epochs
    reached = {}
    # Stochastic is one example at a time: 2,000 steps are enough to see it.
    few = (data[0][:2000], data[1][:2000], *data[2:])
    for name, part, batch, rate in (
        ("batch", data, len(data[0]), 0.5),
        ("mini-batch", data, 64, 0.1),
        ("stochastic", few, 1, 0.01),
    ):
        reached[name], _ = mnist_run(options, part, "SGD", rate, batch, 1 if name == "stochastic" else epochs)
        report.note(f"MNIST, {name}, test accuracy %", f"{reached[name]:.1f}")
    report.claim("mini-batch against batch, as many passes", reached["mini-batch"], ">", reached["batch"])
    report.claim("stochastic on 2,000 examples against batch on all", reached["stochastic"], ">", reached["batch"])
    curves = {}
    rates = {"SGD": 0.1, "momentum": 0.03, "AdaGrad": 0.02, "RMSProp": 1e-3, "Adam": 1e-3}
    for name, rate in rates.items():
        share, curves[name] = mnist_run(options, data, name, rate, 64, epochs)
        report.claim(f"MNIST, {name}, test accuracy %", share, ">=", 86 if options.quick else 93)

    made, axes = common.figure(options, 1, 3, (14, 4))
    if made:
        for axis, surface in zip(axes, paths, strict=False):
            grid_x, grid_y = torch.meshgrid(torch.linspace(-9, 3, 80), torch.linspace(-3, 4, 80), indexing="xy")
            height = {"ravine": ravine, "saddle": saddle}[surface](torch.stack([grid_x, grid_y]))
            axis.contour(grid_x.numpy(), grid_y.numpy(), height.numpy(), 25, colors="0.75", linewidths=0.5)
            for name, path in paths[surface].items():
                axis.plot([p[0] for p in path], [p[1] for p in path], label=name, lw=1, marker=".", ms=2)
            axis.set(
                title=surface,
                xlim=(-9, 3) if surface == "ravine" else (-3, 3),
                ylim=(-1.5, 1.5) if surface == "ravine" else (-0.5, 3.5),
            )
        for name, curve in curves.items():
            axes[2].plot(range(1, len(curve) + 1), curve, marker=".", label=name)
        axes[2].set(xlabel="pass", ylabel="training loss", title="MNIST")
        axes[2].xaxis.get_major_locator().set_params(integer=True)
        for axis in axes:
            axis.legend(fontsize=7)
    common.save(options, made)
    report.end()


if __name__ == "__main__":
    main()
