"""Row 15: the variants of attention, each against its formula; and what they cost.

Scores: dot, scaled dot, additive, bilinear. Attention: key-value, self, multi-head, causal, cross. Positions: sines,
rotations, learned. Each is computed by the library in float64 and again here, word for word from its formula, in loops.
Then the notes' table of costs is measured: a convolution of width k takes O(k L d^2), a recurrent net O(L d^2) in L steps,
self-attention O(L^2 d): doubling the length shows it.
"""

import math
import time

import _common as common

torch = common.framework()
nn, F = torch.nn, torch.nn.functional
models = common.library("models")


def softmax(row):
    e = [math.exp(v - max(row)) for v in row]
    return [v / sum(e) for v in e]


def looped(scores, values, seen=lambda i, j: True):
    """Attention in loops over lists."""
    out = []
    for i, row in enumerate(scores):
        places = [j for j in range(len(row)) if seen(i, j)]
        shares = softmax([row[j] for j in places])
        out.append([sum(s * values[j][c] for s, j in zip(shares, places, strict=True)) for c in range(len(values[0]))])
    return torch.tensor(out, dtype=torch.float64)


def product(a, b):
    return sum(x * y for x, y in zip(a, b, strict=True))


def rows_of(matrix, x):
    """x W^T in loops; matrix [out, in]."""
    return [[product(row, w) for w in matrix] for row in x]


def scores_and_attention(report):
    n, m, d = 4, 6, 8
    q, k, v = (torch.randn(s, d, dtype=torch.float64) for s in (n, m, m))
    additive, bilinear = models.AdditiveScore(d, d, 5).double(), models.BilinearScore(d, d).double()
    wq, wk, wo = (w.weight.tolist() for w in (additive.query, additive.key, additive.out))
    left = rows_of(bilinear.weight.t().tolist(), q.tolist())
    formulas = {
        "dot": (models.dot_score, lambda a, b, i, j: product(a, b)),
        "scaled dot": (models.scaled_dot_score, lambda a, b, i, j: product(a, b) / math.sqrt(d)),
        "additive": (
            additive,
            lambda a, b, i, j: product(
                wo[0], [math.tanh(product(u, a) + product(w, b)) for u, w in zip(wq, wk, strict=True)]
            ),
        ),
        "bilinear": (bilinear, lambda a, b, i, j: product(left[i], b)),
    }
    for name, (score, formula) in formulas.items():
        with torch.no_grad():
            got, _ = models.attend(score(q, k), v)
        table = [[formula(a, b, i, j) for j, b in enumerate(k.tolist())] for i, a in enumerate(q.tolist())]
        apart = (got - looped(table, v.tolist())).abs().max()
        report.claim(f"key-value attention, {name} score: apart by", float(apart), "<=", 1e-12, digits=2)
    picked, choice = models.hard_attend(q @ k.T, v, training=False)
    report.check(
        "hard attention takes one place", bool((choice.sum(1) == 1).all() and (picked == v[(q @ k.T).argmax(1)]).all())
    )


