"""Row 22: generative against discriminative; flat against sharp minima.

Naive Bayes models how each class makes its data, logistic regression only where the border runs: with few examples the
first is near its best, with many the second is ahead (Ng, Jordan 2002). And small batches end in flatter minima than large
ones (Keskar et al. 2017): the largest eigenvalue of the Hessian, by power iteration, at the same training loss.
"""

import math

import _common as common

torch = common.framework()
nn, F = torch.nn, torch.nn.functional


def naive_bayes(x, y, classes, least):
    """Gaussian, each feature by itself: a function of test data to classes. `least` is added to the variances."""
    means = torch.stack([x[y == c].mean(0) for c in range(classes)])
    variances = torch.stack([x[y == c].var(0, unbiased=False) for c in range(classes)]) + least
    prior = torch.bincount(y, minlength=classes).float().div(len(y)).log()

    def answer(t):
        spread = ((t[:, None] - means) ** 2 / variances + (2 * math.pi * variances).log()).sum(2)
        return (prior - 0.5 * spread).argmax(1)

    return answer


def logistic(x, y, classes, decay=1e-3):
    model = nn.Linear(x.shape[1], classes)
    with torch.no_grad():
        model.weight.zero_()
    optimizer = torch.optim.LBFGS(model.parameters(), max_iter=100, line_search_fn="strong_wolfe")

    def closure():
        optimizer.zero_grad()
        loss = F.cross_entropy(model(x), y) + decay * (model.weight**2).sum()
        loss.backward()
        return loss

    optimizer.step(closure)
    return lambda t: model(t).argmax(1)


def compare(report, name, data, sizes, tries, classes, least):
    """Mean test error of both by the number of examples."""
    x, y, test_x, test_y = data
    errors = {"naive Bayes": [], "logistic regression": []}
    for size in common.progress(sizes, name):
        sums = [0.0, 0.0]
        for _ in range(tries):
            # As many of each class: none may be missing.
            index = torch.cat(
                [
                    (y == c).nonzero()[:, 0][torch.randperm(int((y == c).sum()))[: size // classes]]
                    for c in range(classes)
                ]
            )
            for i, learn in enumerate(
                (lambda a, b: naive_bayes(a, b, classes, least), lambda a, b: logistic(a, b, classes))
            ):
                answer = learn(x[index], y[index])
                sums[i] += (answer(test_x) != test_y).float().mean().item()
        for kind, total in zip(errors, sums, strict=True):
            errors[kind].append(100 * total / tries)
    for size, a, b in zip(sizes, *errors.values(), strict=True):
        report.note(f"{name}, {size} examples: error %, naive Bayes and logistic", f"{a:.1f} {b:.1f}")
    return errors


def largest_curvature(model, x, y, rounds=20):
    """The largest eigenvalue of the loss's Hessian: power iteration on Hessian-vector products."""
    parameters = list(model.parameters())
    gradients = torch.autograd.grad(F.cross_entropy(model(x), y), parameters, create_graph=True)
    v = [torch.randn_like(p) for p in parameters]
    value = 0.0
    for _ in range(rounds):
        norm = math.sqrt(sum(float((t**2).sum()) for t in v))
        v = [t / norm for t in v]
        product = sum((g * t).sum() for g, t in zip(gradients, v, strict=True))
        image = torch.autograd.grad(product, parameters, retain_graph=True)
        value = sum(float((a * b).sum()) for a, b in zip(image, v, strict=True))
        v = [t.detach() for t in image]
    return value


def minima(options, report, data):
    x, y, test_x, test_y = (t[:2000] for t in data)
    found = {}
    for batch in (20, 1000):
        torch.manual_seed(options.seed)
        model = nn.Sequential(nn.Linear(784, 64), nn.Tanh(), nn.Linear(64, 10))
        optimizer = torch.optim.SGD(model.parameters(), lr=0.2)
        passes, loss = 0, math.inf
        while loss > 0.05 and passes < 2000:  # to the same training loss, however long it takes
            common.fit(model, x, y, optimizer, nn.CrossEntropyLoss(), 1, batch, f"batch {batch}")
            passes += 1
            with torch.no_grad():
                loss = F.cross_entropy(model(x), y).item()
        found[batch] = largest_curvature(model, x, y)
        share = common.accuracy(model, test_x, test_y)
        report.note(
            f"batches of {batch}: passes, loss, curvature, test accuracy %",
            f"{passes}, {loss:.3f}, {found[batch]:.2f}, {share:.1f}",
        )
    report.claim("curvature at the end, large batches over small", found[1000] / found[20], ">=", 1.1)
    return found


def main():
    options = common.parse(common.parser(__doc__))
    report = common.Report(options, "Generative and discriminative")
    data = common.need("sklearn.datasets").load_breast_cancer()
    x, y = torch.tensor(data.data, dtype=torch.float32), torch.tensor(data.target)
    a, b = common.cut(len(x), 0.4, options.seed)
    mean, deviation = x[a].mean(0), x[a].std(0)
    x = (x - mean) / deviation
    cancer = compare(
        report, "breast cancer", (x[a], y[a], x[b], y[b]), (8, 20, 60, 240), 10 if options.quick else 50, 2, 0.1
    )
    report.claim(
        "breast cancer, 240: naive Bayes' error over logistic's",
        cancer["naive Bayes"][-1] / cancer["logistic regression"][-1],
        ">",
        1,
    )
    images = common.mnist(options, 5000 if options.quick else 20000, 2000, flat=True)
    sizes = (20, 200, 2000) if options.quick else (20, 50, 200, 1000, 10000)
    digits = compare(report, "MNIST", images, sizes, 1 if options.quick else 3, 10, 0.05)
    report.claim(
        "MNIST, 20: naive Bayes' error over logistic's",
        digits["naive Bayes"][0] / digits["logistic regression"][0],
        "<=",
        1.2,
    )
    report.claim(
        f"MNIST, {sizes[-1]}: the same", digits["naive Bayes"][-1] / digits["logistic regression"][-1], ">", 1.1
    )
    minima(options, report, images)
    made, axes = common.figure(options, 1, 2, (9, 3.5))
    if made:
        for axis, name, at, errors in (
            (axes[0], "breast cancer", (8, 20, 60, 240), cancer),
            (axes[1], "MNIST", sizes, digits),
        ):
            for kind, values in errors.items():
                axis.semilogx(at, values, marker="o", label=kind)
            axis.set(xlabel="training examples", ylabel="test error %", title=name)
            axis.legend()
    common.save(options, made)
    report.end()


if __name__ == "__main__":
    main()
