"""Row 8: LeNet on MNIST, and the course notes' Keras demo as it stands.

LeNet: two convolutions with pooling, then three linear layers (LeCun et al. 1998), with ReLU and max pooling.
The demo is examples/keras_demo.py, the notes' text unchanged (alone: `python -m fastnn run examples/keras_demo.py`); here
it is run for three seeds, its sigmoids, raw pixels and learning rate of 0.9 included. --with torch leaves it out.
"""

import os
import re
import subprocess
import sys

import _common as common

torch = common.framework()
nn = torch.nn


class LeNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.features = nn.Sequential(
            *(nn.Conv2d(1, 6, 5, padding=2), nn.ReLU(), nn.MaxPool2d(2)),
            *(nn.Conv2d(6, 16, 5), nn.ReLU(), nn.MaxPool2d(2)),
        )
        self.classifier = nn.Sequential(
            nn.Flatten(), nn.Linear(400, 120), nn.ReLU(), nn.Linear(120, 84), nn.ReLU(), nn.Linear(84, 10)
        )

    def forward(self, x):
        return self.classifier(self.features(x))


def train(options, x, y, epochs):
    model = LeNet()
    optimizer = torch.optim.Adam(model.parameters(), lr=2e-3)
    steps = epochs * -(-len(x) // 64)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=4e-3, total_steps=steps)
    curve = common.fit(model, x, y, optimizer, nn.CrossEntropyLoss(), epochs, 64, "LeNet", schedule)
    return model, curve


def demo(options, seed) -> float:
    """Test accuracy in per cent of one run of the notes' demo, in a process of its own."""
    folder = common.find(options, "mnist", "yann.lecun.com/exdb/mnist")
    program = (
        "import runpy, sys, fastnn; from fastnn import tf; sys.modules['tensorflow'] = tf; "
        f"fastnn.manual_seed({seed}); runpy.run_path({str(common.HERE / 'keras_demo.py')!r})"
    )
    environment = {**os.environ, "FASTNN_DATA": str(folder)}
    ran = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True)
    found = re.search(r"评估分数: ([0-9.]+)", ran.stdout)
    if ran.returncode or not found:
        raise SystemExit(f"keras_demo.py failed:\n{ran.stderr[-2000:]}")
    return 100 * float(found[1])


def main():
    parser = common.parser(__doc__, with_torch=True)
    parser.add_argument("--epochs", type=int, default=10, help="passes over MNIST (quick: 3)")
    parser.add_argument("--demo-seeds", type=int, default=3, help="runs of the Keras demo (quick: 0)")
    options = common.parse(parser)
    report = common.Report(options, "LeNet")
    x, y, test_x, test_y = common.mnist(options, *((20000, None) if options.quick else ()))
    epochs = 3 if options.quick else options.epochs
    model, curve = train(options, x, y, epochs)
    source = "99.05 %: LeCun et al. 1998, LeNet-5 without distortions"
    reached = common.accuracy(model, test_x, test_y)
    report.claim("MNIST, test accuracy %", reached, ">=", 97 if options.quick else 99, source)
    if not options.quick and options.framework == "fastnn":
        for seed in range(options.demo_seeds):
            report.claim(
                f"the notes' Keras demo, seed {seed}, %", demo(options, seed), ">=", 97, "the notes give no figure"
            )

    made, axes = common.figure(options, 2, 6, (10, 3.6))
    if made:  # the six kernels of the first layer, and what they make of the first test image
        with torch.no_grad():
            maps = model.features[0](test_x[:1])[0]
        for i in range(6):
            axes[i].imshow(model.features[0].weight[i, 0].detach().numpy(), cmap="gray")
            axes[6 + i].imshow(maps[i].numpy(), cmap="gray")
        for axis in axes:
            axis.axis("off")
    common.save(options, made)
    report.end()


if __name__ == "__main__":
    main()
