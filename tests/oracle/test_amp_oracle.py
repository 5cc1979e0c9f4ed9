"""autocast and GradScaler against torch's on the CPU."""

import math

import numpy as np
import pytest
import torch

import fastnn

pytest.importorskip("ml_dtypes")


def both(make):
    """make(T, tensor) under autocast on each side: (ours, theirs)."""
    results = []
    for T in (fastnn, torch):
        rng = np.random.default_rng(0)

        def tensor(*shape, T=T, rng=rng):
            return T.from_numpy(rng.standard_normal(shape).astype(np.float32))

        with T.autocast("cpu", dtype=T.bfloat16):
            results.append(make(T, tensor))
    return results


F = "nn.functional"
OPS = {
    "linear": lambda T, t: T.nn.functional.linear(t(4, 8), t(3, 8), t(3)),
    "mm": lambda T, t: T.mm(t(4, 8), t(8, 3)),
    "bmm": lambda T, t: T.bmm(t(2, 4, 8), t(2, 8, 3)),
    "matmul": lambda T, t: t(2, 4, 8) @ t(8, 3),
    "addmm": lambda T, t: T.addmm(t(4, 3), t(4, 8), t(8, 3)),
    "baddbmm": lambda T, t: T.baddbmm(t(2, 4, 3), t(2, 4, 8), t(2, 8, 3)),
    "conv1d": lambda T, t: T.nn.functional.conv1d(t(2, 3, 9), t(4, 3, 3), t(4), padding=1),
    "conv2d": lambda T, t: T.nn.functional.conv2d(t(2, 3, 9, 9), t(4, 3, 3, 3), t(4), padding=1),
    "conv_transpose2d": lambda T, t: T.nn.functional.conv_transpose2d(t(2, 3, 5, 5), t(3, 4, 3, 3), t(4), stride=2),
    "float64_stays": lambda T, t: t(4, 8).double() @ t(8, 3).double(),
    "elementwise_promotes": lambda T, t: T.mm(t(4, 8), t(8, 3)) + t(4, 3),
    "exp_keeps": lambda T, t: T.exp(T.mm(t(4, 8), t(8, 3))),
    "cat_promotes": lambda T, t: T.cat([T.mm(t(4, 8), t(8, 3)), t(4, 3)]),
    "mse_loss": lambda T, t: T.nn.functional.mse_loss(T.mm(t(4, 8), t(8, 3)), t(4, 3)),
    "cross_entropy": lambda T, t: T.nn.functional.cross_entropy(T.mm(t(4, 8), t(8, 3)), T.tensor([0, 1, 2, 0])),
    "bce": lambda T, t: T.nn.functional.binary_cross_entropy_with_logits(T.mm(t(4, 8), t(8, 3)), t(4, 3).sigmoid()),
    "l1_loss": lambda T, t: T.nn.functional.l1_loss(T.mm(t(4, 8), t(8, 3)), t(4, 3)),
    "smooth_l1_loss": lambda T, t: T.nn.functional.smooth_l1_loss(T.mm(t(4, 8), t(8, 3)), t(4, 3)),
}


@pytest.mark.parametrize("name", OPS)
def test_ops(name, table):
    ours, theirs = both(OPS[name])
    assert str(ours.dtype) == str(theirs.dtype) and tuple(ours.shape) == tuple(theirs.shape)
    a, b = ours.detach().double().numpy(), theirs.detach().double().numpy()
    np.testing.assert_allclose(a, b, rtol=2**-7, atol=2**-7 * np.abs(b).max())


def test_gradients_have_the_parameters_dtype(table):
    def make(T, t):
        w, v = t(8, 5).requires_grad_(), t(5, 3).requires_grad_()
        loss = T.nn.functional.mse_loss(T.relu(t(4, 8) @ w) @ v, t(4, 3))
        loss.backward()
        return [loss.detach(), w.grad, v.grad]

    for ours, theirs in zip(*both(make), strict=True):
        assert str(ours.dtype) == str(theirs.dtype) == "torch.float32"
        b = theirs.numpy()
        np.testing.assert_allclose(ours.numpy(), b, rtol=0.05, atol=0.02 * np.abs(b).max())


