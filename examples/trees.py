"""Row 21: a recursive network over trees, on sentiment made on the spot.

Leaves are words: good (+1), bad (-1), plain (0), and `not`, which turns what stands to its right round. A node's feeling is
the sum of its children's, kept within -2..2; the answer at each node is negative, neutral or positive. A Tree-LSTM follows
each tree; a bag of words, which does not see the tree, is held against it.
"""

import random

import _common as common

torch = common.framework()
nn, F = torch.nn, torch.nn.functional
TreeNet = common.library("models").TreeNet
WORDS = ("good", "bad", "plain", "not")


def tree_of(rng, leaves):
    """A random tree with that many leaves; `not` stands to the left alone."""
    if leaves == 1:
        return rng.randrange(3)
    if rng.random() < 0.3:
        return (3, tree_of(rng, leaves - 1))
    cut = rng.randint(1, leaves - 1)
    return (tree_of(rng, cut), tree_of(rng, leaves - cut))


def feelings(tree, out):
    """-2..2 of the tree; appends the answer 0..2 of every node, children first, as TreeNet orders them."""
    if isinstance(tree, int):
        value = (1, -1, 0, 0)[tree]
    elif tree[0] == 3:
        feelings(3, out)
        value = -feelings(tree[1], out)
    else:
        left = feelings(tree[0], out)
        value = max(-2, min(2, left + feelings(tree[1], out)))
    out.append((value > 0) - (value < 0) + 1)
    return value


def words_of(tree):
    return [tree] if isinstance(tree, int) else words_of(tree[0]) + words_of(tree[1])


def make(seed, count, least, most):
    rng = random.Random(seed)
    trees = [tree_of(rng, rng.randint(least, most)) for _ in range(count)]
    answers = []
    for tree in trees:
        out = []
        feelings(tree, out)
        answers.append(out)
    return trees, answers


def roots_right(net, head, trees, answers):
    with torch.no_grad():
        h, rows = net(trees)
        found = head(h[[own[-1] for own in rows]]).argmax(1)
    return 100 * (found == torch.tensor([a[-1] for a in answers])).float().mean().item()


def bag_of_words(trees, answers, test, test_answers):
    def count(some):
        return torch.tensor([[float(words_of(t).count(w)) for w in range(4)] for t in some])

    model = nn.Sequential(nn.Linear(4, 32), nn.ReLU(), nn.Linear(32, 3))
    x, y = count(trees), torch.tensor([a[-1] for a in answers])
    common.fit(model, x, y, torch.optim.Adam(model.parameters(), 0.01), nn.CrossEntropyLoss(), 10, 64, "bag of words")
    return common.accuracy(model, count(test), torch.tensor([a[-1] for a in test_answers]))


def main():
    parser = common.parser(__doc__)
    parser.add_argument("--epochs", type=int, default=12, help="passes (quick: 4)")
    options = common.parse(parser)
    report = common.Report(options, "A recursive network over trees")
    trees, answers = make(options.seed, 1500 if options.quick else 4000, 3, 12)
    test, test_answers = make(options.seed + 1, 500, 3, 12)
    large, large_answers = make(options.seed + 2, 300, 13, 20)
    net, head = TreeNet(len(WORDS), 32), nn.Linear(32, 3)
    optimizer = torch.optim.Adam([*net.parameters(), *head.parameters()], lr=5e-3)
    curve = []
    for epoch in range(4 if options.quick else options.epochs):
        for index in common.progress(common.batches(len(trees), 50), f"epoch {epoch + 1}"):
            some = index.tolist()
            h, rows = net([trees[i] for i in some])
            at = [r for own in rows for r in own]
            wanted = torch.tensor([a for i in some for a in answers[i]])
            optimizer.zero_grad()
            loss = F.cross_entropy(head(h[at]), wanted)
            loss.backward()
            optimizer.step()
            curve.append(loss.item())
    bound = 85 if options.quick else 95
    report.claim("roots of unseen trees, right in %", roots_right(net, head, test, test_answers), ">=", bound)
    report.note("larger trees than ever seen (13-20 leaves), %", f"{roots_right(net, head, large, large_answers):.1f}")
    bag = bag_of_words(trees, answers, test, test_answers)
    report.claim("a bag of words, which does not see the tree, %", bag, "<", bound)
    made, axes = common.figure(options, size=(5, 3.5))
    if made:
        axes[0].semilogy(curve, lw=0.7)
        axes[0].set(xlabel="step", ylabel="training loss, all nodes", title="Tree-LSTM")
    common.save(options, made)
    report.end()


if __name__ == "__main__":
    main()
