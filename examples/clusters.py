"""Row 23: clusters, and a look at latent spaces.

K-means and PCA, from scikit-learn, on MNIST's pixels, on what an autoencoder makes of them without labels, and on the last
hidden layer of a LeNet. How well clusters and digits agree is measured by normalised mutual information (1: the same).
"""

import _common as common
from lenet import LeNet

torch = common.framework()
nn = torch.nn


def main():
    parser = common.parser(__doc__)
    parser.add_argument("--epochs", type=int, default=5, help="of each net (quick: 2)")
    options = common.parse(parser)
    report = common.Report(options, "Clusters in latent spaces")
    cluster, metrics, decomposition = (common.need(f"sklearn.{m}") for m in ("cluster", "metrics", "decomposition"))
    x, y, test_x, test_y = common.mnist(options, *((8000, 2000) if options.quick else (60000, 5000)))
    epochs = 2 if options.quick else options.epochs

    lenet = LeNet()
    common.fit(lenet, x, y, torch.optim.Adam(lenet.parameters(), 2e-3), nn.CrossEntropyLoss(), epochs, 64, "LeNet")
    encoder = nn.Sequential(nn.Flatten(), nn.Linear(784, 256), nn.ReLU(), nn.Linear(256, 16))
    decoder = nn.Sequential(nn.ReLU(), nn.Linear(16, 256), nn.ReLU(), nn.Linear(256, 784), nn.Sigmoid())
    both = nn.Sequential(encoder, decoder)
    common.fit(
        both, x, x.flatten(1), torch.optim.Adam(both.parameters(), 2e-3), nn.MSELoss(), epochs, 128, "autoencoder"
    )
    lenet.eval()
    with torch.no_grad():
        spaces = {
            "pixels": test_x.flatten(1).numpy(),
            "autoencoder": encoder(test_x).numpy(),
            "LeNet": lenet.classifier[:-1](lenet.features(test_x)).numpy(),
        }
    agreement, flat = {}, {}
    for name, points in spaces.items():
        found = cluster.KMeans(10, n_init=3, random_state=options.seed).fit_predict(points)
        agreement[name] = metrics.normalized_mutual_info_score(test_y.numpy(), found)
        flat[name] = decomposition.PCA(2).fit_transform(points)
        report.note(f"{name}: agreement of k-means with the digits", f"{agreement[name]:.3f}")
    report.claim("LeNet's features", agreement["LeNet"], ">=", 0.75 if options.quick else 0.9)
    report.claim("better than pixels by", agreement["LeNet"] - agreement["pixels"], ">=", 0.2)
    made, axes = common.figure(options, 1, 3, (13, 4))
    if made:
        for axis, (name, points) in zip(axes, flat.items(), strict=True):
            shown = axis.scatter(*points.T, c=test_y.numpy(), cmap="tab10", vmin=-0.5, vmax=9.5, s=2)
            axis.set_title(f"{name}, agreement {agreement[name]:.2f}")
        made.colorbar(shown, ax=axes[-1], ticks=range(10))
    common.save(options, made)
    report.end()


if __name__ == "__main__":
    main()
