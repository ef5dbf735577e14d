"""Losses: what training minimizes.

`compile` takes one as a name (`loss="binary_crossentropy"`, `loss="mse"`), as an object
(`loss=losses.BinaryCrossentropy(from_logits=True)`) or as a function of this module (`loss=losses.mean_squared_error`).

Called on arrays, an object gives the reduced loss, a function the loss of each sample.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Literal

from foliot import _serialization
from foliot._checks import missing
from foliot._serialization import Registry
from foliot._warnings import warn
from foliot.losses.base import Loss
from foliot.losses.circle import Circle, circle
from foliot.losses.crossentropy import (
    BinaryCrossentropy,
    CategoricalCrossentropy,
    CategoricalGeneralizedCrossEntropy,
    KLDivergence,
    Poisson,
    SparseCategoricalCrossentropy,
    binary_crossentropy,
    categorical_crossentropy,
    categorical_generalized_cross_entropy,
    kl_divergence,
    poisson,
    sparse_categorical_crossentropy,
)
from foliot.losses.ctc import CTC, ctc
from foliot.losses.focal import (
    BinaryFocalCrossentropy,
    CategoricalFocalCrossentropy,
    binary_focal_crossentropy,
    categorical_focal_crossentropy,
)
from foliot.losses.hinge import (
    CategoricalHinge,
    Hinge,
    SquaredHinge,
    categorical_hinge,
    hinge,
    squared_hinge,
)
from foliot.losses.overlap import Dice, Tversky, dice, tversky
from foliot.losses.regression import (
    CosineSimilarity,
    HalfMeanSquaredError,
    Huber,
    LogCosh,
    MeanAbsoluteError,
    MeanAbsolutePercentageError,
    MeanSquaredError,
    MeanSquaredLogarithmicError,
    cosine_similarity,
    half_mean_squared_error,
    huber,
    log_cosh,
    mean_absolute_error,
    mean_absolute_percentage_error,
    mean_squared_error,
    mean_squared_logarithmic_error,
)

__all__ = [
    "BCE",
    "CTC",
    "KLD",
    "MAE",
    "MAPE",
    "MSE",
    "MSLE",
    "BinaryCrossentropy",
    "BinaryFocalCrossentropy",
    "CategoricalCrossentropy",
    "CategoricalFocalCrossentropy",
    "CategoricalGeneralizedCrossEntropy",
    "CategoricalHinge",
    "Circle",
    "CosineSimilarity",
    "Dice",
    "HalfMeanSquaredError",
    "Hinge",
    "Huber",
    "KLDivergence",
    "LogCosh",
    "Loss",
    "MeanAbsoluteError",
    "MeanAbsolutePercentageError",
    "MeanSquaredError",
    "MeanSquaredLogarithmicError",
    "Poisson",
    "SparseCategoricalCrossentropy",
    "SquaredHinge",
    "Tversky",
    "bce",
    "binary_crossentropy",
    "binary_focal_crossentropy",
    "categorical_crossentropy",
    "categorical_focal_crossentropy",
    "categorical_generalized_cross_entropy",
    "categorical_hinge",
    "circle",
    "cosine_similarity",
    "ctc",
    "deserialize",
    "dice",
    "get",
    "half_mean_squared_error",
    "hinge",
    "huber",
    "kl_divergence",
    "kld",
    "log_cosh",
    "logcosh",
    "mae",
    "mape",
    "mean_absolute_error",
    "mean_absolute_percentage_error",
    "mean_squared_error",
    "mean_squared_logarithmic_error",
    "mse",
    "msle",
    "poisson",
    "resolve",
    "serialize",
    "sparse_categorical_crossentropy",
    "squared_hinge",
    "tversky",
]

mse = MSE = mean_squared_error
mae = MAE = mean_absolute_error
mape = MAPE = mean_absolute_percentage_error
msle = MSLE = mean_squared_logarithmic_error
bce = BCE = binary_crossentropy
kld = KLD = kl_divergence
logcosh = log_cosh

_REGISTRY: Registry[Loss] = Registry(
    "loss",
    Loss,
    (
        MeanSquaredError,
        HalfMeanSquaredError,
        MeanAbsoluteError,
        MeanAbsolutePercentageError,
        MeanSquaredLogarithmicError,
        Huber,
        LogCosh,
        CosineSimilarity,
        BinaryCrossentropy,
        CategoricalCrossentropy,
        SparseCategoricalCrossentropy,
        KLDivergence,
        Poisson,
        BinaryFocalCrossentropy,
        CategoricalFocalCrossentropy,
        Hinge,
        SquaredHinge,
        CategoricalHinge,
        CTC,
        Dice,
        Tversky,
        Circle,
        CategoricalGeneralizedCrossEntropy,
    ),
    {
        "mse": MeanSquaredError,
        "half_mse": HalfMeanSquaredError,
        "mae": MeanAbsoluteError,
        "mape": MeanAbsolutePercentageError,
        "msle": MeanSquaredLogarithmicError,
        "bce": BinaryCrossentropy,
        "ctc": CTC,
        "kld": KLDivergence,
        "kl_divergence": KLDivergence,
        "logcosh": LogCosh,
    },
)

FUNCTIONS: dict[Callable[..., Any], str] = {
    function: function.__name__
    for function in (
        mean_squared_error,
        half_mean_squared_error,
        mean_absolute_error,
        mean_absolute_percentage_error,
        mean_squared_logarithmic_error,
        huber,
        log_cosh,
        cosine_similarity,
        binary_crossentropy,
        categorical_crossentropy,
        sparse_categorical_crossentropy,
        kl_divergence,
        poisson,
        binary_focal_crossentropy,
        categorical_focal_crossentropy,
        hinge,
        squared_hinge,
        categorical_hinge,
        ctc,
        dice,
        tversky,
        circle,
        categorical_generalized_cross_entropy,
    )
}


def named(identifier: object) -> object:
    """The name of a function of this module; anything else unchanged."""
    return next((name for function, name in FUNCTIONS.items() if function is identifier), identifier)


def get(identifier: object, argument: str | None = None) -> Loss | None:
    """The loss that an identifier stands for.

    Args:
        identifier: A name ("mse", "binary_crossentropy", "BinaryCrossentropy", ...), a dict with "class_name" and
            "config", a loss, one of the classes, a function of this module, or None for no loss.
        argument: What errors call the identifier; "loss" when None.

    Returns:
        The loss, always an object (where Keras returns a function for a function's name), or None.

    Raises:
        TypeError: The identifier is of none of these kinds; a Python function cannot run inside a training step.
        ValueError: The name, the class or a key is unknown.

    Example:

    >>> get("binary_crossentropy")
    BinaryCrossentropy()
    >>> get(mean_squared_error)
    MeanSquaredError()
    """
    return None if identifier is None else _REGISTRY.get(named(identifier), argument)


Task = Literal["binary", "sparse_categorical", "categorical"]


def task_of(output_shape: Sequence[int | None], target_shape: Sequence[int | None]) -> Task:
    """Keras's rule for which form "accuracy" and "crossentropy" mean, from shapes that begin with the batch axis.

    Example:

    >>> task_of((None, 1), (None,)), task_of((None, 3), (None,)), task_of((None, 3), (None, 3))
    ('binary', 'sparse_categorical', 'categorical')
    """
    if output_shape[-1] == 1:
        return "binary"
    if len(target_shape) < len(output_shape) or target_shape[-1] == 1:
        return "sparse_categorical"
    return "categorical"


def resolve(
    identifier: object,
    output_shape: Sequence[int | None],
    target_shape: Sequence[int | None],
    argument: str | None = None,
) -> Loss | None:
    """The loss that an argument of `compile` stands for, once the shapes of outputs and targets are known.

    Args:
        identifier: What `get` takes, and "crossentropy" or "ce" for the form that fits the shapes.
        output_shape: The shape of the model's output, with the batch axis.
        target_shape: The shape of the targets, with the batch axis.
        argument: What errors call the identifier; "loss" when None.

    Returns:
        The loss, or None.

    Raises:
        TypeError: See `get`.
        ValueError: See `get`.

    Example:

    >>> resolve("crossentropy", (None, 1), (100,))
    BinaryCrossentropy()
    """
    if isinstance(identifier, str) and identifier.lower() in ("crossentropy", "ce"):
        identifier = f"{task_of(output_shape, target_shape)}_crossentropy"
    loss = get(identifier, argument)
    if isinstance(loss, (CategoricalCrossentropy, SparseCategoricalCrossentropy)) and output_shape[-1] == 1:
        warn(
            f"{loss.name} over one class is always 0: give the output layer one unit for each class, "
            "or use binary_crossentropy with a sigmoid",
            SyntaxWarning,
        )
    return loss


def serialize(loss: Loss | None) -> dict[str, Any] | None:
    """The configuration of a loss as plain data; None stays None.

    Example:

    >>> serialize(Huber(delta=2))["config"]["delta"]
    2.0
    """
    return _serialization.serialize(loss)


def deserialize(config: object) -> Loss:
    """The loss of a configuration that `serialize` gave.

    Raises:
        TypeError: `config` is no dict.
        ValueError: The class or a key is unknown.

    Example:

    >>> deserialize({"class_name": "Huber", "config": {"delta": 2.0}})
    Huber(delta=2.0)
    """
    return _REGISTRY.deserialize(config)


if not TYPE_CHECKING:  # which would find any name in the modules then
    __getattr__ = missing("loss", __name__, __all__)
