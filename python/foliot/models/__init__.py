"""Models: layers put together, with training, evaluation, prediction and files."""

from foliot.models.model import Model
from foliot.models.saving import load_model
from foliot.models.sequential import Sequential

__all__ = ["Model", "Sequential", "load_model"]
