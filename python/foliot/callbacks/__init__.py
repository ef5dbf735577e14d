"""Hooks into training, evaluation and prediction."""

from typing import TYPE_CHECKING

from foliot._checks import missing
from foliot.callbacks.averages import SwapEMAWeights
from foliot.callbacks.backup import BackupAndRestore
from foliot.callbacks.base import Callback
from foliot.callbacks.callback_list import CallbackList
from foliot.callbacks.checkpoint import ModelCheckpoint
from foliot.callbacks.csv_logger import CSVLogger
from foliot.callbacks.history import History
from foliot.callbacks.lambdas import LambdaCallback
from foliot.callbacks.learning_rate import LearningRateScheduler, ReduceLROnPlateau
from foliot.callbacks.progress import ProgbarLogger
from foliot.callbacks.stopping import EarlyStopping, TerminateOnNaN
from foliot.callbacks.tensorboard import TensorBoard

__all__ = [
    "BackupAndRestore",
    "CSVLogger",
    "Callback",
    "CallbackList",
    "EarlyStopping",
    "History",
    "LambdaCallback",
    "LearningRateScheduler",
    "ModelCheckpoint",
    "ProgbarLogger",
    "ReduceLROnPlateau",
    "SwapEMAWeights",
    "TensorBoard",
    "TerminateOnNaN",
]

if not TYPE_CHECKING:  # which would find any name in the modules then
    __getattr__ = missing("callback", __name__, __all__)
