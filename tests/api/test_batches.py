"""Batches from generators, datasets and iterables."""

import itertools
import threading
import warnings

import numpy as np
import pandas as pd
import pytest

from foliot import optimizers
from foliot.callbacks import BackupAndRestore, Callback
from foliot.layers import Dense, Input
from foliot.models import Sequential
from foliot.utils import PyDataset, set_random_seed
from foliot.utils import Sequence as KerasSequence

X = np.random.default_rng(0).normal(size=(20, 3)).astype(np.float32)
Y = np.random.default_rng(1).normal(size=(20, 1)).astype(np.float32)
OPTIONS = {"verbose": 0, "batch_size": 4}


def make(learning_rate: float = 0.05) -> Sequential:
    set_random_seed(3)
    network = Sequential([Dense(1)])
    network.compile(optimizers.SGD(learning_rate), "mse", metrics=["mae"])
    return network


def part(index: int):
    rows = slice(4 * index, 4 * index + 4)
    return X[rows], Y[rows]


def generate(batches: int | None = None):
    for index in itertools.count() if batches is None else range(batches):
        yield part(index % 5)


class Parts(PyDataset):
    """Five batches; notes what is asked of it."""

    def __init__(self, **options) -> None:
        super().__init__(**options)
        self.calls: list[object] = []
        self.threads: set[str] = set()

    def __len__(self) -> int:
        return 5

    def __getitem__(self, index: int):
        self.calls.append(index)
        self.threads.add(threading.current_thread().name)
        return part(index)

    def on_epoch_begin(self) -> None:
        self.calls.append("begin")

    def on_epoch_end(self) -> None:
        self.calls.append("end")


class Iterable:
    """Can be iterated again, and has no length."""

    def __iter__(self):
        return generate(5)


@pytest.fixture(autouse=True)
def _no_thread_stays():
    before = set(threading.enumerate())
    yield
    left = [thread for thread in set(threading.enumerate()) - before if "foliot" in thread.name]
    assert left == []


@pytest.mark.parametrize(
    "source",
    [
        generate,  # endless
        lambda: generate(10),
        lambda: iter([part(index % 5) for index in range(10)]),
        Parts,
        lambda: Parts(workers=0),
        lambda: Parts(workers=3, max_queue_size=2),
        lambda: Parts(use_multiprocessing=True),
        Iterable,
        lambda: (list(part(index % 5)) for index in range(10)),
        lambda: ((x, y, None) for x, y in generate()),
        lambda: ((x, y, np.ones(4)) for x, y in generate()),
        lambda: ((pd.DataFrame(x), pd.Series(y[:, 0])) for x, y in generate()),
        lambda: ((x.tolist(), y.tolist()) for x, y in generate()),
    ],
)
def test_the_same_as_arrays(source) -> None:
    whole, network = make(), make()
    expected = whole.fit(X, Y, epochs=2, shuffle=False, **OPTIONS)
    given = source()
    steps = 5 if hasattr(given, "__next__") else None
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        history = network.fit(given, epochs=2, steps_per_epoch=steps, shuffle=False, verbose=0)
    assert history.history == expected.history
    assert all(map(np.array_equal, whole.get_weights(), network.get_weights()))
    assert whole.evaluate(X, Y, **OPTIONS) == network.evaluate(source(), steps=5, verbose=0)
    np.testing.assert_array_equal(whole.predict(X, **OPTIONS), network.predict(source(), steps=5, verbose=0))


def test_sample_weights_and_class_weights() -> None:
    labels = (Y > 0).astype(int)
    weights = np.linspace(0, 2, 20)
    for options, extra in (({"sample_weight": weights}, (weights,)), ({"class_weight": {0: 1.0, 1: 3.0}}, ())):
        whole, network = make(), make()
        expected = whole.fit(X, labels, shuffle=False, **options, **OPTIONS).history
        batches = [[array[at : at + 4] for array in (X, labels, *extra)] for at in range(0, 20, 4)]
        given = {} if extra else options
        assert network.fit((batch for batch in batches), verbose=0, **given).history == expected


def test_dicts_by_name() -> None:
    network = Sequential([Input((3,), name="features"), Dense(1, name="answer")])
    network.compile("sgd", "mse")
    batches = ({"features": x} for x, _ in generate(5))
    assert network.predict(batches, verbose=0).shape == (20, 1)
    pairs = (({"features": x}, {"answer": y}) for x, y in generate(5))
    assert np.isfinite(network.fit(pairs, verbose=0).history["loss"]).all()


def test_batches_of_many_lengths_and_sizes() -> None:
    from foliot.layers import GRU

    network = Sequential([GRU(3), Dense(1)])
    network.compile("sgd", "mse")
    rng = np.random.default_rng(2)
    batches = [(rng.normal(size=(size, time, 2)), rng.normal(size=size)) for size, time in ((4, 5), (1, 9), (7, 2))]
    history = network.fit(iter(batches), verbose=0)
    assert np.isfinite(history.history["loss"]).all()
    assert network.predict(iter(batches), verbose=0).shape == (12, 1)