def heads(report):
    n, m, d, h = 5, 7, 8, 2
    module = nn.MultiheadAttention(d, h, batch_first=True).double()
    nn.init.normal_(module.in_proj_bias)
    x, other = torch.randn(1, n, d, dtype=torch.float64), torch.randn(1, m, d, dtype=torch.float64)
    weight, bias = module.in_proj_weight.detach(), module.in_proj_bias.detach()
    causal = torch.ones(n, n, dtype=torch.bool).triu(1)
    cases = (
        ("self, multi-head", x, None, lambda i, j: True),
        ("self, multi-head, causal", x, causal, lambda i, j: j <= i),
        ("cross, multi-head", other, None, lambda i, j: True),
    )
    for name, source, mask, seen in cases:
        with torch.no_grad():
            got, _ = module(x, source, source, attn_mask=mask)
        parts = [
            [
                [v + b for v, b in zip(r, bias[s * d : s * d + d].tolist(), strict=True)]
                for r in rows_of(weight[s * d : s * d + d].tolist(), t)
            ]
            for s, t in ((0, x[0].tolist()), (1, source[0].tolist()), (2, source[0].tolist()))
        ]
        out = []
        for head in range(h):
            at = slice(head * d // h, (head + 1) * d // h)
            a, b, c = ([r[at] for r in part] for part in parts)
            table = [[product(r, s) / math.sqrt(d / h) for s in b] for r in a]
            out.append(looped(table, c, seen))
        want = torch.cat(out, 1) @ module.out_proj.weight.detach().T + module.out_proj.bias.detach()
        report.claim(f"{name}: apart by", float((got[0] - want).abs().max()), "<=", 1e-12, digits=2)


def where(report):
    table = models.sinusoidal_positions(50, 6, dtype=torch.float64)
    want = [[(math.sin, math.cos)[c % 2](p / 10000 ** (c // 2 * 2 / 6)) for c in range(6)] for p in range(50)]
    apart = (table - torch.tensor(want, dtype=torch.float64)).abs().max()
    report.claim("sinusoidal positions: apart by", float(apart), "<=", 1e-12, digits=2)
    q, k = torch.randn(2, 1, 6, dtype=torch.float64)
    products = [float(models.rotary(q, start=s + 3) @ models.rotary(k, start=s).T) for s in (0, 5, 40)]
    report.claim("rotations see distance alone: apart by", max(products) - min(products), "<=", 1e-12, digits=2)
    x = torch.randn(1, 5, 8, dtype=torch.float64)
    order, layer = torch.tensor([3, 1, 4, 0, 2]), nn.MultiheadAttention(8, 2, batch_first=True).double()
    with torch.no_grad():
        plain, shuffled = (layer(t, t, t)[0] for t in (x, x[:, order]))
        z = x + models.sinusoidal_positions(5, 8, dtype=torch.float64)
        y = x[:, order] + models.sinusoidal_positions(5, 8, dtype=torch.float64)
        with_places = (layer(z, z, z)[0][:, order] - layer(y, y, y)[0]).abs().max()
    report.claim(
        "without positions a shuffle changes nothing but the order",
        float((plain[:, order] - shuffled).abs().max()),
        "<=",
        1e-12,
        digits=2,
    )
    report.claim("with positions it does, by", float(with_places), ">=", 1e-3, digits=2)


def cost(options, report):
    """Seconds of a forward pass at two lengths, the best of several."""
    d, short, long = 64, 512, 2048 if options.quick else 4096
    layers = {
        "convolution, k = 3": (
            nn.Conv1d(d, d, 3, padding=1),
            lambda m, x: m(x.transpose(1, 2)),
            "O(k L d^2), 1 step, path log L",
        ),
        "recurrent net": (nn.RNN(d, d, batch_first=True), lambda m, x: m(x), "O(L d^2), L steps, path L"),
        "self-attention": (None, lambda m, x: F.scaled_dot_product_attention(x, x, x), "O(L^2 d), 1 step, path 1"),
    }
    growth, rows = {}, []
    for name, (module, call, formula) in layers.items():
        seconds = []
        for length in (short, long):
            x = torch.randn(1, length, d)
            best = math.inf
            with torch.no_grad():
                for _ in range(5 if options.quick else 20):
                    start = time.perf_counter()
                    call(module, x)
                    best = min(best, time.perf_counter() - start)
            seconds.append(best)
        growth[name] = math.log(seconds[1] / seconds[0]) / math.log(long / short)
        rows.append((name, seconds))
        report.note(
            f"{name}: {formula}", f"{1e3 * seconds[0]:.2f} ms, {1e3 * seconds[1]:.2f} ms; grows as L^{growth[name]:.2f}"
        )
    report.claim(
        "attention's growth with the length, over the recurrent net's",
        growth["self-attention"] - growth["recurrent net"],
        ">=",
        0.3,
    )
    return short, long, rows


def main():
    options = common.parse(common.parser(__doc__))
    report = common.Report(options, "Attention")
    scores_and_attention(report)
    heads(report)
    where(report)
    short, long, rows = cost(options, report)
    made, axes = common.figure(options, 1, 2, (10, 3.5))
    if made:
        axes[0].imshow(models.sinusoidal_positions(60, 64).T.numpy(), cmap="RdBu", aspect="auto")
        axes[0].set(xlabel="position", ylabel="dimension", title="Sinusoidal positions")
        for name, seconds in rows:
            axes[1].loglog((short, long), seconds, marker="o", label=name)
        axes[1].set(xlabel="length", ylabel="seconds", title="Cost of a forward pass, 64 wide")
        axes[1].legend(fontsize=7)
    common.save(options, made)
    report.end()


if __name__ == "__main__":
    main()
