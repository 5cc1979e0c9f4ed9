"""Row 3: logistic regression on breast cancer, softmax regression on iris and on MNIST.

Both are one linear layer; the first ends in a sigmoid and binary cross-entropy, the second in softmax and cross-entropy.
The convex problems have one minimum: the breast cancer weights are compared with those that scikit-learn finds.
"""

import _common as common

torch = common.framework()
nn = torch.nn


def standardise(train, test):
    mean, std = train.mean(0), train.std(0)
    return (train - mean) / std, (test - mean) / std


def table_data(name, seed):
    """(train x, y, test x, y) of scikit-learn's set, 30 % held back, standardised by the training part."""
    data = getattr(common.need("sklearn.datasets"), f"load_{name}")()
    x, y = torch.tensor(data.data, dtype=torch.float32), torch.tensor(data.target)
    a, b = common.cut(len(x), 0.3, seed)
    train, test = standardise(x[a], x[b])
    return train, y[a], test, y[b]


def newton_free_minimum(model, x, y, loss_function, decay, steps=200):
    """Full-batch L-BFGS on the regularised loss: to the bottom, as the problem is convex."""
    optimizer = torch.optim.LBFGS(
        model.parameters(), max_iter=steps, tolerance_grad=1e-9, line_search_fn="strong_wolfe"
    )

    def closure():
        optimizer.zero_grad()
        loss = loss_function(model(x), y) + decay * (model.weight**2).sum()
        loss.backward()
        return loss

    optimizer.step(closure)


def main():
    parser = common.parser(__doc__, with_torch=True)
    parser.add_argument("--epochs", type=int, default=20, help="passes over MNIST (quick: 6)")
    options = common.parse(parser)
    report = common.Report(options, "Logistic and softmax regression")

    # Breast cancer: yes or no.
    x, y, test_x, test_y = table_data("breast_cancer", options.seed)
    logistic = nn.Linear(x.shape[1], 1)
    with torch.no_grad():
        logistic.weight.zero_()  # one layer has no symmetry to break
    bce = nn.BCEWithLogitsLoss()
    newton_free_minimum(logistic, x, y, lambda z, t: bce(z[:, 0], t.float()), decay=0.5 / len(x))
    with torch.no_grad():
        share = 100 * ((logistic(test_x)[:, 0] > 0) == (test_y == 1)).float().mean().item()
    other = common.need("sklearn.linear_model").LogisticRegression(C=1.0, tol=1e-8, max_iter=5000)
    other.fit(x.numpy(), y.numpy())
    apart = float(abs(logistic.weight.detach().numpy() - other.coef_).max())
    report.claim("breast cancer, test accuracy %", share, ">=", 94)
    report.claim("weights, largest difference from scikit-learn's", apart, "<=", 5e-3, digits=2)

    # Iris: one of three.
    x, y, test_x, test_y = table_data("iris", options.seed)
    softmax = nn.Linear(4, 3)
    newton_free_minimum(softmax, x, y, nn.CrossEntropyLoss(), decay=0.5 / len(x))
    report.claim("iris, test accuracy %", common.accuracy(softmax, test_x, test_y), ">=", 90)

    # MNIST: 784 pixels, ten digits.
    x, y, test_x, test_y = common.mnist(options, *((20000, None) if options.quick else ()), flat=True)
    epochs = 6 if options.quick else options.epochs
    digits = nn.Linear(784, 10)
    optimizer = torch.optim.Adam(digits.parameters(), lr=1e-3)
    steps = epochs * -(-len(x) // 64)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    common.fit(digits, x, y, optimizer, nn.CrossEntropyLoss(), epochs, 64, "MNIST", schedule)
    source = "88.0 %: LeCun et al. 1998, linear classifier (one layer, squared error)"
    reached = common.accuracy(digits, test_x, test_y)
    report.claim("MNIST, test accuracy %", reached, ">=", 90 if options.quick else 92, source)

    made, axes = common.figure(options, 1, 10, (14, 2))
    if made:
        for digit, axis in enumerate(axes):  # what each output looks for
            axis.imshow(digits.weight[digit].detach().reshape(28, 28).numpy(), cmap="seismic", vmin=-0.8, vmax=0.8)
            axis.set_title(str(digit))
            axis.axis("off")
    common.save(options, made)
    report.end()


if __name__ == "__main__":
    main()
