"""The scripts of the tutorial, as they stand there except for the import and the size of the data."""

import textwrap

import matplotlib as mpl
import pytest

mpl.use("Agg")

DATA = """
    import numpy as np
    import pandas as pd
    from sklearn.model_selection import train_test_split
    from sklearn.preprocessing import LabelEncoder, StandardScaler
    from foliot.preprocessing.text import Tokenizer
    from foliot.preprocessing.sequence import pad_sequences

    good, bad = "a good film with a fine cast".split(), "a bad film with a poor plot".split()
    rng = np.random.default_rng(0)
    kinds = [(good, "positive"), (bad, "negative")] * 100
    rows = [(" ".join(rng.choice(words, 6)), label) for words, label in kinds]
    data = pd.DataFrame(rows, columns=["review", "sentiment"])
"""

SENTIMENT = """
    from foliot.models import Sequential
    from foliot.layers import Embedding, SimpleRNN, Dense

    max_features, maxlen = 50, 8
    tokenizer = Tokenizer(num_words=max_features)
    tokenizer.fit_on_texts(data["review"])
    x = pad_sequences(tokenizer.texts_to_sequences(data["review"]), maxlen=maxlen)
    y = LabelEncoder().fit_transform(data["sentiment"])
    x_train, x_test, y_train, y_test = train_test_split(x, y, test_size=0.2, random_state=42)

    model = Sequential()
    model.add(Embedding(max_features, 32))
    model.add(SimpleRNN(32))
    model.add(Dense(1, activation='sigmoid'))
    model.summary()

    model.compile(optimizer='rmsprop', loss='binary_crossentropy', metrics=['acc'])
    history = model.fit(x_train, y_train, epochs=10, batch_size=16, validation_split=0.2)
    loss, accuracy = model.evaluate(x_test, y_test)
"""

PLOT = """
    import matplotlib.pyplot as plt

    acc = history.history['acc']
    val_acc = history.history['val_acc']
    loss = history.history['loss']
    val_loss = history.history['val_loss']
    epochs = range(1, len(acc) + 1)
    plt.plot(epochs, acc, 'bo', label='Training acc')
    plt.plot(epochs, val_acc, 'b', label='Validation acc')
    plt.title('Training and validation accuracy')
    plt.legend()
    plt.figure()
    plt.plot(epochs, loss, 'bo', label='Training loss')
    plt.plot(epochs, val_loss, 'b', label='Validation loss')
    plt.legend()
    plt.close('all')
"""

LOOPS = """
    from foliot.models import Sequential
    from foliot.layers import Embedding, SimpleRNN, Dense
    from foliot.optimizers import RMSprop

    def build(optimizer):
        model = Sequential()
        model.add(Embedding(50, 8, input_length=8))
        model.add(SimpleRNN(8))
        model.add(Dense(1, activation='sigmoid'))
        model.compile(optimizer=optimizer, loss='binary_crossentropy', metrics=['acc'])
        return model

    results = {}
    for epochs in [1, 3]:
        results['epochs', epochs] = build('rmsprop').fit(x_train, y_train, epochs=epochs, verbose=0).history
    for batch_size in [8, 32, 128]:
        results['batch', batch_size] = build('rmsprop').fit(x_train, y_train, batch_size=batch_size, verbose=0).history
    for lr in [0.1, 0.01, 0.001]:
        model = build(RMSprop(lr=lr))
        results['lr', lr] = model.fit(x_train, y_train, epochs=2, validation_split=0.2, verbose=0).history
"""

SERIES = """
    import numpy as np
    import foliot as keras

    series = np.sin(np.arange(120) / 5).reshape(-1, 1)
    scaled = StandardScaler().fit_transform(series)
    x = np.array([scaled[i : i + 10] for i in range(len(scaled) - 10)])
    y = scaled[10:]
    x_train, x_test, y_train, y_test = train_test_split(x, y, test_size=0.2, shuffle=False)
    model = keras.Sequential()
    model.add(keras.layers.LSTM(16, input_shape=(10, 1), time_major=False))
    model.add(keras.layers.Dropout(0.1))
    model.add(keras.layers.Dense(1))
    model.compile(loss='mean_squared_error', optimizer=keras.optimizers.Adam(lr=0.02, decay=1e-4))
    history = model.fit(x_train, y_train, epochs=15, batch_size=8, verbose=2, validation_data=(x_test, y_test))
    error = model.evaluate(x_test, y_test, verbose=0)
    prediction = model.predict(x_test)
"""

CATEGORIES = """
    from foliot.models import Sequential
    from foliot.layers import Embedding, GRU, Dense
    from foliot.utils import to_categorical

    labels = to_categorical(y)
    model = Sequential([Embedding(50, 8), GRU(8), Dense(2, activation='softmax')])
    model.compile('adam', 'categorical_crossentropy', metrics=['accuracy'])
    history = model.fit(x, labels, epochs=3, verbose=0, class_weight={0: 1.0, 1: 2.0})
    classes = model.predict(x, verbose=0).argmax(axis=1)
"""


@pytest.fixture
def run():
    def execute(*parts: str) -> dict:
        names: dict = {}
        for part in parts:
            exec(compile(textwrap.dedent(part), "tutorial", "exec"), names)  # noqa: S102 - the scripts above
        return names

    return execute


def test_sentiment(run, capsys) -> None:
    names = run(DATA, SENTIMENT, PLOT)
    assert names["accuracy"] > 0.9
    assert len(names["val_acc"]) == 10
    out = capsys.readouterr().out
    assert "embedding (Embedding)" in out
    assert "Epoch 10/10" in out


def test_loops(run) -> None:
    results = run(DATA, SENTIMENT, LOOPS)["results"]
    assert len(results["epochs", 3]["loss"]) == 3
    assert results["lr", 0.1]["loss"] != results["lr", 0.001]["loss"]


def test_series(run) -> None:
    names = run(DATA, SERIES)
    assert names["error"] < 0.2
    assert names["prediction"].shape == (22, 1)


def test_categories(run) -> None:
    names = run(DATA, SENTIMENT, CATEGORIES)
    assert names["classes"].shape == (200,)
    assert list(names["history"].history) == ["accuracy", "loss"]
