"""A tiny translation: words in another spelling and the other way round, and a recipe for it."""

from __future__ import annotations

import random
from pathlib import Path

from seqcli.recipe.load import recipe_from_text
from seqcli.recipe.schema import Recipe

WORDS = {"one": "eins", "two": "zwei", "three": "drei", "red": "rot", "cats": "Katzen", "dogs": "Hunde", "see": "sehen"}

RECIPE = """
name: tiny-mt
task: {kind: translation, beam: 3}
data: {train: TRAIN, dev: DEV, format: tsv, columns: {source: 0, target: 1}}
model:
  kind: encoder-decoder
  embedder: {kind: tokens, dim: 8}
  encoder: {kind: lstm, dim: 8}
  decoder: {kind: lstm, dim: 8}
  head: {kind: softmax}
training: {optimizer: {kind: adamw, lr: 0.02}, batch: {tokens: 48, per_epoch: 0}, epochs: 3, min_steps: 0}
"""

TRANSFORMER = (
    "model.encoder={kind: transformer, dim: 16, heads: 2, layers: 1, feedforward: 32, activation: relu, dropout: 0}",
    "model.decoder={kind: transformer, dim: 16, heads: 2, layers: 1, feedforward: 32, dropout: 0}",
)
MODELS = {
    "lstm": ("model.decoder={kind: lstm, dim: 16, attention: none}",),
    "lstm-attention": ("model.decoder={kind: lstm, dim: 16, attention: general}",),
    "gru-fed": (
        "model.encoder={kind: gru, dim: 8}",
        "model.decoder={kind: gru, dim: 16, attention: additive, input_feeding: true}",
    ),
    "transformer": TRANSFORMER,
}
"""Overrides that put in other networks."""
PIECES = ("source.tokenizer={kind: sentencepiece, size: 40}", "target={kind: text, share: source}")

FEW = [
    ("see red cats", "Katzen rot sehen"),
    ("two dogs", "Hunde zwei"),
    ("red", "rot"),
    ("see one two", "zwei eins sehen"),
]
BY_HEART = (
    "task.beam=1",  # of ten words <EOS> is always among the likeliest: a search ends with what is cut short
    "training.select_by=exact",  # BLEU of so short lines is zero, whatever they say
    "training.epochs=80",
    "training.evaluate_every=80",
    "training.optimizer.lr=0.02",
    "training.batch.tokens=400",
)
"""A handful of pairs, and what makes a network know them by heart."""


def pairs(count: int = 30, seed: int = 1, most: int = 5) -> list[tuple[str, str]]:
    """Lines of 1 to ``most`` words."""
    chance = random.Random(seed)
    sources = [chance.choices(list(WORDS), k=chance.randint(1, most)) for _ in range(count)]
    return [(" ".join(words), " ".join(WORDS[word] for word in reversed(words))) for words in sources]


def write_recipe(folder: Path) -> Path:
    """``tiny-mt.yaml`` and its files."""
    for name in ("train", "dev"):
        write_pairs(folder / f"{name}.tsv", pairs(seed=len(name)))
    path = folder / "tiny-mt.yaml"
    path.write_text(RECIPE.replace("TRAIN", "train.tsv").replace("DEV", "dev.tsv"))
    return path


def write_pairs(path: Path, some: list[tuple[str, str]]) -> None:
    path.write_text("".join("\t".join(pair) + "\n" for pair in some), encoding="utf-8")


def pair_recipe(
    folder: Path, *overrides: str, train: list[tuple[str, str]] | None = None, dev: list[tuple[str, str]] | None = None
) -> Recipe:
    """`RECIPE` over files in ``folder``."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, some in (("train", train), ("dev", dev)):
        write_pairs(folder / f"{name}.tsv", pairs(seed=len(name)) if some is None else some)
    text = RECIPE.replace("TRAIN", str(folder / "train.tsv")).replace("DEV", str(folder / "dev.tsv"))
    return recipe_from_text(text, overrides=overrides).recipe
