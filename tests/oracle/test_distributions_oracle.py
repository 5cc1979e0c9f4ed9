"""fastnn.distributions against torch.distributions: samples from one seed, log_prob and its gradients, moments, KL."""

import numpy as np
import pytest
import torch

import fastnn

DTYPES = ["float32", "float64"]


def arr(*values):
    return np.array(values)


# name: (class, parameters); floats become tensors of the dtype under test
CASES = {
    "Normal": ("Normal", {"loc": arr(0.3, -2.0, 5.0), "scale": arr(0.5, 1.0, 3.0)}),
    "Normal_numbers": ("Normal", {"loc": 0.5, "scale": 2.0}),
    "Normal_many": ("Normal", {"loc": np.linspace(-1, 1, 40).reshape(5, 8), "scale": np.ones((5, 8))}),
    "LogNormal": ("LogNormal", {"loc": arr(0.3, -1.0), "scale": arr(0.5, 1.0)}),
    "HalfNormal": ("HalfNormal", {"scale": arr(0.5, 1.0)}),
    "Uniform": ("Uniform", {"low": arr(-1.0, 2.0), "high": arr(3.0, 2.5)}),
    "Exponential": ("Exponential", {"rate": arr(0.5, 3.0)}),
    "Laplace": ("Laplace", {"loc": arr(0.5, -3.0), "scale": arr(0.3, 2.0)}),
    "Cauchy": ("Cauchy", {"loc": arr(0.5, -3.0), "scale": arr(0.3, 2.0)}),
    "Gumbel": ("Gumbel", {"loc": arr(0.5, -3.0), "scale": arr(0.3, 2.0)}),
    "Gamma": ("Gamma", {"concentration": arr(0.3, 1.0, 7.5, 200.0), "rate": arr(2.0, 0.5, 1.0, 3.0)}),
    "Chi2": ("Chi2", {"df": arr(0.5, 3.0, 12.0)}),
    "StudentT": ("StudentT", {"df": arr(0.5, 3.0, 12.0), "loc": arr(1.0, 0.0, -1.0), "scale": arr(1.0, 2.0, 3.0)}),
    "Beta": ("Beta", {"concentration1": arr(0.3, 2.0, 30.0), "concentration0": arr(0.7, 5.0, 1.0)}),
    "Dirichlet": ("Dirichlet", {"concentration": arr([0.3, 2.0, 5.0], [1.0, 1.0, 40.0])}),
    "Bernoulli": ("Bernoulli", {"probs": arr(0.1, 0.5, 0.95)}),
    "Bernoulli_logits": ("Bernoulli", {"logits": arr(-3.0, 0.0, 2.0)}),
    "Geometric": ("Geometric", {"probs": arr(0.1, 0.5, 0.95)}),
    "Categorical": ("Categorical", {"probs": arr([1.0, 2.0, 3.0], [0.2, 0.0, 0.8])}),
    "Categorical_logits": ("Categorical", {"logits": arr([1.0, -2.0, 3.0], [0.0, 0.0, 0.0])}),
    "Categorical_one": ("Categorical", {"logits": arr(1.0, -2.0, 3.0)}),
    "OneHotCategorical": ("OneHotCategorical", {"probs": arr([1.0, 2.0, 3.0], [0.2, 0.3, 0.5])}),
    "OneHotStraight": ("OneHotCategoricalStraightThrough", {"logits": arr([1.0, 2.0, 3.0], [0.2, 0.3, 0.5])}),
    "HalfCauchy": ("HalfCauchy", {"scale": arr(0.5, 1.0)}),
    "NegativeBinomial": ("NegativeBinomial", {"total_count": arr(3.0, 20.0, 0.5), "probs": arr(0.4, 0.1, 0.7)}),
    "NegativeBinomial_logits": ("NegativeBinomial", {"total_count": 5, "logits": arr(-1.0, 0.0, 1.5)}),
    "RelaxedBernoulli": ("RelaxedBernoulli", {"temperature": np.array(0.7), "probs": arr(0.1, 0.5, 0.95)}),
    "RelaxedBernoulli_logits": ("RelaxedBernoulli", {"temperature": np.array(1.5), "logits": arr(-3.0, 0.0, 2.0)}),
    "RelaxedCategorical": (
        "RelaxedOneHotCategorical",
        {"temperature": np.array(0.7), "probs": arr([1.0, 2.0, 3.0], [0.2, 0.3, 0.5])},
    ),
    "RelaxedCategorical_logits": (
        "RelaxedOneHotCategorical",
        {"temperature": np.array(2.0), "logits": arr([1.0, -2.0, 3.0], [0.0, 0.0, 0.0])},
    ),
    "Poisson": ("Poisson", {"rate": arr(0.2, 3.0, 9.9, 10.0, 57.0)}),
    "Binomial": ("Binomial", {"total_count": arr(3.0, 20.0, 100.0, 1000.0), "probs": arr(0.4, 0.9, 0.3, 0.02)}),
    "Binomial_logits": ("Binomial", {"total_count": 12, "logits": arr(-1.0, 0.0, 3.0)}),
    "Multinomial": ("Multinomial", {"total_count": 7, "probs": arr([1.0, 2.0, 3.0], [0.2, 0.3, 0.5])}),
    "MultivariateNormal": (
        "MultivariateNormal",
        {"loc": arr(1.0, -1.0, 0.5), "covariance_matrix": arr([2.0, 0.3, 0.1], [0.3, 1.0, -0.2], [0.1, -0.2, 0.5])},
    ),
    "MultivariateNormal_tril": (
        "MultivariateNormal",
        {"loc": arr([1.0, -1.0], [0.0, 3.0]), "scale_tril": arr([1.5, 0.0], [-0.4, 0.7])},
    ),
    "MultivariateNormal_precision": (
        "MultivariateNormal",
        {"loc": arr(1.0, -1.0), "precision_matrix": arr([2.0, 0.3], [0.3, 1.0])},
    ),
}


