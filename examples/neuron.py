"""Row 1: one neuron, linear regression on scikit-learn's diabetes data.

Gradient descent on the squared error, against the closed form w = (X^T X)^-1 X^T y, and what the learning rate does: too
small is slow, too large diverges. The bound is 2 over the largest eigenvalue of the Hessian.
"""

import _common as common

torch = common.framework()
nn = torch.nn


def main():
    parser = common.parser(__doc__)
    parser.add_argument("--steps", type=int, default=50_000, help="of gradient descent at most")
    options = common.parse(parser)
    report = common.Report(options, "A neuron")
    data = common.need("sklearn.datasets").load_diabetes()
    x, y = torch.tensor(data.data, dtype=torch.float64), torch.tensor(data.target, dtype=torch.float64)
    x = (x - x.mean(0)) / x.std(0)
    y = (y - y.mean()) / y.std()

    # The closed form, with a column of ones for the bias.
    design = torch.cat([x, torch.ones(len(x), 1, dtype=torch.float64)], 1)
    exact = torch.linalg.solve(design.T @ design, design.T @ y)
    hessian = 2 * design.T @ design / len(x)
    bound = 2 / float(torch.linalg.eigvalsh(hessian)[-1])

    curves, coefficients = {}, None
    for share in (0.05, 0.5, 0.95, 1.05):
        neuron = nn.Linear(x.shape[1], 1).double()
        with torch.no_grad():
            neuron.weight.zero_()
            neuron.bias.zero_()
        optimizer = torch.optim.SGD(neuron.parameters(), lr=share * bound)
        curve = []
        for step in range(options.steps if share == 0.95 else 300):
            optimizer.zero_grad()
            loss = ((neuron(x)[:, 0] - y) ** 2).mean()
            loss.backward()
            if share == 0.95 and float(neuron.weight.grad.norm()) < 1e-9:
                break
            optimizer.step()
            if step < 300:
                curve.append(loss.item())
        curves[share] = curve
        if share == 0.95:
            coefficients = torch.cat([neuron.weight.detach()[0], neuron.bias.detach()])
    apart = float((coefficients - exact).abs().max())
    report.claim("gradient descent against the closed form, largest difference", apart, "<=", 1e-3, digits=2)
    other = common.need("sklearn.linear_model").LinearRegression().fit(x.numpy(), y.numpy())
    apart = float(abs(coefficients[:-1].numpy() - other.coef_).max())
    report.claim("against scikit-learn's", apart, "<=", 1e-3, digits=2)
    report.check("a rate just below the bound falls", curves[0.95][-1] < curves[0.95][0], f"{curves[0.95][-1]:.4f}")
    # The largest eigenvalue's direction grows by 1.1 a step: in the end it overtakes everything.
    report.check("a rate just above it grows", curves[1.05][-1] > curves[1.05][150], f"{curves[1.05][-1]:.3g}")
    report.claim("a small rate is slower: its loss after 20 steps", curves[0.05][20], ">", curves[0.5][20])

    made, axes = common.figure(options, size=(5, 3.5))
    if made:
        for share, curve in curves.items():
            axes[0].semilogy([min(v, 1e3) for v in curve], label=f"{share} of the bound")
        axes[0].set(xlabel="step", ylabel="squared error", title="Learning rates", ylim=(0.3, 100))
        axes[0].legend()
    common.save(options, made)
    report.end()


if __name__ == "__main__":
    main()
