"""Rows of compare.py that are more than one kernel: recorded training steps against torch eager, and the cross-entropy of a
large vocabulary against the product and the loss that make its logits."""

import fastnn
from fastnn.tensor import wrap


def _mlp(T):
    nn = T.nn
    return nn.Sequential(nn.Linear(784, 512), nn.ReLU(), nn.Linear(512, 512), nn.ReLU(), nn.Linear(512, 10))


def _lenet(T):
    nn = T.nn
    return nn.Sequential(
        nn.Conv2d(1, 6, 5, padding=2), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(6, 16, 5), nn.ReLU(), nn.MaxPool2d(2),
        nn.Flatten(), nn.Linear(400, 120), nn.ReLU(), nn.Dropout(0.5), nn.Linear(120, 84), nn.ReLU(), nn.Linear(84, 10),
    )  # fmt: skip


def _step(T, make):
    net = make(T).to("cuda")
    optimizer = T.optim.Adam(net.parameters(), lr=1e-3)
    lossf = T.nn.functional.cross_entropy

    def step(x, y):
        optimizer.zero_grad()
        loss = lossf(net(x), y)
        loss.backward()
        optimizer.step()
        return loss

    return step, sum(p.numel() for p in net.parameters())


def captured(measure, make_batch, torch):
    """make_batch(shape of x, classes) -> (x, class ids) as CuPy arrays."""
    for name, make, shape in (
        ("MLP", _mlp, (128, 784)), ("MLP", _mlp, (4096, 784)), ("LeNet", _lenet, (128, 1, 28, 28))
    ):  # fmt: skip
        step, size = _step(fastnn, make)
        step = fastnn.cuda.graph(step)

        def ours(x, y, step=step):
            step(wrap(x), wrap(y))

        vendor = None
        if torch is not None:
            theirs, _ = _step(torch, make)

            def vendor(x, y, theirs=theirs):
                with torch.enable_grad():
                    theirs(x, y)

        batch = make_batch(shape, 10)
        for _ in range(4):  # warmed up and recorded
            ours(*batch)
        work = ("flops", 6 * size * shape[0])
        convert = None if torch is None else torch.from_dlpack
        measure(
            f"captured step {name}", shape, "float32", ours, vendor, lambda shape=shape: make_batch(shape, 10), work,
            "torch eager", convert,
        )  # fmt: skip


def linear_cross_entropy(measure, make_batch, random, torch):
    """Loss and both gradients: three products, a fourth where the logits are made again."""
    for rows, width, classes, dtype in ((8192, 768, 50257, "float32"), (8192, 4096, 128256, "float16")):
        w = random(classes, width, dtype=dtype)
        own = wrap(w).requires_grad_()

        def ours(x, y, own=own):
            own.grad = None
            x = wrap(x).requires_grad_()
            fastnn.nn.functional.linear_cross_entropy(x, own, wrap(y)).backward()

        vendor = None
        if torch is not None:
            theirs = torch.from_dlpack(w).detach().requires_grad_()

            def vendor(x, y, theirs=theirs):
                theirs.grad = None
                with torch.enable_grad():
                    x = x.detach().requires_grad_()
                    z = torch.nn.functional.linear(x, theirs)
                    torch.nn.functional.cross_entropy(z.float(), y).backward()

        def make(rows=rows, width=width, classes=classes, dtype=dtype):
            x, y = make_batch((rows, width), classes)
            return x.astype(dtype), y

        work = ("flops", 6 * rows * width * classes)
        convert = None if torch is None else torch.from_dlpack
        measure("linear_cross_entropy", (rows, width, classes), dtype, ours, vendor, make, work, "torch eager", convert)
