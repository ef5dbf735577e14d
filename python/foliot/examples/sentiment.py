"""Trains a recurrent network to tell favourable film reviews from unfavourable ones.

Run it as `foliot demo sentiment`. The steps are those of any text classification: read the texts, turn words into
numbers and texts into rows of one length, train a small network, look at how it did on texts it has not seen, save
it, and use what was saved. Beside the network stands a model that only counts words, and so cannot see their order.
"""

from __future__ import annotations

import argparse
import importlib
import time
from pathlib import Path
from textwrap import shorten
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

import foliot
from foliot.callbacks import EarlyStopping, History
from foliot.datasets import Texts, load_reviews, load_texts
from foliot.layers import GRU, LSTM, Dense, Embedding, SimpleRNN
from foliot.models import Sequential, load_model
from foliot.optimizers import RMSprop
from foliot.preprocessing.sequence import pad_sequences
from foliot.preprocessing.text import Tokenizer, tokenizer_from_json

CELLS = {"simple_rnn": SimpleRNN, "lstm": LSTM, "gru": GRU}

# Twins: the same words in another order mean the opposite.
SENTENCES = [
    "At first it is dull, but by the end it is gripping.",
    "At first it is gripping, but by the end it is dull.",
    "It is never tedious, only charming.",
    "It is never charming, only tedious.",
    "My sister loved every minute of it, and, if you ask me, I hated every minute of it.",
    "My sister hated every minute of it, and, if you ask me, I loved every minute of it.",
]


class Parts(NamedTuple):
    """The texts to train on and the texts to judge the result by."""

    train: Texts
    test: Texts


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the options of the demo to a parser."""
    add = parser.add_argument
    add("--cell", choices=CELLS, default="simple_rnn", help="kind of recurrent layer (default: %(default)s)")
    add("--units", type=_positive(int), default=32, help="units of the recurrent layer (default: %(default)s)")
    add("--epochs", type=_positive(int), default=20, help="times to go over all training texts (default: %(default)s)")
    add("--batch-size", type=_positive(int), default=32, help="texts for one training step (default: %(default)s)")
    add("--learning-rate", type=_positive(float), default=0.003, help="of RMSprop (default: %(default)s)")
    add("--seed", type=int, default=1, help="decides all that is random (default: %(default)s)")
    add("--threads", type=_positive(int), help="number of threads (default: as many as the machine gives)")
    add(
        "--device",
        default=foliot.config.get_device(),
        help="where the network runs: auto, cpu, gpu, gpu:0 or a part of a name (default: %(default)s)",
    )
    add("--out", type=Path, default=Path("out"), metavar="DIR", help="where to write to (default: %(default)s)")
    add(
        "--data",
        type=Path,
        metavar="PATH",
        help="reviews to learn from: a folder train/{pos,neg}, test/{pos,neg} or {pos,neg} with .txt files, two files "
        "*.pos and *.neg with one text a line, a .csv with a text and a label column, Keras's imdb.npz, or a .tar.gz "
        "of one of these (default: reviews made by foliot)",
    )
    add("--encoding", default="utf-8", help="encoding of the texts in --data (default: %(default)s)")
    add("--max-words", type=_positive(int), default=10_000, help="most common words to keep (default: %(default)s)")
    add("--max-length", type=_positive(int), default=200, help="last words of a text to keep (default: %(default)s)")
    add("--count", type=_positive(int), default=4000, help="reviews to make without --data (default: %(default)s)")


def _positive(number: type[int | float]) -> Any:
    def parse(text: str) -> int | float:
        value = number(text)
        # Written this way round, NaN is refused as well.
        if not 0 < value < float("inf"):
            raise argparse.ArgumentTypeError(f"must be greater than 0, not {text}")
        return value

    # argparse names the type by this in "invalid int value".
    parse.__name__ = number.__name__
    return parse


def run(options: argparse.Namespace) -> None:
    """Runs the demo with the options of `add_arguments`."""
    started = time.perf_counter()
    for extra in ("matplotlib.figure", "sklearn.linear_model"):
        _require(extra)
    options.out.mkdir(parents=True, exist_ok=True)
    if options.threads is not None:
        foliot.config.set_num_threads(options.threads)
    foliot.config.set_device(options.device)
    foliot.utils.set_random_seed(options.seed)

    # The texts.
    train, test = load(options)
    print(f"{len(train.texts):,} reviews to learn from, {len(test.texts):,} to be judged by, such as")
    for row in range(2):
        print(f"    {'positive' if train.labels[row] else 'negative'}  {_short(train.texts[row])}")

    # Words become numbers, common words small ones; rows get one length, with zeros in front of short texts.
    tokenizer = Tokenizer(num_words=options.max_words)
    tokenizer.fit_on_texts(train.texts)
    sequences = tokenizer.texts_to_sequences(train.texts)
    length = min(max(map(len, sequences)), options.max_length)
    if length == 0:
        raise ValueError(f"{options.data}: the texts to learn from hold no words")
    x_train = pad_sequences(sequences, maxlen=length)
    x_test = pad_sequences(tokenizer.texts_to_sequences(test.texts), maxlen=length)

    # The network.
    vocabulary = min(options.max_words, len(tokenizer.word_index) + 1)
    model = Sequential(
        [
            Embedding(vocabulary, 32),
            CELLS[options.cell](options.units),
            Dense(1, activation="sigmoid"),
        ]
    )
    model.compile(optimizer=RMSprop(options.learning_rate), loss="binary_crossentropy", metrics=["accuracy"])
    model.build((None, length))
    model.summary()

    # Training. The last tenth of the training texts only tells how well it goes; the best epoch is kept.
    training_started = time.perf_counter()
    history = model.fit(
        x_train,
        train.labels,
        epochs=options.epochs,
        batch_size=options.batch_size,
        validation_split=0.1,
        callbacks=[EarlyStopping(monitor="val_loss", patience=options.epochs, restore_best_weights=True)],
    )
    training_time = time.perf_counter() - training_started
    plot(history, options.out / "history.png")

    # How it did, beside a model that counts words.
    _, accuracy = model.evaluate(x_test, test.labels, verbose=0)
    baseline = count_words(train, test)
    print(f"\nAccuracy on the {len(test.texts):,} test reviews")
    print(f"    {type(model.layers[1]).__name__:<36}{accuracy:.3f}")
    print(f"    {'logistic regression on word counts':<36}{baseline:.3f}")

    # What was saved is all that is needed to judge new sentences.
    model.save(options.out / "sentiment.foliot")
    (options.out / "tokenizer.json").write_text(tokenizer.to_json(), encoding="utf-8")
    judge(options.out, SENTENCES if options.data is None else test.texts[:6])
    print(f"\nThe model, the tokenizer and the curves (history.png) are in {options.out}.")
    print(f"Took {time.perf_counter() - started:.1f} s, {training_time:.1f} s of it training.")


def load(options: argparse.Namespace) -> Parts:
    """Reads or makes the texts, in random order and cut into training texts and test texts."""
    if options.data is None:
        texts, labels = load_reviews(options.count, seed=options.seed)
        # Made in random order. An even cut keeps twins on one side; else the other twin would give the answer away.
        cut = len(texts) * 4 // 5 // 2 * 2
        parts = Parts(Texts(texts[:cut], labels[:cut]), Texts(texts[cut:], labels[cut:]))
    else:
        corpus = load_texts(options.data, encoding=options.encoding)
        generator = np.random.default_rng(options.seed)
        train = _take(corpus.train, generator.permutation(len(corpus.train.texts)))
        if corpus.test is not None:
            parts = Parts(train, _take(corpus.test, generator.permutation(len(corpus.test.texts))))
        else:
            rows = np.arange(len(train.texts))
            cut = len(rows) * 4 // 5
            parts = Parts(_take(train, rows[:cut]), _take(train, rows[cut:]))
    if len(parts.train.texts) < 10 or len(np.unique(parts.train.labels)) < 2:
        raise ValueError(
            "expected at least 10 reviews of both kinds to learn from, beside those set apart "
            f"for the test. Received: {len(parts.train.texts)} from {options.data or '--count'}"
        )
    return parts


def _take(texts: Texts, rows: NDArray[np.int64]) -> Texts:
    return Texts([texts.texts[row] for row in rows], texts.labels[rows])


def count_words(train: Texts, test: Texts) -> float:
    """Returns the accuracy of scikit-learn's logistic regression on the counts of words."""
    features = _require("sklearn.feature_extraction.text").TfidfVectorizer()
    classifier = _require("sklearn.linear_model").LogisticRegression(max_iter=1000)
    classifier.fit(features.fit_transform(train.texts), train.labels)
    return float(classifier.score(features.transform(test.texts), test.labels))


