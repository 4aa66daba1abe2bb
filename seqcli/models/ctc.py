"""Connectionist temporal classification: frames -> text, unaligned (Graves et al. 2006), alone or beside a decoder.

Shapes: B sequences, T frames, S positions (of the embedder, fewer than frames), D values, L units of a text, V units.
"""

from __future__ import annotations

from torch import Tensor, nn

from seqcli.data.batch import Batch, InputSizes, LabelSpace, Side
from seqcli.models.encoder_decoder import EncoderDecoder
from seqcli.models.layers import Counted, Embedder, Encoder, Head, Tables, build
from seqcli.models.masks import real_positions
from seqcli.models.network import Loss, Memory, Network, Tensors
from seqcli.recipe.heads import CTCConfig
from seqcli.recipe.models import EncoderDecoderConfig, NetworkConfig


class CTCHead(Head):
    """ln p of each unit at each position, the blank among the units."""

    def __init__(self, config: CTCConfig, input_dim: int, space: LabelSpace, *, blank: int) -> None:
        super().__init__()
        self.output = nn.Linear(input_dim, space.labels)
        self.blank = blank

    def tables(self, labels: str) -> Tables:
        return dict.fromkeys(("output.weight", "output.bias"), Counted((labels,)))

    def log_probs(self, hidden_BSD: Tensor) -> Tensor:
        return self.output(hidden_BSD).float().log_softmax(-1)

    def outputs(self, hidden_BSD: Tensor, positions_B: Tensor) -> dict[str, Tensor]:
        """``log_probs_BSV``, zero past the positions, and ``positions_B``: how many there are (as float32)."""
        real_BS = real_positions(positions_B, hidden_BSD.size(1))
        return {
            "log_probs_BSV": self.log_probs(hidden_BSD).masked_fill(~real_BS.unsqueeze(2), 0.0),
            "positions_B": positions_B.float(),
        }

    def loss(self, hidden_BSD: Tensor, positions_B: Tensor, ids_BL: Tensor, lengths_B: Tensor) -> Tensor:
        """-ln p of the texts over all alignments, summed; a text that its positions are too few for counts nothing."""
        return nn.functional.ctc_loss(
            self.log_probs(hidden_BSD).transpose(0, 1),
            ids_BL.clamp(min=0),  # padding is never read, but looked at
            positions_B,
            lengths_B,
            blank=self.blank,
            reduction="sum",
            zero_infinity=True,
        )


class Transcriber(Network):
    """Embedder (which may join frames), encoder and a CTC head. The blank has the row of <EOS>, which CTC has no use for."""

    predicts = "target words"

    def __init__(self, config: NetworkConfig, source: InputSizes, target: InputSizes, *, blank: int) -> None:
        super().__init__()
        self.embedder: Embedder = build("embedder", config.embedder, source)
        self.encoder: Encoder = build("encoder", config.encoder, self.embedder.output_dim)
        self.head: CTCHead = build("head", config.head, self.encoder.output_dim, LabelSpace(target.words), blank=blank)

    def forward(self, source: Side) -> Tensors:
        """See `CTCHead.outputs`."""
        return self.head.outputs(*self._hidden(source))

    def loss(self, batch: Batch, memory: Memory) -> Loss:
        """The CTC loss in nats, and the number of units of the texts (<EOS> is none of them)."""
        hidden_BSD, positions_B = self._hidden(batch.source)
        arrays, ended_B = self.tensors(batch.target)
        loss = self.head.loss(hidden_BSD, positions_B, arrays["ids_BT"], ended_B - 1)
        return Loss(loss, float((batch.target.lengths_B - 1).sum()), memory)

    def _hidden(self, source: Side) -> tuple[Tensor, Tensor]:
        """``(hidden vectors [B, S, D], how many of them are real [B])``."""
        inputs, lengths_B = self.tensors(source)
        positions_B = self.embedder.positions(lengths_B)
        return self.encoder(self.embedder(inputs, lengths_B), positions_B), positions_B


class JointTranscriber(EncoderDecoder):
    """A decoder with attention, and CTC over the same encoder, which teaches it that text and sound run the same way (Watanabe
    et al. 2017)."""

    def __init__(
        self, config: EncoderDecoderConfig, source: InputSizes, target: InputSizes, *, blank: int, weight: float
    ) -> None:
        """``weight``: share of CTC in the loss."""
        super().__init__(config, source, target, shared=False)
        self.ctc = CTCHead(CTCConfig(), self.encoder.output_dim, LabelSpace(target.words), blank=blank)
        self.weight = weight

    def forward(self, source: Side) -> Tensors:
        """What the decoder keeps, and what CTC says: see `CTCHead.outputs`."""
        encoded_BSD, positions_B = self.encoded(source)
        return self.begun(encoded_BSD, positions_B) | self.ctc.outputs(encoded_BSD, positions_B)

    def loss(self, batch: Batch, memory: Memory) -> Loss:
        """Both losses in nats, summed over the texts and weighed, and the number of tokens, <EOS> among them."""
        encoded_BSD, positions_B = self.encoded(batch.source)
        written = self.written(encoded_BSD, positions_B, batch.target)
        arrays, ended_B = self.tensors(batch.target)
        spoken = self.ctc.loss(encoded_BSD, positions_B, arrays["ids_BT"], ended_B - 1)
        return written._replace(sum=(1 - self.weight) * written.sum + self.weight * spoken)

    def tables(self) -> Tables:
        return super().tables() | {f"ctc.{name}": one for name, one in self.ctc.tables(self.target_table).items()}
