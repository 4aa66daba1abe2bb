"""Every kind of layer in a tiny network of every task: the table that the tests of engines go through."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import tiny_classes
import tiny_corpus
import tiny_forecasts
import tiny_gaps
import tiny_images
import tiny_numbers
import tiny_pairs
import tiny_speech
import tiny_text
import torch
from torch import nn

from seqcli.engines.onnx_engine import onnx_engine
from seqcli.engines.onnx_write import graphs_of
from seqcli.engines.torch_engine import torch_engine
from seqcli.pipeline.prepare import open_columns
from seqcli.tasks.base import new_task

TRANSFORMER = "kind: transformer, dim: 8, heads: 2, feedforward: 8"
ENCODERS = [
    "{kind: rnn, dim: 5}",
    "{kind: rnn, dim: 5, activation: relu, layers: 2}",
    "{kind: rnn, dim: 5, activation: linear, orthogonal: true}",
    "{kind: lstm, dim: 5}",
    "{kind: lstm, dim: 5, bidirectional: false, layers: 2}",
    "{kind: lstm, dim: 5, peepholes: true}",
    "{kind: lstm, dim: 5, layers: 3, residual: true, layer_norm: true}",
    "{kind: gru, dim: 5, layers: 2}",
    "{kind: rnn, bidirectional: false, sizes: [6, 4], bias: false, residual: true}",
    "{kind: gru, sizes: [4, 4, 3], residual: true, layer_norm: true}",
    "{kind: rnn-scratch, dim: 5, layers: 2}",
    "{kind: lstm-scratch, dim: 5, form: selective, layers: 2}",
    "{kind: lstm-scratch, dim: 5}",
    "{kind: lstm-scratch, dim: 5, form: peephole}",
    "{kind: gru-scratch, dim: 5}",
    f"{{{TRANSFORMER}}}",
    f"{{{TRANSFORMER}, positions: rotary}}",
    f"{{{TRANSFORMER}, positions: learned, max_positions: 4}}",
    "{kind: window, dim: 5, left: 2, right: 1}",
    "{kind: cnn, widths: [1, 2, 5], filters: 3}",
    "{kind: bag, dim: 5}",
]
EMBEDDERS = [
    "{kind: tokens, dim: 6}",
    "{kind: one-hot}",
    "{kind: tokens, dim: 0, characters: {kind: lstm, dim: 4, hidden: 3}}",
    "{kind: tokens, dim: 6, characters: {kind: cnn, dim: 4, filters: 3, widths: [2, 3]}, affixes: {dim: 2}}",
]
FRAMES = [
    "{kind: frames, dim: 6, activation: relu}",
    "{kind: frames, dim: 6, kernel: 3, stride: 2}",
    "{kind: frames, dim: 6, kernel: 4, stride: 3}",
    "{kind: frame-cnn, height: 1, width: 2, dim: 6, filters: [3]}",
    "{kind: frame-cnn, height: 2, width: 1, dim: 6, filters: [3, 4], kernel: 5, stride: 2}",
]
CONVOLUTIONS = [
    "{kind: convolution, dim: 6, filters: 4, subsampling: 4, layers: 2, augment: {}}",
    "{kind: convolution, dim: 6, filters: 4, subsampling: 2, layers: 3, kernel: 4}",
    "{kind: convolution, dim: 6, filters: 4, subsampling: 4, layers: 3, over: time-and-channels, kernel: 4}",
    "{kind: convolution, dim: 6, filters: 4, subsampling: 1, layers: 1, over: time-and-channels, kernel: 3}",
]
POOLINGS = ["{kind: last}", "{kind: mean}", "{kind: max}", "{kind: attention, dim: 4}"]
_ATTENTIONS = ("none", "dot", "general", "additive", "general, input_feeding: true", "additive, input_feeding: true")
TRANSLATORS = [
    *(
        (f"model.encoder={{kind: {kind}, dim: 4}}", f"model.decoder={{kind: {kind}, dim: 8, attention: {attention}}}")
        for kind in ("rnn", "lstm", "gru")
        for attention in _ATTENTIONS
    ),
    ("model.encoder={kind: lstm, dim: 4, layers: 2}", "model.decoder={kind: lstm, dim: 8, layers: 3}"),
    (
        "model.encoder={kind: gru, dim: 5, bidirectional: false}",
        "model.decoder={kind: lstm, dim: 8, layers: 2, input_feeding: true}",
    ),
    ("model.encoder={kind: cnn, widths: [1, 3], filters: 4}", "model.decoder={kind: gru, dim: 6}"),
    (f"model.encoder={{{TRANSFORMER}}}", f"model.decoder={{{TRANSFORMER}, layers: 2}}"),
    (f"model.encoder={{{TRANSFORMER}, activation: relu}}", f"model.decoder={{{TRANSFORMER}, activation: gelu}}"),
    (f"model.encoder={{{TRANSFORMER}}}", f"model.decoder={{{TRANSFORMER}}}", "model.tied=none"),
    (f"model.encoder={{{TRANSFORMER}}}", f"model.decoder={{{TRANSFORMER}}}", "target.share=source", "model.tied=all"),
    ("model.encoder={kind: lstm, dim: 4}", "target.share=source", "model.tied=source-target"),
]
"""Overrides that make an encoder-decoder."""
HEADS = [
    "{kind: softmax}",
    "{kind: softmax, bias: false}",
    "{kind: softmax, tied: true}",
    "{kind: adaptive, cutoffs: [3, 6], shrink: 2}",
]

BAG = "model.encoder={kind: bag, dim: 5}"
SEVERAL = ("target.separator=','", tiny_classes.SIGMOID)
GAPS = ("source.missing=mask",)


def _tagger(folder: Path, *overrides: str) -> Any:
    return tiny_corpus.tiny_recipe(folder, *overrides)


def _classifier(folder: Path, *overrides: str) -> Any:
    train = tiny_classes.SEVERAL if tiny_classes.SIGMOID in overrides else tiny_classes.TEXTS
    return tiny_classes.text_recipe(folder, *overrides, train=train)


def _motion(folder: Path, *overrides: str) -> Any:
    return tiny_classes.frame_recipe(folder, *overrides, train=tiny_classes.motions(missing=GAPS[0] in overrides))


def _language(folder: Path, *overrides: str) -> Any:
    return tiny_text.text_recipe(folder, *overrides)


def _translator(folder: Path, *overrides: str) -> Any:
    return tiny_pairs.pair_recipe(folder, *overrides, train=tiny_pairs.pairs(9))


def _captioner(folder: Path, *overrides: str) -> Any:
    return tiny_images.image_recipe(folder, *overrides)


def _speech(folder: Path, *overrides: str) -> Any:
    return tiny_speech.speech_recipe(folder, *overrides)


def _imputer(folder: Path, *overrides: str) -> Any:
    return tiny_gaps.short_recipe(folder, *overrides)


NETWORKS: list[tuple[Any, tuple[str, ...]]] = [
    *((_tagger, (f"model.encoder={encoder}", "model.head={kind: crf}")) for encoder in ENCODERS),
    *((_tagger, (f"model.embedder={one}", BAG, "model.head={kind: softmax}")) for one in EMBEDDERS),
    (_tagger, ("model.encoder={kind: lstm, dim: 5}", "model.head={kind: crf, constrained: false}")),
    *((_tagger, ("model.members=2", f"model.head={{kind: {head}}}")) for head in ("crf", "softmax")),
    (
        _tagger,
        (
            "model.embedder={kind: one-hot}",
            "model.encoder={kind: rnn, dim: 5}",
            "model.head={kind: softmax, bias: false}",
        ),
    ),
    *((_classifier, (f"model.encoder={encoder}", "model.pooling={kind: max}")) for encoder in ENCODERS),
    *((_classifier, (f"model.pooling={one}", "model.encoder={kind: lstm, dim: 5}")) for one in POOLINGS),
    *((_classifier, (f"model.embedder={one}", f"model.pooling={POOLINGS[1]}", *SEVERAL)) for one in EMBEDDERS),
    (_classifier, ("model.members=3",)),
    (_classifier, ("model.members=2", *SEVERAL)),
    *(
        (_motion, (f"model.embedder={one}", "model.pooling={kind: mean}", *more))
        for one in (*FRAMES, CONVOLUTIONS[0])
        for more in ((), GAPS)
    ),
    *(
        (_motion, (f"model.pooling={one}", "model.encoder={kind: gru, dim: 5, bidirectional: false}"))
        for one in POOLINGS
    ),
    *((_speech, (f"model.embedder={one}",)) for one in (*CONVOLUTIONS, *FRAMES)),
    *((_speech, (f"model.encoder={one}",)) for one in ENCODERS),
    (_speech, ("source.missing=mask",)),
    (_speech, (f"model.embedder={CONVOLUTIONS[2]}", "source.missing=mask")),
    *((_imputer, (f"model.encoder={one}",)) for one in ENCODERS),
    *(
        (
            _imputer,
            (f"model.embedder={{kind: gaps, dim: 6, normalize: {one}}}", f"model.head={{kind: fill, guess: {guess}}}"),
        )
        for one in ("none", "mean", "standard")
        for guess in ("line", "none")
    ),
    (_imputer, ("target.columns=[b]", "source.calendar=[]", "source.scaling=common")),
    *((_speech, overrides) for overrides in tiny_speech.DECODERS.values()),
    (_speech, (tiny_speech.ATTENTION, "model.decoder={kind: lstm, dim: 6, attention: general, input_feeding: true}")),
    *((_translator, overrides) for overrides in TRANSLATORS),
    *((_captioner, overrides) for overrides in tiny_images.MODELS.values()),
    (_captioner, ("model.embedder={kind: vector, dim: 12, activation: relu}", "target.vocabulary.min_count=3")),
    *((_language, (encoder,)) for encoder in tiny_text.ENCODERS.values()),
    *((_language, (f"model.head={head}", *more)) for head in HEADS for more in ((), ("model.embedder.dim=5",))),
    (_language, ("model.encoder={kind: rnn, dim: 5, bidirectional: false, activation: linear, orthogonal: true}",)),
    (
        _language,
        ("model.encoder={kind: lstm, dim: 8, bidirectional: false, layers: 2, residual: true, layer_norm: true}",),
    ),
]
"""``(what makes the recipe in a folder, its overrides)``."""

NAMES = [f"{recipe.__name__[1:]}-{number}" for number, (recipe, _) in enumerate(NETWORKS)]
KINDS = set(
    re.findall(
        r"kind: ([\w-]+)",
        " ".join(
            (
                tiny_speech.RECIPE,
                *tiny_forecasts.MODELS.values(),
                *(text for _, overrides in NETWORKS for text in overrides),
            )
        ),
    )
)

ATTENTIONS = [
    "attention: none",
    *(
        f"attention: {kind}, input_feeding: {feeds}"
        for kind in ("dot", "general", "additive")
        for feeds in ("false", "true")
    ),
]
DECODERS = [
    *(f"{{kind: {kind}, dim: 6, {one}}}" for kind in ("rnn", "lstm", "gru") for one in ATTENTIONS),
    *(f"{{kind: {kind}, dim: 6, layers: 3, {ATTENTIONS[-1]}}}" for kind in ("rnn", "lstm", "gru")),
    "{kind: transformer, dim: 6, heads: 2, layers: 2, feedforward: 8}",
    "{kind: transformer, dim: 5, heads: 1, layers: 1, feedforward: 8, activation: gelu}",
]
TRANSLATORS = [
    *((f"model.decoder={one}",) for one in DECODERS),
    *((f"model.encoder={one}", "model.decoder={kind: gru, dim: 6}") for one in ENCODERS),
    ("model.decoder={kind: lstm, dim: 6, attention: general}", *tiny_numbers.SHARED),
    ("model.decoder={kind: gru, dim: 6, attention: none}", "model.tied=none"),
]
"""Overrides of `tiny_numbers.RECIPE`."""


def _onnx(task: Any, network: Any) -> Any:
    graph, *decoder = (one.SerializeToString() for one in graphs_of(network))
    return onnx_engine(task, graph, decoder=decoder[0] if decoder else None)


ENGINES = {"torch": torch_engine, "onnx": _onnx}


def large(network: Any, seed: int = 1) -> Any:
    """Weights so large that a mistake shows; rows of padding stay zero."""
    torch.manual_seed(seed)
    for name, weight in network.named_parameters():
        if "original" not in name:  # an orthogonal matrix is what it is
            nn.init.normal_(weight, std=0.5)
    for module in network.modules():
        if isinstance(module, nn.Embedding) and module.padding_idx == 0:
            nn.init.zeros_(module.weight[0].detach())
    return network.eval()


def made(recipe: Any) -> tuple[Any, Any, Any]:
    """``(task, network, columns of the training split)`` of a recipe, the network with large random weights."""
    task = new_task(recipe)
    columns = open_columns(recipe, task, ("train",))["train"]
    task.fit(columns)
    return task, large(task.network()), columns
