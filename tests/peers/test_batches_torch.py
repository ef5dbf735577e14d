"""PyTorch's tensors and DataLoaders as data."""

from typing import Any

import numpy as np
import pytest

from foliot.layers import Dense
from foliot.models import Sequential
from foliot.utils import set_random_seed

torch: Any = pytest.importorskip("torch", reason="PyTorch is not installed", exc_type=ImportError)

X = np.random.default_rng(0).normal(size=(22, 3)).astype(np.float32)
Y = X[:, :1] * 0.5


def make() -> Sequential:
    set_random_seed(1)
    network = Sequential([Dense(1)])
    network.compile("sgd", "mse")
    return network


def test_loaders_and_tensors() -> None:
    tensors = torch.from_numpy(X), torch.from_numpy(Y)
    loader = torch.utils.data.DataLoader(torch.utils.data.TensorDataset(*tensors), batch_size=4)
    options = {"epochs": 2, "verbose": 0}
    expected = make().fit(X, Y, shuffle=False, batch_size=4, **options).history
    assert make().fit(*tensors, shuffle=False, batch_size=4, **options).history == expected
    assert make().fit(loader, **options).history == expected
    assert make().predict(loader, verbose=0).shape == (22, 1)
