"""Every loss, as module and function, in every reduction, against torch: values, gradients, printing and errors."""

import numpy as np
import pytest

torch = pytest.importorskip("torch")
import fastnn  # noqa: E402
from oracle.side_by_side import same, same_error  # noqa: E402

P, IDS = ("probability", (4, 5)), ("ids", (4,), 5)
UNIT = ("positive", (4, 5))
LABELS = np.array([[3, 0, -1, 1, 1], [1, 1, 2, -1, 0], [-1, 0, 1, 2, 3], [4, 3, 2, 1, 0]])

# A module's arguments but the reduction, and its inputs.
LOSSES = [
    ("L1Loss()", (4, 5), (4, 5)), ("MSELoss()", (4, 5), (4, 5)), ("SmoothL1Loss()", (4, 5), (4, 5)),
    ("SmoothL1Loss(beta=0.4)", (4, 5), (4, 5)), ("SmoothL1Loss(beta=0)", (4, 5), (4, 5)),
    ("HuberLoss()", (4, 5), (4, 5)), ("HuberLoss(delta=0.4)", (4, 5), (4, 5)), ("BCELoss()", P, P),
    ("BCELoss(T.arange(1.0, 6).to({d}))", P, P), ("BCEWithLogitsLoss()", (4, 5), P),
    ("BCEWithLogitsLoss(T.arange(1.0, 6).to({d}))", (4, 5), P),
    ("BCEWithLogitsLoss(pos_weight=T.arange(1.0, 6).to({d}))", (4, 5), P), ("NLLLoss()", (4, 5), IDS),
    ("NLLLoss(T.arange(0.0, 5).to({d}))", (4, 5), IDS), ("NLLLoss(ignore_index=2)", (4, 5), IDS),
    ("NLLLoss()", (5,), ("ids", (), 5)), ("NLLLoss()", (2, 5, 3, 2), ("ids", (2, 3, 2), 5)),
    ("NLLLoss(T.arange(1.0, 6).to({d}), ignore_index=1)", (2, 5, 3), ("ids", (2, 3), 5)),
    ("NLLLoss()", (0, 5), ("ids", (0,), 5)), ("NLLLoss2d()", (2, 5, 3, 2), ("ids", (2, 3, 2), 5)),
    ("NLLLoss(ignore_index=0)", (3, 5), np.zeros(3, np.int64)), ("CrossEntropyLoss()", (4, 5), IDS),
    ("CrossEntropyLoss(label_smoothing=0.2)", (4, 5), IDS),
    ("CrossEntropyLoss(T.arange(1.0, 6).to({d}), label_smoothing=0.2, ignore_index=1)", (2, 5, 3), ("ids", (2, 3), 5)),
    ("CrossEntropyLoss(T.arange(1.0, 6).to({d}), label_smoothing=0.2)", (4, 5), P),
    ("CrossEntropyLoss()", (5,), ("ids", (), 5)), ("KLDivLoss()", (4, 5), P),
    ("KLDivLoss(log_target=True)", (4, 5), (4, 5)), ("KLDivLoss()", (4, 5), P), ("PoissonNLLLoss()", (4, 5), UNIT),
    ("PoissonNLLLoss(log_input=False)", UNIT, UNIT), ("PoissonNLLLoss(full=True)", (4, 5), ("positive", (4, 5))),
    ("PoissonNLLLoss(log_input=False, eps=0.1)", UNIT, UNIT), ("GaussianNLLLoss()", (4, 5), (4, 5), UNIT),
    ("GaussianNLLLoss(full=True)", (4, 5), (4, 5), ("positive", (4, 1))),
    ("GaussianNLLLoss(eps=1.0)", (4, 5), (4, 5), ("positive", (4,))),
    ("GaussianNLLLoss()", (4, 5), (4, 5), ("positive", (4, 1))), ("HingeEmbeddingLoss()", (4, 5), ("sign", (4, 5))),
    ("HingeEmbeddingLoss(0.3)", (4, 5), ("sign", (4, 5))), ("MarginRankingLoss()", (6,), (6,), ("sign", (6,))),
    ("MarginRankingLoss(0.7)", (6, 2), (6, 2), ("sign", (6, 2))),
    ("CosineEmbeddingLoss()", (6, 3), (6, 3), ("sign", (6,))),
    ("CosineEmbeddingLoss(0.3)", (6, 3), (6, 3), ("sign", (6,))),
    ("CosineEmbeddingLoss(-0.5)", (3,), (3,), np.ones(())),
    ("CosineEmbeddingLoss()", np.zeros((2, 3)), (2, 3), np.ones(2)), ("MultiMarginLoss()", (4, 5), IDS),
    ("MultiMarginLoss(2, 0.3)", (4, 5), IDS), ("MultiMarginLoss()", (5,), ("ids", (), 5)),
    ("MultiMarginLoss(weight=T.arange(1.0, 6).to({d}))", (4, 5), IDS),
    ("MultiMarginLoss(2, weight=T.arange(1.0, 6).to({d}))", (4, 5), IDS), ("MultiLabelMarginLoss()", (4, 5), LABELS),
    ("MultiLabelMarginLoss()", (5,), LABELS[0]), ("MultiLabelMarginLoss()", (1, 5), LABELS[2:3]),
    ("MultiLabelSoftMarginLoss()", (4, 5), P), ("MultiLabelSoftMarginLoss(T.arange(1.0, 6).to({d}))", (4, 5), P),
    ("TripletMarginLoss()", (6, 3), (6, 3), (6, 3)),
    ("TripletMarginLoss(0.5, p=1, swap=True)", (6, 3), (6, 3), (6, 3)), ("TripletMarginLoss()", (3,), (3,), (3,)),
    ("TripletMarginWithDistanceLoss()", (6, 3), (6, 3), (6, 3)),
    ("TripletMarginWithDistanceLoss(swap=True, margin=2)", (6, 3), (6, 3), (6, 3)),
    ("TripletMarginWithDistanceLoss(distance_function=lambda a, b: 1 - F.cosine_similarity(a, b))", (6, 3), (6, 3), (6, 3)),
]  # fmt: skip


