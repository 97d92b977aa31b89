"""Activations that round an image's features alike wherever it stands in a batch.

PyTorch computes an activation on a CPU by vectors, and what is left at the end of all numbers of a
batch one by one, with another exponential function: where an image's numbers do not fill vectors
(those between the layers of a squeeze-excitation seldom do), the last digit would depend on its
place. Such activations are computed image by image.

When it may go: when PyTorch computes the end of an array by vectors too.
"""

import torch

VECTORS = 64
"""Numbers that PyTorch's loops take at once, at most: two vectors of bf16."""

ACTIVATIONS = ("SiLU", "Swish", "Sigmoid", "Tanh", "GELU", "ELU", "Mish")
"""Names of the classes, PyTorch's and timm's, that compute an exponential function."""


class EachImage(torch.nn.Module):
    """An activation, of each image by itself where vectors would reach over several."""

    def __init__(self, activation: torch.nn.Module) -> None:
        super().__init__()
        self.activation = activation

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """As the activation."""
        if len(x) == 1 or x[0].numel() % VECTORS == 0:
            return self.activation(x)
        return torch.cat([self.activation(image) for image in x.split(1)])


def compute_by_image(network: torch.nn.Module) -> None:
    """Have a network compute its activations alike at every place of a batch."""
    for parent in list(network.modules()):
        for name, child in parent.named_children():
            if type(child).__name__ in ACTIVATIONS:
                setattr(parent, name, EachImage(child))
