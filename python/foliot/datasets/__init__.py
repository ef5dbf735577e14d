"""Data sets: a corpus of film reviews that comes with foliot, and readers for labelled texts on disk."""

from foliot.datasets import imdb
from foliot.datasets.files import Corpus, Texts, load_texts
from foliot.datasets.reviews import load_reviews

__all__ = ["Corpus", "Texts", "imdb", "load_reviews", "load_texts"]
