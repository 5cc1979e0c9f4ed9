"""Row 5: a multilayer perceptron on MNIST, and what goes wrong in deep ones.

Initialisation: He and Xavier against zeros and constants (units that start alike stay alike). Dying ReLUs: one large step
silences units for good; a leaky ReLU cannot die. Gradients by layer: they vanish through sigmoids, explode with weights
that are too large, keep their size with He's; clipping lets the exploding net train.
"""

import math

import _common as common

torch = common.framework()
nn = torch.nn


def perceptron(sizes, activation=nn.ReLU, dropout=0.0):
    layers = []
    for a, b in zip(sizes, sizes[1:], strict=False):
        layers += [nn.Linear(a, b), activation(), *([nn.Dropout(dropout)] if dropout else [])]
    return nn.Sequential(*layers[: -2 if dropout else -1])  # nothing after the last layer


def linears(model):
    return [m for m in model if isinstance(m, nn.Linear)]


def initialise(model, how):
    for layer in linears(model):
        if how == "he":
            nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
        elif how == "xavier":
            nn.init.xavier_uniform_(layer.weight)
        else:
            nn.init.constant_(layer.weight, float(how))
        # The notes: a small positive bias, so that every ReLU fires at first.
        nn.init.constant_(layer.bias, 0.01 if how == "he" else 0.0)
    return model