@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
@pytest.mark.parametrize("case", LOSSES, ids=lambda c: f"{c[0]} {c[1]}")
def test_loss(case, reduction, table):
    text, *inputs = case
    if "distance_function" in text:  # a lambda prints its address
        text = text.replace("lambda a, b: 1 - F.cosine_similarity(a, b)", "F.cosine_similarity")
        inputs = inputs if reduction != "none" else [(3, 2), (3, 2), (3, 2)]
        text = f"(lambda *a: nn.{text[:-1]}, reduction='{reduction}')(*a))"
        return same(text, *inputs)
    text = f"nn.{text[:-1]}{'' if text.endswith('()') else ', '}reduction='{reduction}')"
    if "{d}" in text:  # a weight in the inputs' dtype
        text = f"(lambda *a: {text.replace('{d}', 'a[0].dtype')}(*a))"
    same(text, *inputs)


OTHERS = [
    ("(lambda x, y: nn.KLDivLoss()(x, y.detach()))", (4, 5), np.eye(4, 5)),
    ("(lambda x, y: nn.SoftMarginLoss()(x, y.detach()))", (4, 5), ("sign", (4, 5))),
    ("(lambda x, y: nn.SoftMarginLoss(reduction='none')(x, y.detach()))", (4, 5), ("sign", (4, 5))),
    ("(lambda x, y: nn.SoftMarginLoss(reduction='sum')(x, y.detach()))", (4, 5), ("sign", (4, 5))),
    ("nn.KLDivLoss(reduction='batchmean')", (4, 5), P),
    ("nn.KLDivLoss(reduction='batchmean', log_target=True)", (4, 5), (4, 5)),
    ("nn.MSELoss(size_average=False)", (4, 5), (4, 5)), ("nn.L1Loss(reduce=False)", (4, 5), (4, 5)),
    ("nn.BCELoss(size_average=True)", P, P), ("nn.NLLLoss(size_average=False)", (4, 5), IDS),
    ("nn.CrossEntropyLoss(reduce=False)", (4, 5), IDS),
    ("(lambda x, y: F.mse_loss(x, y, reduce=True))", (4, 5), (4, 5)),
    ("(lambda x, y: F.nll_loss(x, y, None, False))", (4, 5), IDS),
    ("(lambda x, y: F.l1_loss(x, y, size_average=False, reduce=True))", (4, 5), (4, 5)),
    ("nn.CosineSimilarity()", (4, 5), (4, 5)), ("nn.CosineSimilarity(dim=0)", (4, 5), (4, 5)),
    ("nn.CosineSimilarity(-1)", (4, 5), (1, 5)),
    ("(lambda x, y: F.cosine_similarity(x[:, None], y[None], dim=-1))", (4, 5), (3, 5)),
    ("nn.PairwiseDistance()", (4, 5), (4, 5)), ("nn.PairwiseDistance(1, keepdim=True)", (4, 5), (4, 5)),
    ("nn.PairwiseDistance(3.0, 0.1)", (5,), (5,)), ("nn.PairwiseDistance(float('inf'))", (4, 5), (1, 5)),
    ("(lambda x, y, v: F.gaussian_nll_loss(x, y, 0.7))", (4, 5), (4, 5), (1,)),
    ("(lambda x, y, w: F.mse_loss(x, y, weight=w))", (4, 5), (4, 5), UNIT),
    ("(lambda x, y, w: F.l1_loss(x, y, weight=w, reduction='sum'))", (4, 5), (4, 5), UNIT),
    ("(lambda x, y, w: F.huber_loss(x, y, weight=w))", (4, 5), (4, 5), UNIT), ("nn.MSELoss()", (4, 5), (5,)),
    ("nn.L1Loss()", (4, 5), (1, 5)), ("nn.SmoothL1Loss()", (4, 1), (1, 5)),
    ("nn.HingeEmbeddingLoss()", (4, 5), ("sign", (5,))), ("nn.PoissonNLLLoss()", (4, 5), ("positive", (5,))),
    ("(lambda x, y: F.mse_loss(x, y.float()))", (4, 5), (4, 5)),
    ("(lambda x, y: F.binary_cross_entropy_with_logits(x, y, T.tensor(2.0).to(x.dtype)))", (4, 5), P),
]  # fmt: skip


