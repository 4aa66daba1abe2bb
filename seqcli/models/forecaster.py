"""Networks that predict the next values of series.

Shapes: B windows, L steps read, K steps predicted, S = L + K, C columns read, M columns predicted, F features of a step, Q
quantiles, R rows (B windows, or B x M where columns go apart), N positions, D values, O outputs of a step in a row.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from seqcli.data.batch import Batch, SeriesSizes, Side
from seqcli.models.dropout import uniform_like
from seqcli.models.encoder_decoder import NoEncoder
from seqcli.models.forecast_heads import ForecastHead, ForecastSizes, ShiftedHead, StepwiseHead, WindowHead
from seqcli.models.layers import Decoder, Encoder, build
from seqcli.models.network import Loss, Memory, Network, Tensors
from seqcli.models.series import SeriesEmbedder, Window
from seqcli.recipe.models import EncoderDecoderConfig, GradientsConfig, NetworkConfig


class Forecaster(Network):
    """Embedder, encoder (or none) and a head that predicts all steps at once.

    Of quantiles a step's are sorted, in the loss too: what is predicted never crosses, and sorting brings it no farther
    from the truth (Chernozhukov et al. 2010).
    """

    head: ForecastHead
    quantiles_Q: Tensor

    def __init__(self, config: GradientsConfig, sizes: SeriesSizes) -> None:
        super().__init__()
        self.sizes = sizes
        self.embedder: SeriesEmbedder = build("embedder", config.embedder, sizes)
        dim = self.embedder.output_dim
        self.encoder: Encoder = build("encoder", config.encoder, dim) if config.encoder else NoEncoder(dim)
        self.register_buffer("quantiles_Q", torch.tensor(sizes.quantiles), persistent=False)
        apart, columns = self.embedder.apart, len(sizes.targets)
        self.head_sizes = ForecastSizes(
            positions=self.embedder.count,
            input_dim=dim,
            segment=self.embedder.segment,
            columns=columns if apart else 1,
            steps=sizes.steps,
            outputs=(1 if apart else columns) * max(1, len(sizes.quantiles)),
            features=sizes.features,
        )
        self.build_head(config)

    def build_head(self, config: GradientsConfig) -> None:
        self.head: WindowHead = build("head", config.head, self.encoder, self.head_sizes)

    def forward(self, source: Side) -> Tensors:
        """``values_BKC``, or ``values_BKCQ``, in the scale of what is read."""
        inputs, _ = self.tensors(source)
        window = self.embedder.window(inputs["values_BLC"])
        values_BKMQ = self.finished(self.outputs(window, inputs["features_BSF"]), window)
        return {"values_BKCQ": values_BKMQ} if self.sizes.quantiles else {"values_BKC": values_BKMQ.squeeze(-1)}

    def loss(self, batch: Batch, memory: Memory) -> Loss:
        """The errors summed over the values that are known (not NaN), and their number."""
        inputs, _ = self.tensors(batch.source)
        target_BKM = self.tensors(batch.target)[0]["values_BKC"]
        window = self.embedder.window(inputs["values_BLC"])
        outputs_RKO = self.outputs(window, inputs["features_BSF"], target_BKM)
        return self.errors(self.finished(outputs_RKO, window), target_BKM)

    def outputs(self, window: Window, features_BSF: Tensor, target_BKM: Tensor | None = None) -> Tensor:
        """Outputs [R, K, O], in the scale of the window; ``target_BKM``: the truth, in training."""
        future_RKF = self.embedder.each_row(features_BSF[:, self.sizes.look_back :])
        outputs_RKO: Tensor = self.head(self.encoder, self.embedder.embed(window, features_BSF), future_RKF)
        return outputs_RKO

    def finished(self, outputs_RKO: Tensor, window: Window) -> Tensor:
        """Values [B, K, M, Q] in the scale of what is read; Q = 1 without quantiles."""
        columns = len(self.sizes.targets)
        if self.embedder.apart:
            values_BKMQ = outputs_RKO.unflatten(0, (-1, columns)).transpose(1, 2)
        else:
            values_BKMQ = outputs_RKO.unflatten(-1, (columns, -1))
        values_BKMQ = self.embedder.undo(values_BKMQ.float(), window)
        return values_BKMQ.sort(-1).values if self.sizes.quantiles else values_BKMQ

    def errors(self, values_BKMQ: Tensor, target_BKM: Tensor) -> Loss:
        """The loss of values in the scale of what is read; of quantiles the sum over them, divided by their number."""
        known_BKM = ~target_BKM.isnan()
        gap_BKMQ = torch.where(known_BKM.unsqueeze(-1), target_BKM.unsqueeze(-1) - values_BKMQ, 0.0)
        if self.sizes.quantiles:
            errors = torch.maximum(self.quantiles_Q * gap_BKMQ, (self.quantiles_Q - 1) * gap_BKMQ).mean(-1)
        elif self.head.error == "mse":
            errors = gap_BKMQ**2
        elif self.head.error == "mae":
            errors = gap_BKMQ.abs()
        else:
            errors = nn.functional.huber_loss(gap_BKMQ, torch.zeros_like(gap_BKMQ), reduction="none")
        return Loss(errors.sum(), float(known_BKM.sum()), Memory())


class ShiftedForecaster(Forecaster):
    """Each position predicts the steps after it: the first ones those of the window itself."""

    head: ShiftedHead
    steps_NK: Tensor

    def __init__(self, config: GradientsConfig, sizes: SeriesSizes) -> None:
        super().__init__(config, sizes)
        embedder = self.embedder
        ends_N = torch.arange(embedder.count) * embedder.stride + embedder.segment - embedder.padding
        steps_NK = ends_N.unsqueeze(1) + torch.arange(sizes.steps)
        self.register_buffer("steps_NK", steps_NK, persistent=False)

    def loss(self, batch: Batch, memory: Memory) -> Loss:
        """The errors summed over the steps after every position."""
        inputs, _ = self.tensors(batch.source)
        values_BLC, features_BSF = inputs["values_BLC"], inputs["features_BSF"]
        window = self.embedder.window(values_BLC)
        x_RND = self.embedder.embed(window, features_BSF)
        future_RNKF = self.embedder.each_row(features_BSF[:, self.steps_NK])
        outputs_RNKO = self.head.everywhere(self.encoder, x_RND, future_RNKF)
        values_BTMQ = self.finished(outputs_RNKO.flatten(1, 2), window)  # T = N x K
        target_BKM = self.tensors(batch.target)[0]["values_BKC"]
        known_BSM = torch.cat([values_BLC[:, :, list(self.sizes.targets)], target_BKM], 1)
        return self.errors(values_BTMQ, known_BSM[:, self.steps_NK.flatten()])


class StepwiseForecaster(Forecaster):
    """An encoder-decoder: each step is made of the one before and of its own features (Sutskever et al. 2014).

    The decoder reads what was predicted for the step before, of quantiles the one nearest to the median; before the
    first step it reads the last values of the window.
    """

    head: StepwiseHead

    def build_head(self, config: GradientsConfig) -> None:
        assert isinstance(config, EncoderDecoderConfig)
        sizes, encoder, quantiles = self.head_sizes, self.encoder, self.sizes.quantiles or (0.5,)
        self.decoder: Decoder = build(
            "decoder", config.decoder, encoder.output_dim, bidirectional=encoder.bidirectional
        )
        self.quantiles = len(quantiles)
        self.input = nn.Linear(sizes.outputs // self.quantiles + sizes.features, self.decoder.input_dim)
        self.head = build("head", config.head, self.decoder.output_dim, sizes)
        self.median = min(range(self.quantiles), key=lambda one: abs(quantiles[one] - 0.5))

    def outputs(self, window: Window, features_BSF: Tensor, target_BKM: Tensor | None = None) -> Tensor:
        embedder = self.embedder
        x_RND = embedder.embed(window, features_BSF)
        lengths_R = torch.full((len(x_RND),), x_RND.size(1), device=x_RND.device)
        kept, states = self.decoder.start(self.encoder(x_RND, lengths_R), lengths_R)
        read_RC = self._rows(window.values_BLC[:, -1:, list(self.sizes.targets)])[:, 0]
        future_RKF = embedder.each_row(features_BSF[:, self.sizes.look_back :])
        truth_RKC = None
        if target_BKM is not None and self.head.teacher_forcing:
            forced_B11 = uniform_like(target_BKM[:, :1, :1]) < self.head.teacher_forcing
            target_BKM = embedder.levelled(target_BKM, window).masked_fill(~forced_B11, torch.nan)
            truth_RKC = self._rows(target_BKM)
        outputs = []
        for step in range(self.sizes.steps):
            x_R1D = self.input(torch.cat([read_RC, future_RKF[:, step]], -1)).unsqueeze(1)
            hidden_R1D, states, _ = self.decoder.stream(x_R1D, kept, states)
            outputs.append(self.head(hidden_R1D[:, 0]))
            read_RC = outputs[-1].unflatten(-1, (-1, self.quantiles))[..., self.median]
            if truth_RKC is not None:
                truth_RC = truth_RKC[:, step]
                read_RC = torch.where(truth_RC.isnan(), read_RC, truth_RC)
        return torch.stack(outputs, 1)

    def _rows(self, x_BKM: Tensor) -> Tensor:
        """[B, K, M] -> [R, K, columns of a row]."""
        return x_BKM.transpose(1, 2).reshape(-1, x_BKM.size(1), 1) if self.embedder.apart else x_BKM


def new_forecaster(config: NetworkConfig | EncoderDecoderConfig, sizes: SeriesSizes) -> Forecaster:
    """The network of a recipe's model section."""
    if isinstance(config, EncoderDecoderConfig):
        return StepwiseForecaster(config, sizes)
    shifted = config.head is not None and config.head.kind == "shifted"
    return (ShiftedForecaster if shifted else Forecaster)(config, sizes)
