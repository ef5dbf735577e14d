"""Layers that take texts: in a model they run before the native program, which begins with their numbers."""

from collections.abc import Mapping
from typing import Any

from foliot._arrays import Array
from foliot._checks import check_off
from foliot.layers.base import Layer
from foliot.layers.preprocessing.vocabulary import Vocabulary


class TextLayer(Layer):
    """Base of the layers whose input are texts.

    They have neither weights nor gradients, and no native form: `foliot._graph.assemble` leaves them out of the native
    graph and says which of its inputs take their numbers.
    """

    _vocabulary: Vocabulary[Any]

    def __init__(self, *, name: str | None = None, **kwargs: Any) -> None:
        check_off("activity_regularizer", kwargs.pop("activity_regularizer", None), None)
        dtype = kwargs.get("dtype")
        policy = dtype.get("config", {}).get("name") if isinstance(dtype, Mapping) else dtype
        if policy in ("string", "int32", "int64"):
            del kwargs["dtype"]  # Keras's word for what goes in or comes out, which changes nothing
        super().__init__(name=name, **kwargs)

    @property
    def takes_text(self) -> bool:
        return True

    @classmethod
    def argument_names(cls) -> tuple[str, ...]:
        return tuple(name for name in super().argument_names() if name != "activity_regularizer")

    def check_options(self) -> None:
        pass  # they follow texts, before anything native

    def numbers(self, argument: str, texts: Array) -> tuple[Array, Array | None]:
        """The numbers of texts in a model, with the length of each row where rows are padded to the longest.

        Args:
            argument: What messages call the texts.
            texts: Texts, the batch axis first.

        Raises:
            ValueError: The layer has no vocabulary.
        """
        self._check_known(argument)
        return self._numbers(argument, texts)

    def _check_known(self, argument: str) -> None:
        if not self._vocabulary.terms:
            raise ValueError(
                f"`{argument}`: expected {self.label} to have a vocabulary, from adapt(texts) or vocabulary=[...]; "
                "received texts for a layer without one"
            )

    def _numbers(self, argument: str, texts: Array) -> tuple[Array, Array | None]:
        raise NotImplementedError

    def _depth(self) -> int:
        """How many numbers a row has in the output modes that count."""
        vocabulary = self._vocabulary
        if not (vocabulary.pad and vocabulary.max_terms):
            self._check_known("output_mode")
        return vocabulary.depth()
