"""Row 2: regression on a non-linear basis; underfitting, overfitting, and what helps.

A sine with noise, fitted by polynomials of growing degree: the training error falls all the way, the validation error falls
and rises again. Then forty Gaussian bumps on sixteen points, far too many: L2, L1, dropout, early stopping and augmentation
(points jittered along x) each lower the validation loss; the means over several seeds are compared.
"""

import math

import _common as common

torch = common.framework()
nn, F = torch.nn, torch.nn.functional


def wave(n, generator, noise=0.3):
    x = torch.rand(n, generator=generator)
    return x, torch.sin(2 * math.pi * x) + noise * torch.randn(n, generator=generator)


def parts(seed):
    """16 training, 60 validation and 400 test points."""
    generator = torch.Generator().manual_seed(seed)
    return [wave(n, generator) for n in (16, 60, 400)]


def powers(x, degree):
    return (2 * x.double() - 1)[:, None] ** torch.arange(degree + 1)


def degrees(seed, most):
    """Mean squared error [degree][train, validation, test] of the least-squares polynomials."""
    data, table = parts(seed), []
    for degree in range(most + 1):
        w = torch.linalg.lstsq(powers(data[0][0], degree), data[0][1].double()[:, None], driver="gelsd").solution
        table.append([((powers(x, degree) @ w)[:, 0] - y).square().mean().item() for x, y in data])
    return table


CENTRES = torch.linspace(0, 1, 40)


def bumps(x):
    return torch.exp(-0.5 * ((x[:, None] - CENTRES) / 0.04) ** 2)


def fit(seed, remedy, steps):
    """(validation loss, test loss, curve of [train, validation]) of one run; early stopping keeps the best step."""
    torch.manual_seed(seed)
    (x, y), (vx, vy), (tx, ty) = parts(seed)
    w = torch.zeros(40, requires_grad=True)
    optimizer = torch.optim.Adam([w], lr=0.03)
    fx, fv, ft = bumps(x), bumps(vx), bumps(tx)
    best, curve = (math.inf, math.inf), []
    for step in range(steps):
        features = bumps(x + 0.04 * torch.randn(len(x))) if remedy == "augmentation" else fx
        if remedy == "dropout":
            features = F.dropout(features, 0.3)
        loss = F.mse_loss(features @ w, y)
        if remedy == "L2":
            loss = loss + 0.01 * (w**2).sum()
        if remedy == "L1":
            loss = loss + 0.01 * w.abs().sum()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if step % 10 == 9:
            with torch.no_grad():
                train, held, test = (F.mse_loss(f @ w, t).item() for f, t in ((fx, y), (fv, vy), (ft, ty)))
            curve.append((train, held))
            if remedy != "early stopping" or held < best[0]:
                best = held, test
    return *best, curve


def main():
    parser = common.parser(__doc__)
    parser.add_argument("--seeds", type=int, default=5, help="runs, from --seed on")
    options = common.parse(parser)
    report = common.Report(options, "Underfitting and overfitting")
    seeds = range(options.seed, options.seed + options.seeds)
    most = 14
    tables = [degrees(s, most) for s in seeds]
    # The median: one wild polynomial would rule the mean.
    middle = [[sorted(t[d][part] for t in tables)[len(tables) // 2] for part in range(3)] for d in range(most + 1)]
    best = min(range(most + 1), key=lambda d: middle[d][1])
    report.note("the degree with the lowest validation error", str(best))
    report.claim("underfitting: error of degree 0 over it", middle[0][1] / middle[best][1], ">=", 2)
    report.claim(f"overfitting: error of degree {most} over it", middle[most][1] / middle[best][1], ">=", 2)
    report.claim(f"training error of degree {most} over degree {best}'s", middle[most][0] / middle[best][0], "<", 1)

    steps = 800 if options.quick else 3000
    remedies = ("none", "L2", "L1", "dropout", "early stopping", "augmentation")
    curves, means = {}, {}
    for remedy in remedies:
        runs = [fit(s, remedy, steps) for s in common.progress(seeds, remedy)]
        means[remedy] = sum(r[0] for r in runs) / len(runs)
        test = sum(r[1] for r in runs) / len(runs)
        curves[remedy] = runs[0][2]
        if remedy == "none":
            report.note("no remedy: validation loss; test loss", f"{means[remedy]:.3f}; {test:.3f}")
        else:
            report.claim(f"{remedy} (test loss {test:.3f}): validation loss", means[remedy], "<", means["none"])

    made, axes = common.figure(options, 1, 3, (14, 3.8))
    if made:
        for part, name in enumerate(("training", "validation", "test")):
            axes[0].semilogy([row[part] for row in middle], marker=".", label=name)
        axes[0].set(xlabel="degree", ylabel="mean squared error", title="Polynomials", ylim=(1e-3, 1e3))
        for remedy, curve in curves.items():
            axes[1].plot([10 * (i + 1) for i in range(len(curve))], [held for _, held in curve], label=remedy, lw=0.9)
        axes[1].set(xlabel="step", ylabel="validation loss", title="Forty bumps on 16 points", ylim=(0, 2))
        (x, y), line = parts(options.seed)[0], torch.linspace(0, 1, 300)
        axes[2].plot(x.numpy(), y.numpy(), "k.", label="training points")
        for degree in (1, best, most):
            w = torch.linalg.lstsq(powers(x, degree), y.double()[:, None], driver="gelsd").solution
            axes[2].plot(line.numpy(), (powers(line, degree) @ w)[:, 0].numpy(), label=f"degree {degree}", lw=0.9)
        axes[2].set(title="Too stiff, right, too bent", ylim=(-2.5, 2.5))
        for axis in axes:
            axis.legend(fontsize=7)
    common.save(options, made)
    report.end()


if __name__ == "__main__":
    main()
