"""Hypothesis profiles for the whole suite; HYPOTHESIS_PROFILE chooses one."""

import os

from hypothesis import HealthCheck, settings

# The oracle's matrices are small, and on a busy machine the threads of NumPy's BLAS wait for each other many times
# longer than they compute. NumPy reads this when it is first imported, which is after this file.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

# Many processes share the machine that runs the tests, so time limits per example would only report its load.
settings.register_profile(
    "ci", derandomize=True, deadline=None, max_examples=30, suppress_health_check=[HealthCheck.too_slow], database=None
)
settings.register_profile("nightly", settings.get_profile("ci"), derandomize=False, max_examples=500)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "ci"))
