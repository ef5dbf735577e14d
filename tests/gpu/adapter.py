"""The adapter that the tests run on: the one that FOLIOT_TEST_GPU names, else a real one, else one of software."""

import os

import foliot


def _pick() -> int:
    there = foliot.devices()
    named = [device for device in there if os.environ.get("FOLIOT_TEST_GPU", "").casefold() in device.name.casefold()]
    return min(named or there, key=lambda device: device.type == "software").index


ADAPTER = _pick()
NAME = f"gpu:{ADAPTER}"
