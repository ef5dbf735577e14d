"""What every layer of the oracle is.

A layer is built from its dictionary and its weights. `forward` takes the inputs and their masks and keeps what
`backward` needs.
"""

from collections.abc import Sequence

from .activations import Array, Spec

Mask = Array | None


class Layer:
    """Inputs, outputs, masks and gradients are lists, because a recurrent layer has several."""

    def __init__(self, spec: Spec, weights: Sequence[Array], step: int | None) -> None:
        """`step` is the step of training, which decides what dropout drops; None outside training."""
        self.spec = spec
        self.weights = list(weights)
        self.step = step

    def forward(self, inputs: list[Array], masks: list[Mask]) -> tuple[list[Array], list[Mask]]:
        """The outputs and their masks."""
        raise NotImplementedError

    def backward(self, d_outputs: list[Array]) -> tuple[list[Array], list[Array]]:
        """dL/d(inputs) and dL/d(weights)."""
        raise NotImplementedError

    def loss(self) -> float:
        """What the layer itself adds to the loss."""
        return 0.0
