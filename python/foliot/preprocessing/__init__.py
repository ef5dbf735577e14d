"""Texts and sequences as arrays: ``foliot.preprocessing.text`` and ``foliot.preprocessing.sequence``."""

from foliot.preprocessing import sequence, text
from foliot.preprocessing.timeseries import timeseries_dataset_from_array

__all__ = ["sequence", "text", "timeseries_dataset_from_array"]