@pytest.mark.parametrize("case", OTHERS, ids=lambda c: c[0])
def test_options_and_distances(case, table):
    same(*case)


def ctc(t, n, c, targets, inputs, lengths, **options):
    args = ", ".join(f"{k}={v!r}" for k, v in options.items())
    targets = np.array(targets)
    shape = (t, n, c) if n else (t, c)
    text = f"(lambda x, y, a, b: F.ctc_loss(F.log_softmax(x, -1), y, a, b, {args}))"
    return text, shape, targets, np.array(inputs), np.array(lengths)


CTC = [
    ctc(8, 3, 5, [[1, 2, 3], [2, 2, 0], [4, 0, 0]], [8, 7, 5], [3, 2, 1]),
    ctc(8, 3, 5, [1, 2, 3, 2, 2, 4], [8, 7, 5], [3, 2, 1]),
    ctc(8, 3, 5, [1, 2, 3, 2, 2, 4], [8, 7, 5], [3, 2, 1], reduction="sum"),
    ctc(8, 3, 5, [1, 2, 3, 2, 2, 4], [8, 7, 5], [3, 2, 1], reduction="none"),
    ctc(8, 3, 5, [[1, 2, 3], [2, 2, 0], [3, 0, 0]], [8, 7, 5], [3, 2, 1], blank=4),
    ctc(4, 2, 5, [[1, 1, 1, 1], [2, 3, 1, 2]], [4, 4], [4, 2], zero_infinity=True),
    ctc(4, 2, 5, [[1, 1, 1, 1], [2, 3, 1, 2]], [4, 4], [4, 2], zero_infinity=True, reduction="none"),
    ctc(6, 2, 4, [[1, 2], [3, 3]], [6, 6], [0, 2]), ctc(6, 2, 4, [[1, 2], [3, 3]], [6, 6], [0, 0], reduction="none"),
    ctc(6, 0, 4, [1, 2, 3], [6], [3]), ctc(6, 0, 4, [1, 2, 3], [6], [3], reduction="none"),
    ctc(30, 4, 20, np.random.default_rng(0).integers(1, 20, (4, 12)), [30, 29, 25, 25], [12, 10, 12, 3]),
]  # fmt: skip


@pytest.mark.parametrize("case", range(len(CTC)))
def test_ctc(case):
    same(*CTC[case], rtol=1e-4, atol=1e-5)


def test_ctc_module_and_lists():
    a, b = np.array([[1, 2, 3], [2, 2, 0]]), np.array([[1, 1, 3], [3, 3, 0]])
    same("(lambda x, y: nn.CTCLoss(zero_infinity=True)(x.log_softmax(2), y, (8, 7), [3, 2]))", (8, 2, 5), a)
    lengths = "T.tensor([8, 7]), T.tensor([3, 2])"
    same(f"(lambda x, y: nn.CTCLoss(2, 'sum')(x.log_softmax(2), y.int(), {lengths}))", (8, 2, 5), b)


