"""Tests that need an adapter. A driver's fault ends the process, so they run in one of their own, which
`parity/test_parity_gpu.py` starts; by hand: `FOLIOT_TEST_GPU=1 pytest tests/gpu`.
"""

import os

collect_ignore_glob = [] if os.environ.get("FOLIOT_TEST_GPU") else ["test_*.py"]
