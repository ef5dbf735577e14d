"""Data sets: a corpus of film reviews that comes with foliot, and readers for labelled texts on disk."""

from foliot.datasets import imdb as imdb
from foliot.datasets.files import Corpus as Corpus
from foliot.datasets.files import Texts as Texts
from foliot.datasets.files import load_texts as load_texts
from foliot.datasets.reviews import load_reviews as load_reviews