def plot(history: History, path: Path) -> None:
    """Draws accuracy and loss by epoch, for training and validation."""
    figure = _require("matplotlib.figure").Figure(figsize=(10, 4), layout="constrained")
    epochs = [epoch + 1 for epoch in history.epoch]
    for axes, metric in zip(figure.subplots(1, 2), ("accuracy", "loss"), strict=True):
        axes.plot(epochs, history.history[metric], "o-", label="training")
        axes.plot(epochs, history.history[f"val_{metric}"], "s-", label="validation")
        axes.set(xlabel="epoch", ylabel=metric)
        axes.xaxis.get_major_locator().set_params(integer=True)
        axes.grid(alpha=0.3)
        axes.legend()
    figure.savefig(path)


def judge(folder: Path, sentences: list[str]) -> None:
    """Loads what the demo saved and prints what it makes of some sentences."""
    model = load_model(folder / "sentiment.foliot")
    tokenizer = tokenizer_from_json((folder / "tokenizer.json").read_text(encoding="utf-8"))
    rows = pad_sequences(tokenizer.texts_to_sequences(sentences), maxlen=model.input_shape[1])
    print("\nJudged by the saved model")
    for sentence, probability in zip(sentences, model.predict(rows, verbose=0)[:, 0], strict=True):
        print(f"    {'positive' if probability > 0.5 else 'negative'} {probability:6.3f}  {_short(sentence)}")


def _short(text: str) -> str:
    return shorten(text, 120, placeholder=" ...")


def _require(module: str) -> Any:
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            f"the demo needs {error.name}, which comes with: pip install 'foliot[demo]'", name=error.name
        ) from error