def test_validation_sources() -> None:
    for source in (Parts(), Iterable(), (X, Y)):
        network = make()
        expected = make().fit(X, Y, epochs=2, validation_data=(X[:8], Y[:8]), shuffle=False, **OPTIONS).history
        options = {"validation_data": source, "validation_steps": 2, "validation_batch_size": 4}
        history = network.fit(generate(), epochs=2, steps_per_epoch=5, verbose=0, **options).history
        assert history == expected
    # A generator goes on, and ends.
    with pytest.warns(UserWarning, match="ran out of data"):
        history = make(0.0).fit(X, Y, epochs=3, validation_data=generate(3), validation_steps=2, **OPTIONS).history
    expected = [make(0.0).evaluate(*rows, verbose=0)[0] for rows in ((X[:8], Y[:8]), (X[8:12], Y[8:12]))]
    assert history["val_loss"] == pytest.approx(expected)
    assert len(history["loss"]) == 3


def test_hooks_of_datasets_and_their_order() -> None:
    data = Parts(workers=0)
    make().fit(data, epochs=2, shuffle=False, verbose=0)
    # The first batch is looked at before, to build the model.
    assert data.calls == [0, *["begin", 0, 1, 2, 3, 4, "end"] * 2]
    assert data.threads == {"MainThread"}

    data = Parts()
    make().fit(data, epochs=3, verbose=0)
    passes = [tuple(data.calls[start + 1 : start + 6]) for start, call in enumerate(data.calls) if call == "begin"]
    assert all(sorted(order) == [0, 1, 2, 3, 4] for order in passes)
    assert len(set(passes)) > 1
    assert any("foliot-batches" in name for name in data.threads)
    again = Parts()
    make().fit(again, epochs=3, verbose=0)
    assert again.calls == data.calls

    data = Parts(workers=0)
    with pytest.warns(UserWarning, match="ran out of data"):
        history = make().fit(data, epochs=4, steps_per_epoch=2, shuffle=False, verbose=0)
    assert [call for call in data.calls[1:] if isinstance(call, int)] == [0, 1, 2, 3, 4, 0, 1]
    assert len(history.epoch) == 4


def test_what_is_prefetched_is_bounded() -> None:
    data = Parts(max_queue_size=1)

    class Check(Callback):
        def on_train_batch_begin(self, batch, logs=None) -> None:
            # The look before, this batch, and at most one more.
            assert len([call for call in data.calls if call != "begin"]) <= batch + 3

    make().fit(data, shuffle=False, verbose=0, callbacks=[Check()])


def test_an_endless_dataset() -> None:
    class Endless(KerasSequence):
        @property
        def num_batches(self) -> None:
            return None

        def __getitem__(self, index: int):
            return part(index % 5)

    whole, network = make(), make()
    expected = whole.fit(X, Y, epochs=2, shuffle=False, **OPTIONS).history
    assert network.fit(Endless(), epochs=2, steps_per_epoch=5, verbose=0).history == expected
    with pytest.raises(ValueError, match="`x`: expected the number of steps for a dataset without an end"):
        network.fit(Endless(), verbose=0)
    assert [x.shape for x, _ in itertools.islice(Endless(), 7)] == [(4, 3)] * 7


def test_a_generator_that_ends_early() -> None:
    with pytest.warns(UserWarning, match=r"Your input ran out of data; interrupting training\.") as found:
        history = make().fit(generate(7), epochs=4, steps_per_epoch=5, verbose=0)
    assert len(found) == 1
    assert history.epoch == [0, 1]
    with pytest.warns(UserWarning, match="ran out of data"):
        assert make().fit(generate(5), epochs=2, verbose=0).epoch == [0]
    with pytest.warns(UserWarning, match="ran out of data"):
        make().evaluate(generate(2), steps=3, verbose=0)
    with pytest.raises(ValueError, match="`x`: expected at least one batch"):
        make().fit(generate(0), verbose=0)
    with pytest.raises(ValueError, match="`x`: expected at least one batch"):
        make().predict([part(0)][:0].__iter__(), verbose=0)


def test_a_generator_is_not_read_beyond_what_is_used() -> None:
    source = generate()
    make().fit(source, epochs=2, steps_per_epoch=3, verbose=0)
    np.testing.assert_array_equal(next(source)[0], part(1)[0])


def fail_at(index: int, error: type[BaseException] = KeyError):
    for batch in itertools.count():
        if batch == index:
            raise error("mine")
        yield part(batch)


class Failing(Parts):
    def __getitem__(self, index: int):
        if index == 3:
            raise KeyError("mine")
        return super().__getitem__(index)


class FailingIterable:
    def __iter__(self):
        return fail_at(3)


@pytest.mark.parametrize("source", [lambda: fail_at(3), lambda: fail_at(0), Failing, FailingIterable])
def test_errors_reach_the_caller(source) -> None:
    for run in (make().fit, make().evaluate, make().predict):
        with pytest.raises(KeyError, match="mine") as found:
            run(source(), verbose=0)
        assert any(entry.name in ("fail_at", "__getitem__") for entry in found.traceback)


