"""Libraries that know tensors by duck typing, beside fastnn in torch's place: einops, SciPy, scikit-learn, matplotlib."""

import os
import pathlib
import subprocess
import sys

import pytest

import fastnn

pytest.importorskip("torch")

SCRIPTS = {
    "einops": """
import einops, torch
from einops.layers.torch import Rearrange
x = torch.arange(2 * 3 * 4 * 4.0).reshape(2, 3, 4, 4).requires_grad_()
y = einops.rearrange(x, "b c (h p) (w q) -> b (h w) (p q c)", p=2, q=2)
assert y.shape == (2, 4, 12) and y[0, 0, 1] == x[0, 1, 0, 0]
assert einops.reduce(x, "b c h w -> b c", "mean").shape == (2, 3)
assert einops.einsum(x, x, "b c h w, b d h w -> b c d").shape == (2, 3, 3)
net = torch.nn.Sequential(Rearrange("b c h w -> b (c h w)"), torch.nn.Linear(48, 4))
net(x).sum().backward()
assert x.grad.shape == x.shape and isinstance(y, torch.Tensor)
""",
    "scipy": """
import numpy as np, scipy.optimize, scipy.signal, scipy.sparse, scipy.stats, torch
image, kernel = torch.rand(9, 9), torch.rand(3, 3)
ours = torch.nn.functional.conv2d(image[None, None], kernel.flip(0, 1)[None, None])[0, 0]
np.testing.assert_allclose(scipy.signal.convolve2d(image, kernel, "valid"), ours, rtol=1e-5)
def value_and_gradient(v):
    t = torch.tensor(v, requires_grad=True)
    loss = ((t - 3) ** 2).sum()
    loss.backward()
    return loss.item(), t.grad.numpy()
np.testing.assert_allclose(scipy.optimize.minimize(value_and_gradient, np.zeros(4), jac=True).x, 3.0, rtol=1e-6)
s = scipy.sparse.random(10, 10, 0.3, format="coo", random_state=0)
assert (torch.sparse_coo_tensor(np.vstack((s.row, s.col)), s.data, s.shape).to_dense().numpy() == s.toarray()).all()
""",
    "sklearn": """
import sklearn.datasets, sklearn.linear_model, sklearn.metrics, sklearn.model_selection, torch
x, y = sklearn.datasets.load_iris(return_X_y=True)
parts = sklearn.model_selection.train_test_split(torch.tensor(x), torch.tensor(y), random_state=0)
assert all(isinstance(p, torch.Tensor) for p in parts)
model = sklearn.linear_model.LogisticRegression(max_iter=500).fit(parts[0], parts[2])
assert sklearn.metrics.accuracy_score(parts[3], torch.tensor(model.predict(parts[1]))) > 0.9
""",
    "matplotlib": """
import io, matplotlib, torch
matplotlib.use("Agg")
import matplotlib.pyplot as plt
figure, axes = plt.subplots(2, 2)
axes[0, 0].plot(torch.linspace(0, 1, 10), torch.rand(10))
axes[0, 1].imshow(torch.rand(8, 8))
axes[1, 0].scatter(torch.rand(5), torch.rand(5), c=torch.rand(5))
axes[1, 1].bar(torch.arange(3), torch.rand(3))
file = io.BytesIO()
figure.savefig(file)
assert file.getvalue()[:4] == b"\\x89PNG"
""",
}


@pytest.mark.parametrize("library", SCRIPTS)
def test_beside_fastnn(library, tmp_path):
    pytest.importorskip(library)
    script = tmp_path / "script.py"
    script.write_text(SCRIPTS[library] + "assert 'fastnn' in torch.__file__\n")
    path = os.pathsep.join([str(pathlib.Path(fastnn.__file__).parent.parent), os.environ.get("PYTHONPATH", "")])
    done = subprocess.run(
        [sys.executable, "-m", "fastnn", "run", str(script)],
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
