"""Tiny networks that forecast, of every kind, and windows for them."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
import yaml

from seqcli.data.batch import Batch, SeriesSizes, Side
from seqcli.models.forecaster import new_forecaster
from seqcli.recipe import registry

LOOK_BACK, STEPS = 11, 5
APART = "kind: series, channels: apart"
GRU = "encoder: {kind: gru, dim: 6, bidirectional: false}"
TRANSFORMER = "encoder: {kind: transformer, dim: 8, heads: 2, feedforward: 8, layers: 2}"
SEQ2SEQ = "kind: encoder-decoder, embedder: {kind: series, normalize: mean}"

MODELS = {
    "linear": f"embedder: {{{APART}}}, head: {{kind: direct, reads: all, future: 0}}",
    "nlinear": f"embedder: {{{APART}, normalize: last}}, head: {{kind: direct, reads: all}}",
    "dlinear": f"embedder: {{{APART}, decompose: 5}}, head: {{kind: direct, reads: all, own: true}}",
    "rnn": "embedder: {kind: series}, encoder: {kind: rnn, dim: 6}, head: {kind: direct}",
    "deep-lstm": "embedder: {kind: series, normalize: standard, affine: true}, "
    "encoder: {kind: lstm, dim: 6, layers: 2, bidirectional: false}, head: {kind: direct, loss: mae}",
    "gru-apart": f"embedder: {{{APART}, normalize: mean, dim: 4, affine: true}}, {GRU}, head: {{kind: direct, own: true}}",
    "cnn": "embedder: {kind: series, decompose: 3, normalize: last}, encoder: {kind: cnn, widths: [2, 3], filters: 4}, "
    "head: {kind: direct, reads: all, loss: huber}",
    "patches": f"embedder: {{{APART}, normalize: standard, segment: 4, stride: 2}}, {TRANSFORMER}, "
    "head: {kind: direct, reads: all}",
    "window": "embedder: {kind: series}, encoder: {kind: window, dim: 6}, head: {kind: direct}",
    "bag": "embedder: {kind: series}, encoder: {kind: bag, dim: 6}, head: {kind: direct}",
    "shifted-rnn": f"embedder: {{kind: series}}, {GRU.replace('gru', 'rnn')}, head: {{kind: shifted}}",
    "shifted-segments": f"embedder: {{{APART}, segment: 3, dim: 5}}, {GRU.replace('gru', 'lstm')}, head: {{kind: shifted}}",
    "shifted-transformer": f"embedder: {{kind: series}}, {TRANSFORMER}, head: {{kind: shifted}}",
    "shifted-window": "embedder: {kind: series}, encoder: {kind: window, dim: 6, right: 0}, head: {kind: shifted}",
    "segrnn": f"embedder: {{{APART}, normalize: last, segment: 3, dim: 6, activation: relu}}, {GRU}, head: {{kind: segments}}",
    "seglstm-together": "embedder: {kind: series, normalize: standard, segment: 2, dim: 7}, "
    "encoder: {kind: lstm, dim: 6, bidirectional: false, layers: 2}, head: {kind: segments}",
    "seq2seq": f"{SEQ2SEQ}, encoder: {{kind: lstm, dim: 4}}, decoder: {{kind: lstm, dim: 6, attention: none}}, "
    "head: {kind: stepwise, teacher_forcing: 0.5}",
    "seq2seq-attention": f"{SEQ2SEQ}, {GRU}, decoder: {{kind: gru, dim: 6, attention: additive, input_feeding: true}}, "
    "head: {kind: stepwise}",
    "seq2seq-apart": f"{SEQ2SEQ.replace('kind: series', APART)}, {GRU}, decoder: {{kind: rnn, dim: 6, layers: 2}}, "
    "head: {kind: stepwise, teacher_forcing: 1}",
}
"""Model sections."""

SIZES = {
    "plain": SeriesSizes(3, (0, 1, 2), 0, LOOK_BACK, STEPS),
    "features-gaps-quantiles": SeriesSizes(4, (2, 0), 3, LOOK_BACK, STEPS, quantiles=(0.1, 0.5, 0.9), gaps=True),
    "one-step": SeriesSizes(1, (0,), 2, 1, 1),
}


def config(text: str) -> Any:
    values = yaml.safe_load(f"{{{text}}}")
    return registry.config_class("model", values.setdefault("kind", "network")).model_validate(values)


def forecaster(text: str, sizes: SeriesSizes, seed: int = 0) -> Any:
    torch.manual_seed(seed)
    return new_forecaster(config(text), sizes).eval()


def batch(sizes: SeriesSizes, windows: int = 4, seed: int = 0) -> Batch:
    """Random walks; where ``sizes`` has gaps some values are missing, in one window all of a column, in one the last."""
    chance = np.random.default_rng(seed)
    steps = sizes.look_back + sizes.steps
    values_BSC = chance.normal(size=(windows, steps, sizes.columns)).cumsum(1).astype(np.float32)
    if sizes.gaps:
        values_BSC[chance.random(values_BSC.shape) < 0.3] = np.nan
        values_BSC[0, : sizes.look_back, 0] = np.nan
        values_BSC[-1, sizes.look_back - 1] = np.nan
    features_BSF = chance.normal(size=(windows, steps, sizes.features)).astype(np.float32)
    source = {"values_BLC": values_BSC[:, : sizes.look_back].copy(), "features_BSF": features_BSF}
    target = {"values_BKC": values_BSC[:, sizes.look_back :, list(sizes.targets)].copy()}
    rows = np.arange(windows)
    return Batch(Side(source, rows * 0 + sizes.look_back), Side(target, rows * 0 + sizes.steps), rows)


def some(side: Side, rows: slice) -> Side:
    return Side({name: array[rows] for name, array in side.arrays.items()}, side.lengths_B[rows])