def test_nesting_and_other_devices():
    for T in (fastnn, torch):
        x = T.ones(2, 2)
        assert not T.is_autocast_enabled("cpu")
        with T.autocast("cpu"):
            assert T.is_autocast_enabled("cpu") and (x @ x).dtype == T.bfloat16
            with T.autocast("cpu", enabled=False):
                assert (x @ x).dtype == T.float32 and not T.is_autocast_enabled("cpu")
            assert (x @ x).dtype == T.bfloat16
            with T.autocast("cpu", dtype=T.float16):
                assert (x @ x).dtype == T.float16
        assert (x @ x).dtype == T.float32
        with pytest.warns(UserWarning, match="Disabling"), T.cuda.amp.autocast():
            assert (x @ x).dtype == T.float32
        with pytest.warns(UserWarning, match="not supported"), T.autocast("cpu", dtype=T.float64):
            assert (x @ x).dtype == T.float32
        with pytest.raises(RuntimeError):
            T.autocast("tpu")

        @T.autocast("cpu")
        def product(x):
            return x @ x

        assert product(x).dtype == T.bfloat16
        with pytest.raises(ZeroDivisionError), T.autocast("cpu"):
            1 / 0  # noqa: B018
        assert not T.is_autocast_enabled("cpu")


def scaled_run(T, bad=(3, 4), interval=2):
    """Scales, parameters and skipped steps of twelve iterations, some with infinite gradients."""
    p = T.ones(3, requires_grad=True)
    opt = T.optim.SGD([p], 0.1)
    scaler = T.amp.GradScaler("cpu", init_scale=8.0, growth_interval=interval)
    seen = []
    for i in range(12):
        opt.zero_grad()
        loss = (p * (i + 1)).sum() * (math.inf if i in bad else 1.0)
        scaler.scale(loss).backward()
        if i % 3 == 0:
            scaler.unscale_(opt)
            T.nn.utils.clip_grad_norm_([p], 0.5)
        scaler.step(opt)
        scaler.update()
        seen.append((scaler.get_scale(), [round(v, 5) for v in p.detach().tolist()]))
        if i == 6:
            saved = scaler.state_dict()
            scaler = T.amp.GradScaler("cpu")
            scaler.load_state_dict(saved)
            seen.append(saved)
    return seen


def test_grad_scaler():
    assert scaled_run(fastnn) == scaled_run(torch)


def test_grad_scaler_refuses_what_torchs_refuses():
    def attempts(T):
        p = T.ones(3, requires_grad=True)
        opt = T.optim.SGD([p], 0.1)

        def fresh(scaled=True):
            s = T.amp.GradScaler("cpu")
            if scaled:
                s.scale(p.sum()).backward()
            return s

        def twice(first, then):
            s = fresh()
            getattr(s, first)(opt)
            getattr(s, then)(opt)

        return [
            lambda: T.amp.GradScaler("cpu", growth_factor=1.0),
            lambda: T.amp.GradScaler("cpu", backoff_factor=1.0),
            lambda: fresh(False).step(opt),
            lambda: fresh(False).update(),
            lambda: fresh().update(),
            lambda: twice("unscale_", "unscale_"),
            lambda: twice("step", "step"),
            lambda: twice("step", "unscale_"),
            lambda: fresh().step(opt, closure=None),
            lambda: fresh().load_state_dict({}),
            lambda: fresh().scale(3),
        ]

    for ours, theirs in zip(attempts(fastnn), attempts(torch), strict=True):
        with pytest.raises(Exception) as caught:
            theirs()
        with pytest.raises(caught.type):
            ours()


def test_disabled_grad_scaler_passes_everything_through():
    for T in (fastnn, torch):
        p = T.ones(3, requires_grad=True)
        opt = T.optim.SGD([p], 1.0)
        with pytest.warns(UserWarning, match="Disabling"):
            scaler = T.cuda.amp.GradScaler()
        loss = p.sum()
        assert scaler.scale(loss) is loss and not scaler.is_enabled() and scaler.get_scale() == 1.0
        loss.backward()
        scaler.step(opt)
        scaler.update()
        assert p.tolist() == [0, 0, 0] and scaler.state_dict() == {}
