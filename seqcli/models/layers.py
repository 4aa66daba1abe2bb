"""What the parts of a network are to each other. A kind of part is a class that derives from one of these.

Shapes: B sequences, T positions, D values, K labels, N positions, V rows of the vocabulary.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple, TypeVar

from torch import Tensor, nn

from seqcli.recipe import registry
from seqcli.recipe.base import Component


class Counted(NamedTuple):
    """The tables (``words``, ``labels``) whose entries the first axes of a tensor count.

    ``unknown``: the row that stands for what is not in the table, which a new entry begins as; None where it begins anew.
    """

    tables: tuple[str, ...]
    unknown: int | None = None


Tables = dict[str, Counted]
"""Tensors with a row for each entry of a table, by name."""

M = TypeVar("M", bound=nn.Module)
Inputs = Mapping[str, Tensor]


class Embedder(nn.Module, ABC):
    """A batch's inputs -> a vector for each position, zero on padding."""

    output_dim: int

    @abstractmethod
    def forward(self, inputs: Inputs, lengths_B: Tensor) -> Tensor:
        """Vectors [B, T, output_dim]."""

    def tables(self) -> Tables:
        """Its tensors that have a row for each word or part of a word."""
        return {}

    def positions(self, lengths_B: Tensor) -> Tensor:
        """How many vectors come of so many tokens or frames."""
        return lengths_B


class Speller(nn.Module, ABC):
    """The characters of words -> a vector for each word."""

    embedding: nn.Embedding
    output_dim: int

    @abstractmethod
    def forward(self, characters_UC: Tensor) -> Tensor:
        """Vectors [U, output_dim] of words given as character ids; 0 is padding, after the word."""


class Encoder(nn.Module, ABC):
    """Vectors -> vectors that know their neighbours.

    Attributes:
        bidirectional: the last values of a vector come from a direction that ends at the first position.
    """

    output_dim: int
    bidirectional = False

    @abstractmethod
    def forward(self, x_BTD: Tensor, lengths_B: Tensor) -> Tensor:
        """Vectors [B, T, output_dim]; positions past a length hold nothing of use."""

    def stream(self, x_BTD: Tensor, states: list[Tensor]) -> tuple[Tensor, list[Tensor]]:
        """``(vectors [B, T, output_dim], states to read on from)``, where no position sees a later one.

        ``states`` is an empty list at the start of a sequence; every state has the sequences in front.
        """
        raise NotImplementedError(f"{type(self).__name__} sees later positions")


class Decoder(nn.Module, ABC):
    """The tokens of a target so far, and what the encoder made of the source -> vectors for the tokens that follow.

    Attributes:
        input_dim: size of the vectors of target tokens that it reads.
    """

    input_dim: int
    output_dim: int

    @abstractmethod
    def start(self, encoded_BSD: Tensor, lengths_B: Tensor) -> tuple[list[Tensor], list[Tensor]]:
        """``(what it keeps of the source, states to begin with)``, each with the sequences in front."""

    @abstractmethod
    def stream(
        self, x_BTD: Tensor, source: list[Tensor], states: list[Tensor]
    ) -> tuple[Tensor, list[Tensor], Tensor | None]:
        """``(vectors [B, T, output_dim], states to read on from, where the last position looked [B, -1, S] or None)``.

        No position sees a later one. A decoder with attention is sure to tell where it looked if T = 1 and nothing is
        trained; rows before the last may be there or not.
        """


class Pooling(nn.Module, ABC):
    """A vector for each position -> one for the sequence, which has a position at least."""

    output_dim: int

    @abstractmethod
    def forward(self, hidden_BTD: Tensor, lengths_B: Tensor) -> Tensor:
        """Vectors [B, output_dim]."""


class Head(nn.Module, ABC):
    """The last layer."""

    def tables(self, labels: str) -> Tables:
        """Its tensors that have a row for each label; ``labels`` is what the labels are: a table's name."""
        return {}


class PositionHead(Head):
    """A vector for each position -> a label for each position."""

    @abstractmethod
    def loss(self, hidden_BTD: Tensor, labels_BT: Tensor, lengths_B: Tensor) -> tuple[Tensor, int]:
        """The loss summed, in nats, and the number of positions it sums over."""

    @abstractmethod
    def outputs(self, hidden_BTD: Tensor) -> dict[str, Tensor]:
        """``logits_BTK``, and what decoding needs besides."""


class SequenceHead(Head):
    """A vector for the sequence -> its label, or its labels."""

    output: nn.Linear

    @abstractmethod
    def sequence_loss(self, pooled_BD: Tensor, labels: Tensor, weights_K: Tensor | None) -> tuple[Tensor, float]:
        """The loss summed, in nats, and the number of examples (or the sum of their weights)."""

    @abstractmethod
    def log_probs(self, pooled_BD: Tensor) -> Tensor:
        """ln p of each label [B, K]."""


class TokenHead(Head):
    """A vector for each position -> the token after it."""

    @abstractmethod
    def next_loss(self, hidden_ND: Tensor, targets_N: Tensor) -> Tensor:
        """Cross-entropy in nats, summed over the targets that count."""

    @abstractmethod
    def log_probs(self, hidden_ND: Tensor) -> Tensor:
        """ln p of every row of the vocabulary [N, V], float32."""


def build(slot: str, config: Component | None, *arguments: object, **options: object) -> Any:
    """The layer that a section of a recipe asks for."""
    assert config is not None, slot
    return registry.implementation(slot, config.kind)(config, *arguments, **options)


def only(kind: type[M], layers: Iterable[nn.Module]) -> list[M]:
    """The layers that are of a kind (torch's list of modules has lost it)."""
    return [layer for layer in layers if isinstance(layer, kind)]