def make(T, name, dtype, grad=False):
    cls, given = CASES[name]
    params = {
        k: T.from_numpy(v.astype(dtype)).requires_grad_(grad) if isinstance(v, np.ndarray) else v
        for k, v in given.items()
    }
    return getattr(T.distributions, cls)(**params), [p for p in params.values() if not isinstance(p, (int, float))]


def same(ours, theirs, dtype="float32", scale=1.0):
    if theirs is None:
        assert ours is None
        return
    assert str(ours.dtype) == str(theirs.dtype)
    assert tuple(ours.shape) == tuple(theirs.shape)
    rtol = scale * (2e-5 if ours.dtype is fastnn.float32 else 1e-9)
    b = theirs.detach().numpy()
    finite = np.abs(b[np.isfinite(b)]).max() if np.isfinite(b).any() else 1.0
    np.testing.assert_allclose(ours.detach().numpy(), b, rtol=rtol, atol=rtol * 0.1 * max(finite, 1e-3))


def outcome(f):
    try:
        return f()
    except Exception as error:  # noqa: BLE001
        return error


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", CASES)
def test_samples_are_torchs(name, dtype):
    ours, theirs = (make(T, name, dtype)[0] for T in (fastnn, torch))
    assert ours.batch_shape == theirs.batch_shape and ours.event_shape == theirs.event_shape
    assert ours.has_rsample == theirs.has_rsample
    for shape in ((), (1,), (4,), (3, 2)):
        for draw in ("sample", "rsample") if theirs.has_rsample else ("sample",):
            values = []
            for T, d in ((fastnn, ours), (torch, theirs)):
                T.manual_seed(11)
                values.append(getattr(d, draw)(shape))
                values.append(T.rand(2))  # both streams stand at the same place
            same(values[0], values[2])
            same(values[1], values[3])


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", CASES)
def test_densities_and_their_gradients(name, dtype):
    torch.manual_seed(5)
    drawn = make(torch, name, dtype)[0].sample((6,))
    results = []
    for T in (fastnn, torch):
        d, params = make(T, name, dtype, grad=True)
        value = T.from_numpy(drawn.numpy().copy())
        if value.is_floating_point() and d.has_rsample and "OneHot" not in name:
            value.requires_grad_()
        logs = d.log_prob(value)
        logs.sum().backward()
        results.append([logs, value.grad, *(p.grad for p in params)])
    for ours, theirs in zip(*results, strict=True):
        same(ours, theirs, scale=10)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", CASES)
def test_moments(name, dtype):
    ours, theirs = (make(T, name, dtype)[0] for T in (fastnn, torch))
    wanted = ["mean", "mode", "variance", "stddev", "entropy", "perplexity", "enumerate_support"]
    for what in wanted:
        a, b = (outcome(lambda d=d, w=what: (v := getattr(d, w))() if callable(v := getattr(d, w)) else v)
                for d in (ours, theirs))  # fmt: skip
        if isinstance(b, Exception):
            assert isinstance(a, Exception), (what, a, b)
        else:
            assert not isinstance(a, Exception), (what, a)
            same(a, b, scale=1000 if name == "Multinomial" else 10)  # torch takes its log n! in float32
    for what in ("cdf", "icdf"):
        p = np.linspace(0.1, 0.9, 5).astype(dtype).reshape(5, *(1,) * len(theirs.batch_shape))
        a, b = (outcome(lambda T=T, d=d, w=what, p=p: getattr(d, w)(T.from_numpy(p) + (2 if name == "Uniform" else 0)))
                for T, d in ((fastnn, ours), (torch, theirs)))  # fmt: skip
        if not isinstance(b, Exception):
            assert not isinstance(a, Exception), (what, a)
            same(a, b, scale=10)


