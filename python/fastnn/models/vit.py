"""Vision Transformer (Dosovitskiy et al. 2021) from nn.TransformerEncoderLayer."""

import fastnn
from fastnn import nn


class VisionTransformer(nn.Module):
    """Images [N, channels, image, image] to logits [N, classes], by patches, a start token and learned positions."""

    def __init__(
        self,
        *,
        image=28,
        patch=7,
        channels=1,
        classes=10,
        width=64,
        layers=4,
        heads=4,
        inner=None,
        dropout=0.0,
        eps=1e-12,
    ):
        super().__init__()
        if image % patch:
            raise ValueError(f"VisionTransformer: image {image} is not a multiple of patch {patch}")
        self.patches = nn.Conv2d(channels, width, patch, stride=patch)
        self.start = nn.Parameter(fastnn.zeros(1, 1, width))
        self.positions = nn.Parameter(fastnn.randn(1, (image // patch) ** 2 + 1, width) * 0.02)
        self.dropout = nn.Dropout(dropout)
        self.layers = nn.ModuleList(
            [
                nn.TransformerEncoderLayer(
                    width, heads, inner or 4 * width, dropout, "gelu", eps, batch_first=True, norm_first=True
                )
                for _ in range(layers)
            ]
        )
        self.norm = nn.LayerNorm(width, eps=eps)
        self.head = nn.Linear(width, classes)

    def features(self, images):
        """[N, 1 + patches, width], normalised."""
        x = self.patches(images).flatten(2).transpose(1, 2)
        x = self.dropout(fastnn.cat([self.start.expand(len(x), -1, -1), x], 1) + self.positions)
        for layer in self.layers:
            x = layer(x)
        return self.norm(x)

    def forward(self, images):
        return self.head(self.features(images)[:, 0])

    def load_huggingface(self, state: dict):
        """Weights of transformers' ViTModel or ViTForImageClassification, by their names there."""
        from .huggingface import load

        return load(self, state, "vit")