ERRORS = [
    ("nn.MSELoss(reduction='avg')", (2, 3), (2, 3)), ("F.l1_loss(T.ones(2), T.ones(3))",),
    ("F.smooth_l1_loss(T.ones(2), T.ones(2), beta=-1)",), ("F.huber_loss(T.ones(2), T.ones(2), delta=0)",),
    ("nn.BCELoss()", P, ("probability", (4, 4))), ("F.binary_cross_entropy(T.ones(2) * 2, T.ones(2))",),
    ("nn.BCEWithLogitsLoss()", (4, 5), (4, 4)), ("nn.NLLLoss()", (4, 5), ("ids", (3,), 5)),
    ("nn.NLLLoss()", (4, 2), np.array([0, 1, 2, 0])), ("nn.NLLLoss()", (4, 2), np.array([0, 1, -1, 0])),
    ("nn.NLLLoss(T.ones(3))", (4, 2), np.array([0, 1, 1, 0])), ("nn.NLLLoss()", (4, 5), (4,)),
    ("nn.CrossEntropyLoss()", (4, 5), ("ids", (3,), 5)), ("nn.SoftMarginLoss()", (2, 3), (2, 2)),
    ("nn.MultiMarginLoss(3)",), ("nn.MultiMarginLoss()", (4, 5), ("ids", (3,), 5)),
    ("nn.MultiMarginLoss()", (4, 2), np.array([0, 1, 2, 0])), ("nn.MultiMarginLoss(weight=T.ones(2, 2))",),
    ("nn.MultiMarginLoss(weight=T.ones(2))", (4, 5), IDS), ("nn.MultiMarginLoss()", (2, 3, 4), ("ids", (2,), 3)),
    ("nn.MultiLabelMarginLoss()", (4, 5), ("ids", (4, 4), 4)),
    ("nn.MultiLabelMarginLoss()", (1, 2), np.array([[2, 0]])), ("nn.TripletMarginLoss(margin=0)",),
    ("nn.TripletMarginLoss()", (2, 3), (2, 3), (3,)), ("nn.TripletMarginWithDistanceLoss(margin=-1)",),
    ("F.triplet_margin_with_distance_loss(T.ones(2, 3), T.ones(2, 3), T.ones(2, 3), margin=-1)",),
    ("F.triplet_margin_with_distance_loss(T.ones(2, 3), T.ones(2, 3), T.ones(3))",),
    ("nn.CosineEmbeddingLoss()", (2, 3), (2, 3), (2, 2)), ("nn.CosineEmbeddingLoss()", (3,), (3,), np.ones(2)),
    ("nn.CosineEmbeddingLoss()", (2, 3), (2, 4), np.ones(2)), ("nn.MarginRankingLoss()", (2,), (2,), (2, 2)),
    ("nn.GaussianNLLLoss()", (2, 3), (2, 3), np.array([-1.0, 1.0])), ("nn.GaussianNLLLoss()", (2, 3), (2, 3), (3,)),
    ("nn.GaussianNLLLoss(True)",), ("F.gaussian_nll_loss(T.ones(2), T.ones(2), -1.0)",),
    ("F.kl_div(T.ones(2), T.ones(3))",), ("nn.PoissonNLLLoss(reduction='x')", (2,), (2,)),
    ("F.ctc_loss(T.zeros(4, 2, 3), T.tensor([[1], [3]]), T.tensor([4, 4]), T.tensor([1]))",),
    ("F.ctc_loss(T.zeros(4, 2, 3), T.tensor([[1], [2]]), T.tensor([5, 4]), T.tensor([1, 1]))",),
    ("F.ctc_loss(T.zeros(4, 2, 3), T.tensor([[1], [2]]), T.tensor([4, 4]), T.tensor([1, 1]), blank=3)",),
    ("F.ctc_loss(T.zeros(4, 2, 3), T.tensor([[1], [2]]), T.tensor([4, 4]), T.tensor([1, 2]))",),
    ("F.ctc_loss(T.zeros(4, 2, 3), T.ones(2, 1), T.tensor([4, 4]), T.tensor([1, 1]))",),
    ("F.mse_loss(T.ones(2), T.ones(2), weight=T.ones(3))",), ("F.cosine_similarity(T.ones(2, 3), T.ones(3, 3))",),
    ("F.cross_entropy(T.ones(2, 3), T.ones(2, 3), label_smoothing=2.0)",),
    ("F.hinge_embedding_loss(T.ones(2), T.ones(2), reduction='m')",),
    ("F.multilabel_soft_margin_loss(T.ones(2, 3), T.ones(2, 2))",),
]  # fmt: skip


@pytest.mark.parametrize("case", ERRORS, ids=lambda c: f"{c[0]} {c[1:]}"[:100])
def test_errors(case):
    same_error(*case)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("n", [0, 1, 5, 16, 17, 18, 257, 258, 4097, 4098, 70000])
def test_sum_of_losses_to_the_last_bit(n, dtype, table):
    """A script's printed loss is a mean of many: only torch's order of addition gives torch's digits."""
    losses = np.abs(np.random.default_rng(n).standard_normal(n)).astype(dtype) * 3
    results = []
    for T in (torch, fastnn):
        target = T.zeros(n, dtype=T.int64)
        results.append(T.nn.functional.nll_loss(T.from_numpy(-losses[:, None]), target, reduction="sum").item())
    assert results[0] == results[1]
