"""Texts and sequences as arrays: ``foliot.preprocessing.text`` and ``foliot.preprocessing.sequence``."""

from foliot.preprocessing import sequence, text

__all__ = ["sequence", "text"]
