"""Tiny tagged corpora in the formats of the recipes, and what a training makes of them."""

from __future__ import annotations

from pathlib import Path

from seqcli.recipe.load import recipe_from_text
from seqcli.recipe.schema import Recipe

SENTENCES = [
    ("Angela visited Paris", "B-PER O B-LOC"),
    ("Paris is big", "B-LOC O O"),
    ("the dog of Angela Merkel", "O O O B-PER I-PER"),
    ("New York is far", "B-LOC I-LOC O O"),
    ("Ravi Kumar saw New York", "B-PER I-PER O B-LOC I-LOC"),
    ("Hi", "O"),
    ("Ravi left", "B-PER O"),
    ("they met in Paris in 1999", "O O O B-LOC O O"),
    ("a b c d e f g", "O O O O O O O"),
    ("Kumar Paris", "B-PER B-LOC"),
]

RECIPE = """
name: tiny
task: {kind: tagging}
target: {kind: tags, scheme: bio, model_scheme: bioes}
data: {train: TRAIN, dev: DEV, format: conll}
source: {kind: text, vocabulary: {lowercase: true}}
model:
  embedder: {kind: tokens, dim: 12, characters: {kind: cnn, dim: 6, filters: 6}, affixes: {dim: 4, min_count: 1}}
  encoder: {kind: lstm, dim: 12}
  head: {kind: crf}
training: {optimizer: {kind: adamw, lr: 0.02}, batch: {tokens: 12, per_epoch: 0}, epochs: 3, min_steps: 0}
"""


def conll(sentences=SENTENCES) -> str:
    return "".join(
        "".join(f"{word}\t{tag}\n" for word, tag in zip(words.split(), tags.split(), strict=True)) + "\n"
        for words, tags in sentences
    )


def conllu(sentences=SENTENCES) -> str:
    """The same as words with a UPOS each."""
    blocks = []
    for words, tags in sentences:
        rows = enumerate(zip(words.split(), tags.split(), strict=True), 1)
        blocks.append(
            "".join(
                f"{number}\t{word}\t_\t{'NOUN' if tag == 'O' else 'PROPN'}\t_\t_\t0\t_\t_\t_\n"
                for number, (word, tag) in rows
            )
        )
    return "\n".join(blocks) + "\n"


def tiny_recipe(folder: Path, *overrides: str, train=SENTENCES, dev=SENTENCES) -> Recipe:
    """`RECIPE` over files in ``folder``."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, sentences in (("train", train), ("dev", dev)):
        (folder / f"{name}.conll").write_text(conll(sentences), encoding="utf-8")
    text = RECIPE.replace("TRAIN", str(folder / "train.conll")).replace("DEV", str(folder / "dev.conll"))
    return recipe_from_text(text, overrides=overrides).recipe
