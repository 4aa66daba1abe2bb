"""Tiny pairs of texts for encoder-decoders, and a recipe for them."""

from __future__ import annotations

import random
from pathlib import Path

from seqcli.recipe.load import recipe_from_text
from seqcli.recipe.schema import Recipe

NUMBERS = {"one": "eins", "two": "zwei", "three": "drei", "four": "vier", "five": "fünf", "six": "sechs"}

RECIPE = """
name: numbers
task: {kind: translation, beam: 1}
data: {train: TRAIN, dev: DEV, format: tsv}
source: {kind: text, tokenizer: {kind: whitespace}}
target: {kind: text, tokenizer: {kind: whitespace}}
model:
  kind: encoder-decoder
  embedder: {kind: tokens, dim: 6}
  encoder: {kind: lstm, dim: 3}
  decoder: {kind: lstm, dim: 6}
  head: {kind: softmax}
training:
  optimizer: {kind: adamw, lr: 0.01}
  batch: {tokens: 64, per_epoch: 0}
  epochs: 2
  min_steps: 0
  select_by: exact
"""

SHARED = ("target={kind: text, share: source}", "model.tied=all")


def pairs(count: int = 30, seed: int = 1) -> str:
    """Lines of 1 to 7 numbers, and the same in the other language from the last to the first."""
    chance = random.Random(seed)
    lines = []
    for _ in range(count):
        words = chance.choices([*NUMBERS], k=chance.randint(1, 7))
        lines.append(f"{' '.join(words)}\t{' '.join(NUMBERS[word] for word in reversed(words))}\n")
    return "".join(lines)


def pair_recipe(folder: Path, *overrides: str) -> Recipe:
    """`RECIPE` over files in ``folder``."""
    folder.mkdir(parents=True, exist_ok=True)
    for seed, name in enumerate(("train", "dev")):
        (folder / f"{name}.tsv").write_text(pairs(seed=seed), encoding="utf-8")
    text = RECIPE.replace("TRAIN", str(folder / "train.tsv")).replace("DEV", str(folder / "dev.tsv"))
    return recipe_from_text(text, overrides=overrides).recipe
