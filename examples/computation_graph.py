"""Row 4: the computation graph of the notes' example, f = (x + y) * max(y, z) at x = 1, y = 2, z = 0.

Each node is drawn with its value and its gradient, found by walking the tape backwards; Jacobians of a layer against the
notes' formulas; and every gradient against differences.
"""

import _common as common

torch = common.framework()


def graph_of(x, y, z):
    """The nodes by name, each keeping its gradient."""
    a = x + y
    b = torch.maximum(y, z)
    f = a * b
    nodes = {"x": x, "y": y, "z": z, "a = x + y": a, "b = max(y, z)": b, "f = a b": f}
    for node in nodes.values():
        node.retain_grad()
    f.backward()
    return nodes


def differences(function, point, step=1e-6):
    """Gradient by central differences."""
    out = []
    for i in range(len(point)):
        up, down = list(point), list(point)
        up[i] += step
        down[i] -= step
        out.append((function(*up) - function(*down)) / (2 * step))
    return out


def draw(options, nodes):
    made, axes = common.figure(options, size=(8, 4))
    if not made:
        return
    axis = axes[0]
    places = {
        "x": (0, 2),
        "y": (0, 1),
        "z": (0, 0),
        "a = x + y": (1, 1.6),
        "b = max(y, z)": (1, 0.4),
        "f = a b": (2, 1),
    }
    edges = [("x", "a = x + y"), ("y", "a = x + y"), ("y", "b = max(y, z)"), ("z", "b = max(y, z)")]
    for start, stop in [*edges, ("a = x + y", "f = a b"), ("b = max(y, z)", "f = a b")]:
        axis.annotate("", places[stop], places[start], arrowprops={"arrowstyle": "->", "shrinkA": 42, "shrinkB": 42})
    for name, (across, up) in places.items():
        label = f"{name}\nvalue {nodes[name].item():g}\ngradient {nodes[name].grad.item():g}"
        axis.text(across, up, label, ha="center", va="center", bbox={"boxstyle": "round", "facecolor": "lightyellow"})
    axis.set(xlim=(-0.4, 2.4), ylim=(-0.4, 2.4))
    axis.axis("off")
    common.save(options, made)


def jacobians(report):
    """h = tanh(z), z = W x + b: dz/dx = W, dz/db = I, dh/dz = diag(tanh'(z)), and the chain dh/dx = diag(...) W."""
    w, b, x = (torch.randn(*s, dtype=torch.float64) for s in ((3, 4), (3,), (4,)))
    jacobian = torch.autograd.functional.jacobian
    z = w @ x + b
    slope = torch.diag(1 - torch.tanh(z) ** 2)
    cases = {
        "dz/dx = W": (jacobian(lambda t: w @ t + b, x), w),
        "dz/db = I": (jacobian(lambda t: w @ x + t, b), torch.eye(3, dtype=torch.float64)),
        "dh/dz = diag(h'(z))": (jacobian(torch.tanh, z), slope),
        "dh/dx = diag(h'(z)) W": (jacobian(lambda t: torch.tanh(w @ t + b), x), slope @ w),
    }
    for name, (got, want) in cases.items():
        report.claim(f"Jacobian {name}, apart by", float((got - want).abs().max()), "<=", 1e-12, digits=2)
    u = torch.randn(3, dtype=torch.float64)
    weight = w.clone().requires_grad_()
    (u @ torch.tanh(weight @ x + b)).backward()
    outer = torch.outer(slope @ u, x)  # the notes: error signal times local gradient
    report.claim("ds/dW = delta x^T, apart by", float((weight.grad - outer).abs().max()), "<=", 1e-12, digits=2)


def main():
    options = common.parse(common.parser(__doc__))
    report = common.Report(options, "Computation graph")
    leaves = [torch.tensor(v, dtype=torch.float64, requires_grad=True) for v in (1.0, 2.0, 0.0)]
    nodes = graph_of(*leaves)
    wanted = {"x": (1, 2), "y": (2, 5), "z": (0, 0), "a = x + y": (3, 2), "b = max(y, z)": (2, 3), "f = a b": (6, 1)}
    for name, (value, gradient) in wanted.items():
        node = nodes[name]
        ok = node.item() == value and node.grad.item() == gradient
        report.check(name, ok, f"value {node.item():g}, gradient {node.grad.item():g}", "the notes' figure")
    numeric = differences(lambda x, y, z: (x + y) * max(y, z), (1.0, 2.0, 0.0))
    apart = max(abs(a - leaf.grad.item()) for a, leaf in zip(numeric, leaves, strict=True))
    report.claim("gradients against differences, apart by", apart, "<=", 1e-8, digits=2)
    ok = torch.autograd.gradcheck(lambda x, y, z: (x + y) * torch.maximum(y, z), leaves)
    report.check("autograd.gradcheck", bool(ok))
    jacobians(report)
    draw(options, nodes)
    report.end()


if __name__ == "__main__":
    main()
