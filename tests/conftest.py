"""Hypothesis profiles for the whole suite; HYPOTHESIS_PROFILE chooses one."""

import os

from hypothesis import HealthCheck, settings

# Many processes share the machine that runs the tests, so time limits per example would only report its load.
settings.register_profile(
    "ci", derandomize=True, deadline=None, max_examples=30, suppress_health_check=[HealthCheck.too_slow], database=None
)
settings.register_profile("nightly", settings.get_profile("ci"), derandomize=False, max_examples=500)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "ci"))
