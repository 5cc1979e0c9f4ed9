"""Row 18: autoencoder and variational autoencoder on MNIST.

A linear autoencoder finds PCA's subspace; a deep one does better at the same size. The VAE (Kingma, Welling 2014) encodes
an image as a normal distribution of 20 latents, draws from it by z = mean + deviation * noise, so that the gradient passes
(reparameterisation), and is trained on the evidence lower bound. One with 2 latents gives the map.
"""

import _common as common

torch = common.framework()
nn, F = torch.nn, torch.nn.functional


class VAE(nn.Module):
    def __init__(self, latents=20, hidden=500):
        super().__init__()
        self.encoder = nn.Sequential(nn.Linear(784, hidden), nn.ReLU(), nn.Linear(hidden, 2 * latents))
        self.decoder = nn.Sequential(nn.Linear(latents, hidden), nn.ReLU(), nn.Linear(hidden, 784))

    def forward(self, x):
        mean, log_variance = self.encoder(x).chunk(2, -1)
        z = mean + (0.5 * log_variance).exp() * torch.randn_like(mean)
        return self.decoder(z), mean, log_variance


def negative_elbo(model, x):
    """Nats an image: cross-entropy of grey pixels as Bernoulli means, and the divergence from a standard normal."""
    logits, mean, log_variance = model(x)
    pixels = F.binary_cross_entropy_with_logits(logits, x, reduction="sum")
    divergence = -0.5 * (1 + log_variance - mean**2 - log_variance.exp()).sum()
    return (pixels + divergence) / len(x)


def train_vae(options, x, latents, epochs):
    torch.manual_seed(options.seed)
    model = VAE(latents)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, epochs, eta_min=1e-4)
    curve = []
    for epoch in range(epochs):
        total = 0.0
        for index in common.progress(common.batches(len(x), 128), f"VAE of {latents}, epoch {epoch + 1}/{epochs}"):
            optimizer.zero_grad()
            loss = negative_elbo(model, x[index])
            loss.backward()
            optimizer.step()
            total += loss.item() * len(index)
        schedule.step()
        curve.append(-total / len(x))
    return model, curve


def test_elbo(model, x):
    with torch.no_grad():
        return -sum(
            negative_elbo(model, x[i : i + 1000]).item() * len(x[i : i + 1000]) for i in range(0, len(x), 1000)
        ) / len(x)


def pca(x, size):
    """(mean, rows of the first `size` principal directions)."""
    mean = x.mean(0)
    values, vectors = torch.linalg.eigh((x - mean).T @ (x - mean))
    return mean, vectors[:, -size:].T


def linear_is_pca(options, report, size=8):
    data = common.need("sklearn.datasets").load_digits()
    x = torch.tensor(data.data / 16, dtype=torch.float64)
    x = x - x.mean(0)
    torch.manual_seed(options.seed)
    model = nn.Sequential(nn.Linear(64, size, bias=False), nn.Linear(size, 64, bias=False)).double()
    optimizer = torch.optim.LBFGS(
        model.parameters(), max_iter=2000, history_size=20, tolerance_grad=1e-10, line_search_fn="strong_wolfe"
    )

    def closure():
        optimizer.zero_grad()
        loss = ((model(x) - x) ** 2).sum(1).mean()
        loss.backward()
        return loss

    optimizer.step(closure)
    _, directions = pca(x, size)
    best = ((x @ directions.T @ directions - x) ** 2).sum(1).mean().item()
    with torch.no_grad():
        reached = ((model(x) - x) ** 2).sum(1).mean().item()
        basis, _ = torch.linalg.qr(model[1].weight)  # the decoder's columns span the subspace
        cosine = torch.linalg.svdvals(directions @ basis).min().item()
    report.claim("linear autoencoder: error over PCA's (digits, 8 latents)", reached / best, "<=", 1.0001, digits=7)
    report.claim("its subspace and PCA's: smallest cosine", cosine, ">=", 0.999, digits=7)


def deep_beats_pca(options, report, x, test_x, epochs, size=16):
    torch.manual_seed(options.seed)
    model = nn.Sequential(
        *(nn.Linear(784, 256), nn.ReLU(), nn.Linear(256, size)),
        *(nn.Linear(size, 256), nn.ReLU(), nn.Linear(256, 784), nn.Sigmoid()),
    )
    common.fit(model, x, x, torch.optim.Adam(model.parameters(), 2e-3), nn.MSELoss(), epochs, 128, "autoencoder")
    mean, directions = pca(x, size)
    with torch.no_grad():
        deep = F.mse_loss(model(test_x), test_x).item()
        linear = F.mse_loss((test_x - mean) @ directions.T @ directions + mean, test_x).item()
    report.claim(
        f"deep autoencoder, {size} latents: test error over PCA's", deep / linear, "<=", 1.0 if options.quick else 0.6
    )


def pictures(options, vae, flat, test_x, test_y):
    made, axes = common.figure(options, 1, 3, (13, 4.4))
    if not made:
        return
    with torch.no_grad():
        mean = flat.encoder(test_x[:3000])[:, :2]
        points = axes[0].scatter(*mean.T.numpy(), c=test_y[:3000].numpy(), cmap="tab10", vmin=-0.5, vmax=9.5, s=3)
        axes[0].set_title("Latent map, 2 latents")
        made.colorbar(points, ax=axes[0], ticks=range(10))
        line = torch.linspace(-2.2, 2.2, 12)
        grid = torch.stack([line.repeat(12), line.flip(0).repeat_interleave(12)], 1)
        samples = torch.randn(144, vae.decoder[0].in_features)
        for axis, model, z, title in (
            (axes[1], flat, grid, "The map decoded"),
            (axes[2], vae, samples, "Samples, 20 latents"),
        ):
            image = torch.sigmoid(model.decoder(z)).view(12, 12, 28, 28).permute(0, 2, 1, 3).reshape(336, 336)
            axis.imshow(image.numpy(), cmap="gray")
            axis.set_title(title)
            axis.axis("off")
    common.save(options, made)


def main():
    parser = common.parser(__doc__, with_torch=True)
    parser.add_argument("--epochs", type=int, default=30, help="of the VAE (quick: 4, on 10,000 images)")
    options = common.parse(parser)
    report = common.Report(options, "Autoencoders")
    quick = options.quick
    x, _, test_x, test_y = common.mnist(options, *((10000, 2000) if quick else ()), flat=True)
    linear_is_pca(options, report)
    deep_beats_pca(options, report, x, test_x, 6 if quick else 10)
    vae, curve = train_vae(options, x, 20, 4 if quick else options.epochs)
    torch.manual_seed(options.seed)
    source = "about -106 for 20 latents at the end of training: Kingma, Welling 2014, figure 2 (other pixels)"
    report.claim("VAE, 20 latents: test ELBO, nats", test_elbo(vae, test_x), ">=", -150 if quick else -106, source)
    report.note("training ELBO of the last pass", f"{curve[-1]:.2f}")
    flat, _ = train_vae(options, x, 2, 4 if quick else options.epochs // 2)
    report.note("VAE, 2 latents: test ELBO", f"{test_elbo(flat, test_x):.1f}")
    pictures(options, vae, flat, test_x, test_y)
    report.end()


if __name__ == "__main__":
    main()
