"""Encoder-decoders: a source of any kind -> a target, token by token.

Shapes: B sequences, S source positions, T target positions, D values, V rows of the target's vocabulary, N = real
target positions.
"""

from __future__ import annotations

from torch import Tensor, nn

from seqcli.data.batch import IGNORE, Batch, InputSizes, LabelSpace, Side
from seqcli.models.embedders import TokenEmbedder
from seqcli.models.heads import SoftmaxHead
from seqcli.models.layers import Counted, Decoder, Embedder, Encoder, Tables, build
from seqcli.models.network import Loss, Memory, Network, Tensors
from seqcli.recipe.embedders import TokensConfig
from seqcli.recipe.models import EncoderDecoderConfig

SOURCE, TARGET = "words", "target words"
"""What the tables of the two sides are called where each has its own."""


class NoEncoder(Encoder):
    """The embedder's vectors as they are: those of an image know their neighbours already."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.output_dim = dim

    def forward(self, x_BTD: Tensor, lengths_B: Tensor) -> Tensor:
        return x_BTD


class EncoderDecoder(Network):
    """Embedder and encoder of the source, decoder and head of the target (Sutskever et al. 2014).

    Args:
        target: sizes of the target's vocabulary.
        shared: it is also the source's.
    """

    def __init__(self, config: EncoderDecoderConfig, source: InputSizes, target: InputSizes, *, shared: bool) -> None:
        super().__init__()
        self.target_table = SOURCE if shared else TARGET
        tokens = isinstance(config.embedder, TokensConfig)
        self.embedder: Embedder = build("embedder", config.embedder, source, **({"tied": True} if tokens else {}))
        dim = self.embedder.output_dim
        self.encoder: Encoder = build("encoder", config.encoder, dim) if config.encoder else NoEncoder(dim)
        encoded, both_ways = self.encoder.output_dim, self.encoder.bidirectional
        self.decoder: Decoder = build("decoder", config.decoder, encoded, bidirectional=both_ways)
        vectors = TokensConfig.model_validate({"dim": self.decoder.input_dim})
        self.target_embedder = TokenEmbedder(vectors, target, tied=True)
        self.head: SoftmaxHead = build("head", config.head, self.decoder.output_dim, LabelSpace(target.words))
        if config.tied in ("source-target", "all"):
            assert isinstance(self.embedder, TokenEmbedder)
            self.target_embedder.words = self.embedder.words
        if config.tied in ("target-output", "all"):
            self.head.output.weight = self.words.weight
            if self.head.output.bias is not None:
                nn.init.zeros_(self.head.output.bias)

    @property
    def words(self) -> nn.Embedding:
        """The vectors of target tokens."""
        assert self.target_embedder.words is not None
        return self.target_embedder.words

    def encode(self, source: Side) -> tuple[list[Tensor], list[Tensor]]:
        """``(what the decoder keeps of the source, its first states)``."""
        return self.decoder.start(*self.encoded(source))

    def encoded(self, source: Side) -> tuple[Tensor, Tensor]:
        """``(vectors of the source [B, S, D], how many of them are real [B])``."""
        inputs, lengths_B = self.tensors(source)
        positions_B = self.embedder.positions(lengths_B)
        return self.encoder(self.embedder(inputs, lengths_B), positions_B), positions_B

    def read(
        self, words_BT: Tensor, source: list[Tensor], states: list[Tensor]
    ) -> tuple[Tensor, list[Tensor], Tensor | None]:
        """Read target tokens; see `Decoder.stream`."""
        lengths_B = words_BT.new_full((words_BT.size(0),), words_BT.size(1))
        return self.decoder.stream(self.target_embedder({"words_BT": words_BT}, lengths_B), source, states)

    def forward(self, source: Side) -> Tensors:
        """What the decoder keeps of the source, which has no other outputs before a target is begun."""
        return self.begun(*self.encoded(source))

    def begun(self, encoded_BSD: Tensor, positions_B: Tensor) -> Tensors:
        """What the decoder keeps of the source as ``kept_0``, ..., its first states as ``state_0``, ..."""
        kept, states = self.decoder.start(encoded_BSD, positions_B)
        named = {f"kept_{number}": one for number, one in enumerate(kept)}
        return named | {f"state_{number}": one for number, one in enumerate(states)}

    def loss(self, batch: Batch, memory: Memory) -> Loss:
        """Cross-entropy in nats summed over the target's tokens, <EOS> among them."""
        return self.written(*self.encoded(batch.source), batch.target)

    def written(self, encoded_BSD: Tensor, positions_B: Tensor, target: Side) -> Loss:
        """The loss of targets, given the vectors of their sources."""
        kept, states = self.decoder.start(encoded_BSD, positions_B)
        arrays, _ = self.tensors(target)
        hidden_BTD, _, _ = self.read(arrays["words_BT"], kept, states)
        targets_N = arrays["ids_BT"].flatten()
        rows = (targets_N != IGNORE).nonzero().squeeze(1)
        hidden_ND = hidden_BTD.flatten(0, 1).index_select(0, rows)
        return Loss(self.head.next_loss(hidden_ND, targets_N.index_select(0, rows)), len(rows), Memory())

    def tables(self) -> Tables:
        """Its tensors with a row for each token, those of the target under its own name."""
        found = super().tables()
        for path in ("target_embedder.words.weight", "head.output.weight", "head.output.bias"):
            if path != "head.output.bias" or self.head.output.bias is not None:
                found[path] = Counted((self.target_table,))
        return found
