"""What cannot stand together in a network that forecasts: for the task forecasting."""

from __future__ import annotations

from seqcli.recipe.decoders import TransformerDecoderConfig
from seqcli.recipe.embedders import SeriesConfig
from seqcli.recipe.encoders import WindowConfig
from seqcli.recipe.heads import DirectConfig, ForecastConfig, SegmentsConfig, ShiftedConfig
from seqcli.recipe.models import EncoderDecoderConfig, GradientsConfig
from seqcli.recipe.rule import Rule
from seqcli.recipe.schema import Recipe
from seqcli.recipe.tasks import ForecastingConfig
from seqcli.tasks.rules import causal_encoders, section

_HEADS = {"network": ("direct", "shifted", "segments"), "encoder-decoder": ("stepwise",)}


def _gradients(recipe: Recipe) -> GradientsConfig:
    return section(recipe.model, GradientsConfig)


def _embedder(recipe: Recipe) -> SeriesConfig:
    return section(_gradients(recipe).embedder, SeriesConfig)


def _head(recipe: Recipe) -> str:
    head = _gradients(recipe).head
    return "" if head is None else head.kind


def _encoder(recipe: Recipe) -> str:
    encoder = _gradients(recipe).encoder
    return "" if encoder is None else encoder.kind


def _one_way(recipe: Recipe) -> bool:
    return isinstance(_gradients(recipe).head, ShiftedConfig | SegmentsConfig)


def _decoder(recipe: Recipe) -> EncoderDecoderConfig | None:
    return recipe.model if isinstance(recipe.model, EncoderDecoderConfig) else None


FORECASTER_RULES = (
    Rule(
        "model.embedder",
        lambda r: (embedder := _gradients(r).embedder) is not None and not isinstance(embedder, SeriesConfig),
        "reads no series",
        "Set embedder: {kind: series}.",
    ),
    Rule(
        "model.head",
        lambda r: _head(r) not in ("", *_HEADS.get(r.model.kind, (_head(r),))),
        lambda r: (
            f"{_head(r)} is for an encoder-decoder"
            if _head(r) == "stepwise"
            else f"{_head(r)} is not for the {r.model.kind} of a forecast"
        ),
        lambda r: f"Set head: {{kind: {' or '.join(_HEADS[r.model.kind])}}}.",
    ),
    Rule(
        "model.head.own",
        lambda r: (
            isinstance(head := _gradients(r).head, DirectConfig) and head.own and _embedder(r).channels != "apart"
        ),
        "weights of its own for each column, which all stand in one vector",
        "Set model.embedder.channels: apart, or own: false.",
    ),
    Rule(
        "model.head.loss",
        lambda r: (
            isinstance(head := _gradients(r).head, ForecastConfig)
            and head.loss != "mse"
            and section(r.task, ForecastingConfig).quantiles
        ),
        "with task.quantiles the loss is the pinball loss",
        "Leave it out.",
    ),
    Rule(
        "model.encoder",
        lambda r: _one_way(r) and _encoder(r) not in causal_encoders(),
        lambda r: (
            f"the head {_head(r)} needs an encoder that reads on"
            if not _encoder(r)
            else f"the head {_head(r)} needs an encoder that reads on, and a {_encoder(r)} sees later positions"
        ),
        lambda r: f"One of {', '.join(causal_encoders())}.",
    ),
    Rule(
        "model.encoder.bidirectional",
        lambda r: _one_way(r) and dict(_gradients(r).encoder or ()).get("bidirectional", False),
        lambda r: f"the head {_head(r)} needs an encoder that reads forwards only",
        "Set bidirectional: false.",
    ),
    Rule(
        "model.encoder.right",
        lambda r: _one_way(r) and isinstance(encoder := _gradients(r).encoder, WindowConfig) and encoder.right,
        lambda r: f"the head {_head(r)} needs an encoder that sees nothing to the right",
        "Set right: 0.",
    ),
    Rule(
        "model.embedder.normalize",
        lambda r: isinstance(_gradients(r).head, ShiftedConfig) and _embedder(r).normalize != "none",
        lambda r: f"the {_embedder(r).normalize} of a window tells its first positions what they should predict",
        "Set normalize: none (source.transform: difference takes the level off too), or head: {kind: direct}.",
    ),
    Rule(
        "model.embedder.decompose",
        lambda r: isinstance(_gradients(r).head, ShiftedConfig) and _embedder(r).decompose is not None,
        "a mean over the steps around a position tells it what it should predict",
        "Leave it out, or set head: {kind: direct}.",
    ),
    Rule(
        "model.decoder",
        lambda r: (model := _decoder(r)) is not None and model.decoder is None,
        "is missing; an encoder-decoder needs it",
        "One of rnn, lstm, gru.",
    ),
    Rule(
        "model.decoder",
        lambda r: (model := _decoder(r)) is not None and isinstance(model.decoder, TransformerDecoderConfig),
        "a forecast is made by a recurrent decoder",
        "One of rnn, lstm, gru.",
    ),
    Rule(
        "model.tied",
        lambda r: (model := _decoder(r)) is not None and model.tied in ("source-target", "all"),
        "values have no tables that could be tied",
        "Leave it out.",
    ),
)
"""Rules of its parts, beside that an embedder and a head are there."""
