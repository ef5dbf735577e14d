"""Models: layers put together, with training, evaluation, prediction and files."""

from foliot.models.cloning import clone_model
from foliot.models.configs import model_from_json
from foliot.models.functional import Functional
from foliot.models.model import Model
from foliot.models.saving import load_model, save_model
from foliot.models.sequential import Sequential
from foliot.models.stream import Stream

__all__ = [
    "Functional",
    "Model",
    "Sequential",
    "Stream",
    "clone_model",
    "load_model",
    "model_from_json",
    "save_model",
]