@pytest.mark.parametrize(
    "name", [n for n in CASES if getattr(torch.distributions, CASES[n][0]).has_rsample and "number" not in n]
)
def test_reparametrised_gradients(name):
    """torch's own gradients of gamma and Dirichlet draws are approximations of a few digits."""
    rough = any(n in name for n in ("Gamma", "Chi2", "StudentT", "Beta", "Dirichlet"))
    results = []
    for T in (fastnn, torch):
        d, params = make(T, name, "float64", grad=True)
        T.manual_seed(3)
        (d.rsample((5,)) ** 2).sum().backward()
        results.append([p.grad for p in params])
    for ours, theirs in zip(*results, strict=True):
        a, b = ours.numpy(), theirs.numpy()
        np.testing.assert_allclose(a, b, rtol=2e-3 if rough else 1e-9, atol=2e-3 * np.abs(b).max() if rough else 1e-12)


def test_gamma_gradient_against_differences():
    """dx/da at a fixed quantile, from the inverse of the distribution function."""
    special = pytest.importorskip("scipy.special")
    alpha = np.array([0.05, 0.4, 1.0, 3.7, 20.0, 300.0])
    fastnn.manual_seed(0)
    a = fastnn.from_numpy(alpha).requires_grad_()
    x = fastnn._standard_gamma(a)
    x.sum().backward()
    q, h = special.gammainc(alpha, x.detach().numpy()), 1e-4 * alpha
    expected = (special.gammaincinv(alpha + h, q) - special.gammaincinv(alpha - h, q)) / (2 * h)
    np.testing.assert_allclose(a.grad.numpy(), expected, rtol=1e-5)


@pytest.mark.parametrize("name", CASES)
def test_expand_independent_repr(name):
    ours, theirs = (make(T, name, "float64")[0] for T in (fastnn, torch))
    assert repr(ours) == repr(theirs)
    shape = (3, *theirs.batch_shape)
    a, b = ours.expand(shape), theirs.expand(shape)
    assert a.batch_shape == b.batch_shape and a.event_shape == b.event_shape
    ours.sample()  # probabilities are computed, on both sides, and shown from then on
    torch.manual_seed(1)
    value = theirs.sample((2, 3))
    same(a.log_prob(fastnn.from_numpy(value.numpy().copy())), b.log_prob(value), scale=10)
    if theirs.batch_shape:
        a, b = fastnn.distributions.Independent(ours, 1), torch.distributions.Independent(theirs, 1)
        assert a.batch_shape == b.batch_shape and a.event_shape == b.event_shape and repr(a) == repr(b)
        same(a.log_prob(fastnn.from_numpy(value.numpy().copy())), b.log_prob(value), scale=10)


PAIRS = [
    ("Normal", "Normal"), ("Bernoulli", "Bernoulli_logits"), ("Beta", "Beta"), ("Categorical", "Categorical_logits"),
    ("Cauchy", "Cauchy"), ("Dirichlet", "Dirichlet"), ("Exponential", "Exponential"), ("Gamma", "Gamma"),
    ("Gumbel", "Gumbel"), ("Geometric", "Geometric"), ("HalfNormal", "HalfNormal"), ("Laplace", "Laplace"),
    ("LogNormal", "LogNormal"), ("OneHotCategorical", "OneHotCategorical"), ("Poisson", "Poisson"),
    ("Uniform", "Uniform"), ("Binomial_logits", "Binomial_logits"), ("Uniform", "Normal_numbers"),
    ("MultivariateNormal_tril", "MultivariateNormal_precision"), ("Laplace", "Normal_numbers"),
]  # fmt: skip


@pytest.mark.parametrize("first, second", PAIRS)
def test_kl(first, second):
    """Of a distribution with another of its family, whose parameters are moved."""
    results = []
    for T in (fastnn, torch):
        p, params = make(T, first, "float64", grad=True)
        q, _ = make(T, second, "float64")
        if first == second:
            cls, given = CASES[first]
            moved = {k: T.from_numpy(v * 0.9) if isinstance(v, np.ndarray) else v for k, v in given.items()}
            q = getattr(T.distributions, cls)(**moved, validate_args=False)
        kl = T.distributions.kl_divergence(p, q)
        kl[T.isfinite(kl)].sum().backward()
        results.append([kl, *(p.grad for p in params)])
    for ours, theirs in zip(*results, strict=True):
        same(ours, theirs, scale=10)


def test_kl_of_strangers():
    D = fastnn.distributions  # noqa: N806
    with pytest.raises(NotImplementedError, match="Normal and q type Poisson"):
        D.kl_divergence(D.Normal(0.0, 1.0), D.Poisson(1.0))

    class Mine(D.Normal):
        pass

    @D.register_kl(Mine, D.Poisson)
    def rule(p, q):
        return "mine"

    assert D.kl_divergence(Mine(0.0, 1.0), D.Poisson(1.0)) == "mine"
    same(D.kl_divergence(Mine(0.0, 1.0), D.Normal(0.0, 1.0)), torch.tensor(0.0))


