"""Processes: Ctrl-C during training, a fork after use."""

import os
import signal
import subprocess
import sys
import textwrap

import numpy as np
import pytest

from foliot.callbacks import Callback


class Interrupt(Callback):
    """Ctrl-C after the second batch of the third epoch, as the terminal sends it."""

    epoch = 0

    def on_epoch_begin(self, epoch, logs=None) -> None:
        self.epoch = epoch

    def on_train_batch_end(self, batch, logs=None) -> None:
        if self.epoch == 2 and batch == 1:
            signal.raise_signal(signal.SIGINT)


@pytest.fixture
def interruptible():
    """Ctrl-C raises, also where the shell started the tests in the background, with SIGINT ignored."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("interruptible")
def test_interrupt_leaves_model_and_history(model, tokens) -> None:
    with pytest.raises(KeyboardInterrupt):
        model.fit(*tokens, batch_size=4, epochs=9, validation_split=0.2, verbose=0, callbacks=[Interrupt()])
    assert model.history.epoch == [0, 1]
    assert [len(values) for values in model.history.history.values()] == [2, 2, 2, 2]
    assert np.isfinite(model.predict(tokens[0], verbose=0)).all()
    assert model.fit(*tokens, verbose=0).epoch == [0]


SCRIPT = """
    import os, sys
    import numpy as np
    from foliot.layers import LSTM, Dense
    from foliot.models import Sequential

    x, y = np.random.default_rng(0).normal(size=(256, 20, 8)), np.zeros(256)
    model = Sequential([LSTM(32), Dense(1)])
    model.compile("adam", "mse")
    model.fit(x, y, verbose=0)
    expected = model.predict(x, verbose=0)
    child = os.fork()
    if child == 0:
        same = np.array_equal(model.predict(x, verbose=0), expected)
        model.fit(x, y, verbose=0)
        os._exit(0 if same else 3)
    _, status = os.waitpid(child, 0)
    assert np.array_equal(model.predict(x, verbose=0), expected)
    sys.exit(os.waitstatus_to_exitcode(status))
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
@pytest.mark.timeout(60)
def test_fork_after_use() -> None:
    result = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(SCRIPT)], capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stderr
