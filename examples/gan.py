"""Row 19: GAN, conditional GAN, DCGAN on MNIST.

A generator turns noise into images, a discriminator tells them from real ones, and each learns from the other. The small
ones are plain layers (Goodfellow et al. 2014), the large one convolutions with batch norm (DCGAN, Radford et al. 2016), both
told which digit is wanted (Mirza, Osindero 2014). A LeNet trained here judges: how many of the images are recognised as
the digit asked for, and how many classes an unconditional GAN covers.
"""

import _common as common
from lenet import LeNet

torch = common.framework()
nn, F = torch.nn, torch.nn.functional
NOISE = 64


def label_planes(y, size):
    """One-hot labels as ten constant planes [N, 10, size, size]."""
    return F.one_hot(y, 10).float().view(-1, 10, 1, 1).expand(-1, 10, size, size)


class Generator(nn.Module):
    """DCGAN: transposed convolutions from 7 x 7 to 28 x 28, batch norm, tanh."""

    def __init__(self, width=32):
        super().__init__()
        self.start = nn.Linear(NOISE + 10, 4 * width * 49, bias=False)
        self.body = nn.Sequential(
            *(nn.BatchNorm2d(4 * width), nn.ReLU(), nn.ConvTranspose2d(4 * width, width, 4, 2, 1, bias=False)),
            *(nn.BatchNorm2d(width), nn.ReLU(), nn.ConvTranspose2d(width, 1, 4, 2, 1), nn.Tanh()),
        )

    def forward(self, z, y):
        x = self.start(torch.cat([z, F.one_hot(y, 10).float()], 1))
        return self.body(x.view(len(z), -1, 7, 7))


class Discriminator(nn.Module):
    def __init__(self, width=32):
        super().__init__()
        self.body = nn.Sequential(
            *(nn.Conv2d(11, width, 4, 2, 1), nn.LeakyReLU(0.2)),
            *(nn.Conv2d(width, 4 * width, 4, 2, 1, bias=False), nn.BatchNorm2d(4 * width), nn.LeakyReLU(0.2)),
            *(nn.Flatten(), nn.Dropout(0.3), nn.Linear(4 * width * 49, 1)),
        )

    def forward(self, x, y):
        return self.body(torch.cat([x, label_planes(y, 28)], 1))[:, 0]


class PlainGenerator(nn.Module):
    def __init__(self, conditional):
        super().__init__()
        self.conditional = conditional
        self.body = nn.Sequential(
            *(nn.Linear(NOISE + 10 * conditional, 256), nn.LeakyReLU(0.2), nn.Linear(256, 512), nn.LeakyReLU(0.2)),
            *(nn.Linear(512, 784), nn.Tanh()),
        )

    def forward(self, z, y):
        z = torch.cat([z, F.one_hot(y, 10).float()], 1) if self.conditional else z
        return self.body(z).view(-1, 1, 28, 28)


class PlainDiscriminator(nn.Module):
    def __init__(self, conditional):
        super().__init__()
        self.conditional = conditional
        self.body = nn.Sequential(
            *(nn.Linear(784 + 10 * conditional, 512), nn.LeakyReLU(0.2), nn.Dropout(0.3)),
            *(nn.Linear(512, 256), nn.LeakyReLU(0.2), nn.Dropout(0.3), nn.Linear(256, 1)),
        )

    def forward(self, x, y):
        x = x.flatten(1)
        return self.body(torch.cat([x, F.one_hot(y, 10).float()], 1) if self.conditional else x)[:, 0]


def train(options, generator, discriminator, x, y, epochs, name, batch=64):
    # DCGAN's own rate is 2e-4; with 5e-4 the same is reached here in a third of the passes.
    optimizers = [torch.optim.Adam(m.parameters(), lr=5e-4, betas=(0.5, 0.999)) for m in (generator, discriminator)]
    real_or_not = nn.BCEWithLogitsLoss()
    for epoch in range(epochs):
        for index in common.progress(common.batches(len(x), batch, last=False), f"{name} epoch {epoch + 1}/{epochs}"):
            real, label = x[index] * 2 - 1, y[index]
            fake = generator(torch.randn(batch, NOISE), label)
            optimizers[1].zero_grad()
            loss = real_or_not(discriminator(real, label), torch.full((batch,), 0.9))  # smoothed: no certainty
            loss = loss + real_or_not(discriminator(fake.detach(), label), torch.zeros(batch))
            loss.backward()
            optimizers[1].step()
            optimizers[0].zero_grad()
            real_or_not(discriminator(fake, label), torch.ones(batch)).backward()
            optimizers[0].step()


def judged(generator, judge, count=2000):
    """(labels asked for, labels that the judge sees, its certainty)."""
    y = torch.arange(count) % 10
    generator.eval()
    with torch.no_grad():
        p = judge((generator(torch.randn(count, NOISE), y) + 1) / 2).softmax(1)
    return y, p.argmax(1), p.amax(1)


def main():
    parser = common.parser(__doc__, with_torch=True)
    parser.add_argument(
        "--epochs",
        type=int,
        default=3,
        help="of DCGAN (the plain ones: twice as many; quick: 3, on 8,000 images)",
    )
    options = common.parse(parser)
    report = common.Report(options, "Generative adversarial networks")
    quick = options.quick
    x, y, test_x, test_y = common.mnist(options, *((8000, 2000) if quick else ()))
    judge = LeNet()
    common.fit(judge, x, y, torch.optim.Adam(judge.parameters(), 2e-3), nn.CrossEntropyLoss(), 3, 64, "judge")
    judge.eval()
    report.note("the judge, a LeNet, on the test part, %", f"{common.accuracy(judge, test_x, test_y):.1f}")
    judge.eval()

    epochs = 3 if quick else options.epochs
    torch.manual_seed(options.seed)
    models = {"conditional DCGAN": (Generator(16 if quick else 32), Discriminator(16 if quick else 32), epochs)}
    if not quick:
        models["conditional GAN"] = PlainGenerator(True), PlainDiscriminator(True), 2 * epochs
        models["GAN"] = PlainGenerator(False), PlainDiscriminator(False), 2 * epochs
    for name, (generator, discriminator, passes) in models.items():
        train(options, generator, discriminator, x, y, passes, name, batch=32 if quick else 64)
        asked, seen, certain = judged(generator, judge)
        right = 100 * (asked == seen).float().mean().item()
        classes = int((torch.bincount(seen[certain > 0.9], minlength=10) >= 10).sum())
        if name == "conditional DCGAN":
            source = "none for this measure"
            report.claim(f"{name}: recognised as asked, %", right, ">=", 40 if quick else 90, source)
            report.claim(f"{name}: classes covered", classes, ">=", 6 if quick else 10)
        else:
            report.note(f"{name}: recognised as asked, %; classes", f"{right:.1f}; {classes}")
            if name == "conditional GAN":
                report.claim(f"{name}: recognised as asked, %", right, ">=", 60)

    made, axes = common.figure(options, 1, len(models), (4.2 * len(models), 4.4))
    if made:
        for axis, (name, (generator, _, _)) in zip(axes, models.items(), strict=True):
            with torch.no_grad():
                images = generator(torch.randn(100, NOISE), torch.arange(100) % 10).view(10, 10, 28, 28)
            axis.imshow(images.permute(0, 2, 1, 3).reshape(280, 280).numpy(), cmap="gray")
            axis.set_title(name)
            axis.axis("off")
    common.save(options, made)
    report.end()


if __name__ == "__main__":
    main()