def best(options, report, data):
    x, y, test_x, test_y = data
    epochs = 4 if options.quick else options.epochs
    model = initialise(perceptron([784, 512, 512, 10], dropout=0.2), "he")
    optimizer = torch.optim.Adam(model.parameters())
    steps = epochs * -(-len(x) // 100)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=2e-3, total_steps=steps)
    common.fit(model, x, y, optimizer, nn.CrossEntropyLoss(), epochs, 100, "MLP", schedule)
    source = "98.4 %: Simard et al. 2003, 2 layers, 800 units, cross-entropy, no distortions"
    reached = common.accuracy(model, test_x, test_y)
    report.claim("MNIST, test accuracy %", reached, ">=", 96 if options.quick else 98.3, source)


def initialisations(options, report, data):
    x, y, test_x, test_y = (part[: 10000 if i < 2 else None] for i, part in enumerate(data))
    for how in ("he", "xavier", "0", "0.1"):
        model = initialise(perceptron([784, 100, 100, 10]), how)
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
        common.fit(model, x, y, optimizer, nn.CrossEntropyLoss(), 2, 100, how)
        reached = common.accuracy(model, test_x, test_y)
        first = linears(model)[0].weight.detach()
        apart = float((first - first[0]).abs().max())
        if how in ("he", "xavier"):
            report.claim(f"{how} initialisation, test accuracy % after 2 passes", reached, ">=", 90)
        else:
            name = f"all weights {how}"
            report.claim(f"{name}: hidden units apart after training by", apart, "<=", 1e-5, digits=2)
            report.claim(f"{name}, test accuracy %", reached, "<=", 40)


def dead(model, x) -> float:
    """Share of hidden units, in per cent, that no example moves: no gradient will ever reach their weights."""
    silent = total = 0
    with torch.no_grad():
        for layer in model[:-1]:
            x = layer(x)
            if not isinstance(layer, nn.Linear):
                silent += int((x <= 0).all(0).sum()) if isinstance(layer, nn.ReLU) else int((x == 0).all(0).sum())
                total += x.shape[1]
    return 100 * silent / total


def dying(options, report, data):
    x, y = data[0][:5000], data[1][:5000]
    shares = {}
    for name, activation in (("ReLU", nn.ReLU), ("leaky ReLU", lambda: nn.LeakyReLU(0.01))):
        torch.manual_seed(options.seed)
        model = initialise(perceptron([784, 100, 100, 10], activation), "he")
        before = dead(model, x)
        # One reckless epoch: some units are pushed below zero for every example.
        common.fit(model, x, y, torch.optim.SGD(model.parameters(), lr=1.5), nn.CrossEntropyLoss(), 1, 100, name)
        shares[name] = before, dead(model, x)
    report.claim("dead ReLUs at first, % (biases of 0.01)", shares["ReLU"][0], "<=", 5)
    report.claim("dead ReLUs after large steps, %", shares["ReLU"][1], ">=", 30)
    report.claim("dead leaky ReLUs after the same steps, %", shares["leaky ReLU"][1], "<=", 0)


def gradients_by_layer(model, x, y):
    loss = nn.CrossEntropyLoss()(model(x), y)
    loss.backward()
    return [float(layer.weight.grad.norm()) for layer in linears(model)]


def deep(activation, how, scale=1.0, depth=20, width=100):
    model = initialise(perceptron([784] + [width] * depth + [10], activation), how)
    with torch.no_grad():
        for layer in linears(model)[1:-1]:
            layer.weight.mul_(scale)
    return model


def signal(options, report, data):
    x, y = data[0][:500], data[1][:500]
    nets = {
        "sigmoid, Xavier (vanishes)": deep(nn.Sigmoid, "xavier"),
        "ReLU, 2 x He (explodes)": deep(nn.ReLU, "he", 2.0),
        "ReLU, He": deep(nn.ReLU, "he"),
    }
    norms = {name: gradients_by_layer(net, x, y) for name, net in nets.items()}
    ratios = {name: n[1] / n[-2] for name, n in norms.items()}
    first, second, third = ratios.values()
    report.claim("20 layers of sigmoids: gradient of layer 2 / layer 20", first, "<=", 1e-6, digits=2)
    report.claim(
        "ReLU and He: the same ratio, away from 1 by a factor of", math.exp(abs(math.log(third))), "<=", 20, digits=2
    )
    largest = {name: max(n) for name, n in norms.items()}
    report.claim(
        "weights 2 x He: largest gradient against He's",
        largest["ReLU, 2 x He (explodes)"] / largest["ReLU, He"],
        ">=",
        1e4,
    )

    curves = {}
    for clip in (None, 1.0):
        torch.manual_seed(options.seed)
        model = deep(nn.ReLU, "he", 1.3, depth=10)
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        curves[clip] = common.fit(
            *(model, data[0][:5000], data[1][:5000], optimizer, nn.CrossEntropyLoss(), 4, 100), "clip", clip=clip
        )
    report.check(
        "exploding net without clipping: diverges", not curves[None][-1] <= 2.0, f"loss {curves[None][-1]:.3g}"
    )
    report.claim("the same with the norm clipped to 1: training loss", curves[1.0][-1], "<=", 1.0)
    return norms, curves


def main():
    parser = common.parser(__doc__, with_torch=True)
    parser.add_argument("--epochs", type=int, default=20, help="passes over MNIST (quick: 4)")
    options = common.parse(parser)
    report = common.Report(options, "Multilayer perceptron")
    data = common.mnist(options, *((20000, None) if options.quick else ()), flat=True)
    best(options, report, data)
    initialisations(options, report, data)
    dying(options, report, data)
    norms, curves = signal(options, report, data)
    made, axes = common.figure(options, 1, 2)
    if made:
        for name, values in norms.items():
            axes[0].semilogy(range(1, len(values) + 1), values, marker=".", label=name)
        axes[0].set(xlabel="layer", ylabel="gradient norm of the weights", title="Gradients by layer")
        for clip, curve in curves.items():
            axes[1].plot(
                range(1, len(curve) + 1),
                [v if v < 10 else 10 for v in curve],
                label="clipped" if clip else "not clipped",
            )
        axes[1].set(xlabel="epoch", ylabel="training loss (10: more, or NaN)", title="Exploding net")
        axes[1].xaxis.get_major_locator().set_params(integer=True)
        axes[0].legend(fontsize=7)
        axes[1].legend(fontsize=7)
    common.save(options, made)
    report.end()


if __name__ == "__main__":
    main()
