"""Models: layers put together, with training, evaluation, prediction and files."""

from foliot.models.functional import Functional
from foliot.models.model import Model
from foliot.models.saving import load_model
from foliot.models.sequential import Sequential
from foliot.models.stream import Stream

__all__ = ["Functional", "Model", "Sequential", "Stream", "load_model"]
