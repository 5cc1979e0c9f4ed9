"""Images of noise."""

import fastnn
from fastnn.vision.transforms.functional import to_pil_image

from .vision import VisionDataset

__all__ = ["FakeData"]


class FakeData(VisionDataset):
    """`size` images of noise with random classes, the same ones each time."""

    def __init__(
        self,
        size=1000,
        image_size=(3, 224, 224),
        num_classes=10,
        transform=None,
        target_transform=None,
        random_offset=0,
    ):
        super().__init__(transform=transform, target_transform=target_transform)
        self.size, self.num_classes, self.image_size, self.random_offset = size, num_classes, image_size, random_offset

    def __getitem__(self, index):
        if index >= len(self):
            raise IndexError(f"{type(self).__name__} index out of range")
        with fastnn.random.fork_rng():
            fastnn.manual_seed(index + self.random_offset)
            image = fastnn.randn(*self.image_size)
            target = int(fastnn.randint(0, self.num_classes, size=(1,)).item())
        return self._transformed(to_pil_image(image), target)

    def __len__(self) -> int:
        return self.size
