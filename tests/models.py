"""The two networks that several tests train, written once for any torch-like module T."""


def mlp(T, inputs=784, hidden=64, classes=10):
    nn = T.nn
    return nn.Sequential(
        nn.Linear(inputs, hidden), nn.ReLU(), nn.Linear(hidden, hidden), nn.Tanh(), nn.Linear(hidden, classes)
    )


def lenet(T):
    """LeNet-5 with ReLU and max pooling, for 1x28x28 images."""
    nn = T.nn
    return nn.Sequential(
        nn.Conv2d(1, 6, 5, padding=2),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(6, 16, 5),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(400, 120),
        nn.ReLU(),
        nn.Linear(120, 84),
        nn.ReLU(),
        nn.Linear(84, 10),
    )


def build(T, name):
    return mlp(T) if name == "mlp" else lenet(T)


def images(T, name, count, seed=0):
    """Seeded noise in the shape that the network takes, and class ids."""
    import numpy as np

    rng = np.random.default_rng(seed)
    shape = (count, 784) if name == "mlp" else (count, 1, 28, 28)
    x = rng.standard_normal(shape).astype(np.float32)
    return T.from_numpy(x), T.from_numpy(rng.integers(0, 10, count))


def train(T, model, optimizer, batches):
    """One step a batch; returns the losses."""
    losses = []
    for x, y in batches:
        optimizer.zero_grad()
        loss = T.nn.functional.cross_entropy(model(x), y)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses
