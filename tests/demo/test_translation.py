"""The encoder-decoder of Keras's example learns to reverse texts that it has not seen."""

from pathlib import Path

import numpy as np
import pytest

import foliot
from foliot.examples.translation import BEGIN, END, Characters, EncoderDecoder, load_pairs
from foliot.optimizers import Adam


def test_it_learns_to_reverse() -> None:
    random = np.random.default_rng(0)
    texts = sorted({"".join(random.choice(list("abcd"), random.integers(2, 5))) for _ in range(400)})
    random.shuffle(texts)
    known, unknown = texts[:-30], texts[-30:]
    foliot.utils.set_random_seed(3)
    data = Characters.of([*known, *unknown], [text[::-1] for text in (*known, *unknown)])
    training = Characters(
        data.letters, *(part[: len(known)] for part in (data.encoder_input, data.decoder_input, data.decoder_target))
    )
    writer = EncoderDecoder(foliot, 48, data)
    writer.compile(Adam(0.01))
    history = writer.fit(training, epochs=60, batch_size=32, verbose=0).history
    assert history["loss"][-1] < 0.1 * history["loss"][0]
    answers = writer.answer(unknown)
    right = sum(answer == text[::-1] for answer, text in zip(answers, unknown, strict=True))
    assert right >= 24, list(zip(unknown, answers, strict=True))


def test_arrays() -> None:
    data = Characters.of(["ab c", "b"], ["x y", "yy"])
    assert data.letters == ([" ", "a", "b", "c"], [BEGIN, END, " ", "x", "y"])
    assert data.encoder_input[1].argmax(axis=-1).tolist() == [2, 0, 0, 0]
    written = ["".join(data.letters[1][place] for place in row.argmax(axis=-1)) for row in data.decoder_input]
    assert written == [f"{BEGIN}x y{END}", f"{BEGIN}yy{END} "]
    np.testing.assert_array_equal(data.decoder_target[:, :-1], data.decoder_input[:, 1:])
    assert data.decoder_target[:, -1].argmax(axis=-1).tolist() == [2, 2]
    with pytest.raises(KeyError):
        data.encode(["z"])


def test_pairs(tmp_path: Path) -> None:
    path = tmp_path / "pairs.tsv"
    path.write_text("Go.\tVa !\tCC-BY\nHi.\tSalut.\tCC-BY\nRun!\tFuyez !\tCC-BY\n", encoding="utf-8")
    assert load_pairs(path, 2) == (["Go.", "Hi."], ["Va !", "Salut."])
    path.write_text("Go.\n", encoding="utf-8")
    with pytest.raises(ValueError, match=r"line 1: expected a text, a tab and its translation; received 'Go.'"):
        load_pairs(path)
