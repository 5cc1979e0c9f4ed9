"""Row 10: normalisation of inputs, batch norm, layer norm; and where they, and dropout, do harm.

Raw inputs whose scales differ make descent diverge at a rate that standardised ones train at; batch norm and layer norm do
the same for a deep net. On the recurrent connections it is otherwise: the state's statistics change from step to step, and
what dropout deletes there at every step is gone. A net must remember a digit over a run of noise.
"""

import _common as common

torch = common.framework()
nn, F = torch.nn, torch.nn.functional


def inputs(report):
    data = common.need("sklearn.datasets").load_breast_cancer()
    raw, y = torch.tensor(data.data, dtype=torch.float32), torch.tensor(data.target)
    losses = {}
    for name, x in (("raw", raw), ("standardised", (raw - raw.mean(0)) / raw.std(0))):
        torch.manual_seed(0)
        model = nn.Linear(30, 2)
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        for _ in range(100):
            optimizer.zero_grad()
            loss = F.cross_entropy(model(x), y)
            loss.backward()
            optimizer.step()
        losses[name] = loss.item()
    report.claim("breast cancer, standardised inputs: loss after 100 steps", losses["standardised"], "<=", 0.15)
    report.check("raw inputs at the same rate: worse than guessing", not losses["raw"] <= 0.7, f"{losses['raw']:.4g}")


def deep(norm):
    layers = []
    for a, b in zip((784, 100, 100, 100, 100), (100, 100, 100, 100, 100), strict=True):
        linear = nn.Linear(a, b)
        nn.init.kaiming_normal_(linear.weight)
        layers += [linear, *([norm(b)] if norm else []), nn.ReLU()]
    return nn.Sequential(*layers, nn.Linear(100, 10))


def hidden_layers(options, report):
    x, y, test_x, test_y = common.mnist(options, 5000 if options.quick else 20000, 5000, flat=True)
    curves, shares = {}, {}
    for name, norm in (("plain", None), ("batch norm", nn.BatchNorm1d), ("layer norm", nn.LayerNorm)):
        torch.manual_seed(options.seed)
        model = deep(norm)
        optimizer = torch.optim.SGD(model.parameters(), lr=1.0)
        curves[name] = common.fit(model, x, y, optimizer, nn.CrossEntropyLoss(), 4, 100, name)
        shares[name] = common.accuracy(model, test_x, test_y)
    report.claim("plain net at a rate of 1, test accuracy %", shares["plain"], "<=", 60)
    for name in ("batch norm", "layer norm"):
        report.note(f"{name} at the same rate, %", f"{shares[name]:.1f}")
        report.claim(f"{name}: better by", shares[name] - shares["plain"], ">=", 15)
    return curves


class Rememberer(nn.Module):
    """A GRU cell step by step; `where` says what is done to the state that goes round, or to the inputs."""

    def __init__(self, where, hidden=32):
        super().__init__()
        self.cell, self.head = nn.GRUCell(12, hidden), nn.Linear(hidden, 10)
        self.norm = nn.BatchNorm1d(hidden)
        self.where, self.hidden = where, hidden

    def forward(self, x):
        h = x.new_zeros(len(x), self.hidden)
        if self.where == "dropout on inputs":
            x = F.dropout(x, 0.1, self.training)
        for step in range(x.shape[1]):
            h = self.cell(x[:, step], h)
            if self.where == "dropout on the state":
                h = F.dropout(h, 0.5, self.training)
            elif self.where == "batch norm on the state":
                h = self.norm(h)
        return self.head(h)


def digits_to_remember(count, length):
    """x [N, length, 12]: a digit (one of ten) in the first step, then noise in two other channels; the digit."""
    y = torch.randint(0, 10, (count,))
    x = torch.zeros(count, length, 12)
    x[:, 0, :10] = F.one_hot(y, 10).float()
    x[:, 1:, 10:] = torch.randn(count, length - 1, 2)
    return x, y


def recurrent(options, report, length=20):
    reached = {}
    for where in ("nothing", "dropout on inputs", "dropout on the state", "batch norm on the state"):
        torch.manual_seed(options.seed)
        model = Rememberer(where)
        optimizer = torch.optim.Adam(model.parameters(), lr=5e-3)
        for _ in common.progress(range(250 if options.quick else 600), where):
            x, y = digits_to_remember(64, length)
            optimizer.zero_grad()
            F.cross_entropy(model(x), y).backward()
            nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
        # Memory must hold for longer runs too: twice the length, and the statistics are those of training.
        reached[where] = common.accuracy(model, *digits_to_remember(2000, 2 * length))
    report.claim("GRU remembers a digit over twice the run, %", reached["nothing"], ">=", 90)
    report.claim("with dropout on its inputs, %", reached["dropout on inputs"], ">=", 80)
    for where in ("dropout on the state", "batch norm on the state"):
        report.claim(f"with {where}, %: worse by 10 at least", reached[where], "<=", reached["nothing"] - 10)
    return reached


def main():
    options = common.parse(common.parser(__doc__))
    report = common.Report(options, "Normalisation")
    inputs(report)
    curves = hidden_layers(options, report)
    reached = recurrent(options, report)
    made, axes = common.figure(options, 1, 2, (10, 3.5))
    if made:
        for name, curve in curves.items():
            axes[0].plot(range(1, len(curve) + 1), [v if v < 3 else 3 for v in curve], marker="o", label=name)
        axes[0].set(xlabel="epoch", ylabel="training loss (cut at 3)", title="Five layers at a rate of 1")
        axes[0].xaxis.get_major_locator().set_params(integer=True)
        axes[0].legend()
        axes[1].barh(list(reached), list(reached.values()))
        axes[1].set(xlabel="remembered, %", title="What is done to a GRU")
    common.save(options, made)
    report.end()


if __name__ == "__main__":
    main()
