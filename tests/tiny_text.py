"""A tiny text for language models, and a recipe for it."""

from __future__ import annotations

import random
from pathlib import Path

from seqcli.recipe.load import recipe_from_text
from seqcli.recipe.schema import Recipe

WORDS = ("the", "cat", "dog", "sat", "on", "a", "mat", "and", "log", "ran")

RECIPE = """
name: tiny-lm
task: {kind: language-model, unit: sentences, bptt: 6, floor: null}
data: {train: TRAIN, dev: DEV, format: lines}
source: {kind: text, tokenizer: {kind: whitespace}}
model:
  embedder: {kind: tokens, dim: 8}
  encoder: {kind: lstm, dim: 8, bidirectional: false}
  head: {kind: softmax}
training: {optimizer: {kind: adamw, lr: 0.02}, batch: {tokens: 48, per_epoch: 0}, epochs: 3, min_steps: 0}
"""

DEEP = "model.encoder={kind: lstm, dim: 8, layers: 2, bidirectional: false, dropout: 0.3}"
ENCODERS = {
    "rnn": "model.encoder={kind: rnn, dim: 8, bidirectional: false}",
    "lstm": DEEP,
    "peepholes": "model.encoder={kind: lstm, dim: 8, bidirectional: false, peepholes: true}",
    "gru": "model.encoder={kind: gru, dim: 8, bidirectional: false}",
    "scratch": "model.encoder={kind: lstm-scratch, dim: 8, bidirectional: false, form: selective, layers: 2}",
    "sizes": "model.encoder={kind: gru-scratch, sizes: [6, 8], bidirectional: false}",
    "window": "model.encoder={kind: window, left: 2, right: 0, dim: 8}",
    "sinusoidal": "model.encoder={kind: transformer, dim: 8, heads: 2, layers: 2, feedforward: 8}",
    "rotary": "model.encoder={kind: transformer, dim: 8, heads: 2, layers: 2, feedforward: 8, positions: rotary}",
    "learned": "model.encoder={kind: transformer, dim: 8, heads: 2, layers: 2, feedforward: 8, positions: learned, "
    "max_positions: 1000}",
}
"""Overrides that put in another encoder."""


def lines(count: int = 40, seed: int = 1) -> str:
    """Lines of 1 to 9 words."""
    chance = random.Random(seed)
    return "".join(" ".join(chance.choices(WORDS, k=chance.randint(1, 9))) + "\n" for _ in range(count))


def text_recipe(folder: Path, *overrides: str, train: str | None = None, dev: str | None = None) -> Recipe:
    """`RECIPE` over files in ``folder``."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in (("train", train), ("dev", dev)):
        (folder / f"{name}.txt").write_text(lines(seed=len(name)) if text is None else text, encoding="utf-8")
    text = RECIPE.replace("TRAIN", str(folder / "train.txt")).replace("DEV", str(folder / "dev.txt"))
    return recipe_from_text(text, overrides=overrides).recipe