def test_transformed_and_mixtures():
    results = []
    for T in (fastnn, torch):
        D, t = T.distributions, lambda *v, T=T: T.tensor(v, dtype=T.float64)  # noqa: N806
        base = D.Normal(t(0.1, 0.2), t(1.0, 2.0))
        squashed = D.TransformedDistribution(base, [D.TanhTransform(cache_size=1), D.AffineTransform(t(1.0, 2.0), 3.0)])
        logistic = D.TransformedDistribution(D.Uniform(t(0.0), t(1.0)), [D.SigmoidTransform().inv])
        weights = D.Categorical(probs=t(0.3, 0.5, 0.2))
        mixed = D.MixtureSameFamily(weights, D.Normal(t(-1.0, 0.0, 4.0), t(1.0, 0.5, 2.0)))
        vectors = D.MixtureSameFamily(
            weights, D.Independent(D.Normal(T.zeros(3, 2).double(), T.ones(3, 2).double()), 1)
        )  # fmt: skip
        T.manual_seed(2)
        for d in (squashed, logistic, mixed, vectors):
            x = d.sample((4,))
            results.append([x, d.log_prob(x), T.rand(1)])
        results[-1] += [mixed.mean, mixed.variance, mixed.cdf(t(0.5)), vectors.mean, vectors.variance]
        results.append([squashed.rsample((2,)), squashed.cdf(t(1.0, 2.0)), squashed.icdf(t(0.2, 0.3))])
        chain = D.ComposeTransform([D.ExpTransform(), D.AffineTransform(1.0, 2.0), D.PowerTransform(t(2.0))])
        x = t(0.3, 0.7)
        y = chain(x)
        results.append([y, chain.inv(y), chain.log_abs_det_jacobian(x, y), D.SoftplusTransform()(x)])
    half = len(results) // 2
    for ours, theirs in zip(results[:half], results[half:], strict=True):
        for a, b in zip(ours, theirs, strict=True):
            same(a, b, scale=10)


def test_wrong_arguments_raise_as_torchs():
    def attempts(T):
        D, t = T.distributions, T.tensor  # noqa: N806
        return [
            lambda: D.Normal(0.0, -1.0),
            lambda: D.Normal(t(float("nan")), 1.0),
            lambda: D.Bernoulli(1.5),
            lambda: D.Bernoulli(),
            lambda: D.Bernoulli(probs=0.5, logits=0.0),
            lambda: D.Categorical(probs=t(1.0)),
            lambda: D.Categorical(logits=t([float("nan"), 1.0])),
            lambda: D.Uniform(1.0, 0.0),
            lambda: D.Gamma(-1.0, 1.0),
            lambda: D.Poisson(-1.0),
            lambda: D.Dirichlet(t(1.0)),
            lambda: D.MultivariateNormal(t([0.0, 0.0])),
            lambda: D.MultivariateNormal(t([0.0, 0.0]), t([[1.0, 2.0], [0.0, 1.0]])),
            lambda: D.Bernoulli(0.5).log_prob(t(0.3)),
            lambda: D.Poisson(1.0).log_prob(t(-1.0)),
            lambda: D.Categorical(t([0.5, 0.5])).log_prob(t(2)),
            lambda: D.Normal(t([0.0, 1.0]), 1.0).log_prob(t([1.0, 2.0, 3.0])),
            lambda: D.Normal(0.0, 1.0).log_prob(3.0),
            lambda: D.Normal("a", 1.0),
            lambda: D.Normal(0.0, 1.0).enumerate_support(),
            lambda: D.Bernoulli(0.5).rsample(),
            lambda: D.Independent(D.Normal(0.0, 1.0), 1),
            lambda: D.Multinomial(t([1.0]), probs=t([0.5, 0.5])),
            lambda: T.poisson(t([-1.0])),
            lambda: T.poisson(t([1])),
            lambda: T.binomial(t([1.0]), t([0.5], dtype=T.float64)),
        ]

    for i, (ours, theirs) in enumerate(zip(attempts(fastnn), attempts(torch), strict=True)):
        with pytest.raises(Exception) as caught:
            theirs()
        with pytest.raises(Exception) as mine:
            ours()
        kinds = (ValueError, TypeError, NotImplementedError, RuntimeError, AssertionError)
        assert next(k for k in kinds if issubclass(mine.type, k)) is next(
            k for k in kinds if issubclass(caught.type, k)
        ), (i, mine.value, caught.value)
    assert fastnn.distributions.Normal(0.0, -1.0, validate_args=False).scale == -1