def test_threads_end_when_training_is_interrupted() -> None:
    class Interrupt(Callback):
        def on_train_batch_end(self, batch, logs=None) -> None:
            if batch == 1:
                raise KeyboardInterrupt

    class Stop(Callback):
        def on_train_batch_end(self, batch, logs=None) -> None:
            self.model.stop_training = True

    for source in (Parts(workers=2), Iterable()):
        with pytest.raises(KeyboardInterrupt):
            make().fit(source, verbose=0, callbacks=[Interrupt()])
        assert len(make().fit(source, epochs=3, steps_per_epoch=2, verbose=0, callbacks=[Stop()]).epoch) == 1


@pytest.mark.parametrize(
    ("batch", "text"),
    [
        ((X, Y, None, Y), r"`batch 1 of x`: expected \(x,\), \(x, y\) or \(x, y, sample_weight\)"),
        ((), r"`batch 1 of x`: expected \(x,\)"),
        (X, "`targets of batch 1 of x`: expected the targets"),
        ((X,), "`targets of batch 1 of x`: expected the targets"),
        ((X, Y[:3]), "`targets of batch 1 of x`: expected as many rows"),
        ((X, Y, np.ones(3)), "`sample weights of batch 1 of x`"),
        ((X[:0], Y[:0]), "`inputs of batch 1 of x`: expected at least one row"),
    ],
)
def test_batches_that_cannot_be_used(batch, text) -> None:
    with pytest.raises(ValueError, match=text):
        make().fit(iter([batch]), verbose=0)
    # Also where the first batches were good.
    with pytest.raises(ValueError, match=text.replace("batch 1", "batch 3")):
        make().fit(iter([part(0), part(1), batch]), verbose=0)


def test_changing_shapes() -> None:
    with pytest.raises(ValueError, match="3 features"):
        make().fit(iter([part(0), (X[:, :2], Y)]), verbose=0)
    network = Sequential([Dense(3, activation="softmax")])
    network.compile("sgd", "sparse_categorical_crossentropy")
    with pytest.raises(ValueError, match="`targets of batch 2 of x`"):
        network.fit(iter([(X, np.zeros(20, int)), (X, np.eye(3)[np.zeros(20, int)])]), verbose=0)


@pytest.mark.parametrize(
    "options", [{"y": Y}, {"sample_weight": np.ones(20)}, {"validation_split": 0.2}, {"class_weight": {}}]
)
def test_arguments_that_do_not_go_with_a_source(options) -> None:
    with pytest.raises(ValueError, match=f"`{next(iter(options))}`: expected"):
        make().fit(generate(), steps_per_epoch=1, verbose=0, **options)


def test_unknown_lengths_are_shown(capsys, monkeypatch) -> None:
    network = make()
    network.fit(Iterable(), epochs=2, verbose=2)
    assert capsys.readouterr().out.count("5/5 - ") == 2
    seen: list[object] = []

    class Params(Callback):
        def on_train_begin(self, logs=None) -> None:
            seen.append(self.params["steps"])

    for source, steps in ((Iterable(), None), (Parts(), None), (Parts(), 2), (generate(5), None), (generate(2), 2)):
        network.fit(source, steps_per_epoch=steps, verbose=0, callbacks=[Params()])
    assert seen == [None, 5, 2, None, 2]


def test_a_source_is_resumed_with_the_same_bits(tmp_path) -> None:
    class Interrupt(Callback):
        def on_epoch_begin(self, epoch, logs=None) -> None:
            if epoch == 2:
                raise KeyboardInterrupt

    whole = make()
    whole.fit(Parts(), epochs=4, verbose=0)
    with pytest.raises(KeyboardInterrupt):
        make().fit(Parts(), epochs=4, verbose=0, callbacks=[BackupAndRestore(tmp_path / "b"), Interrupt()])
    second = make()
    second.fit(Parts(), epochs=4, verbose=0, callbacks=[BackupAndRestore(tmp_path / "b")])
    assert all(map(np.array_equal, whole.get_weights(), second.get_weights()))


def test_no_rows_and_many_steps() -> None:
    network = make()
    network.build((None, 3))
    assert network.predict(X[:0], steps=3, verbose=0).shape == (0, 1)


def test_sparse_matrices_are_no_source() -> None:
    sparse = pytest.importorskip("scipy.sparse")
    with pytest.raises(TypeError, match="`x`"):
        make().fit(sparse.csr_matrix(X), Y, verbose=0)


def test_classes_without_our_base() -> None:
    class Old:
        def __len__(self) -> int:
            return 5

        def __getitem__(self, index: int):
            return part(index)

    expected = make().fit(X, Y, shuffle=False, **OPTIONS).history
    assert make().fit(Old(), shuffle=False, verbose=0).history == expected


def test_polars() -> None:
    polars = pytest.importorskip("polars")
    frame, column = polars.DataFrame(X, schema=["a", "b", "c"]), polars.Series(Y[:, 0])
    expected = make().fit(X, Y, shuffle=False, **OPTIONS).history
    assert make().fit(frame, column, shuffle=False, **OPTIONS).history == expected
    with pytest.raises(ValueError, match=r"NaN|missing|finite"):
        make().fit(frame, polars.Series([None, *Y[1:, 0].tolist()]), **OPTIONS)
