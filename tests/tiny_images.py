"""Tiny images as features, with captions, and recipes for them."""

from __future__ import annotations

import random
from pathlib import Path

import numpy as np

from seqcli.recipe.load import recipe_from_text
from seqcli.recipe.schema import Recipe

COLOURS, THINGS, PLACES = ("red", "blue", "green"), ("dog", "cat", "boat"), ("on grass", "in water")

RECIPE = """
name: tiny-captions
task: {kind: captioning, beam: 2, max_length: 12}
data: {train: TRAIN, dev: DEV, images: IMAGES, format: captions}
source: {kind: vector}
target: {kind: text, vocabulary: {lowercase: true}}
model:
  kind: encoder-decoder
  embedder: {kind: vector, dim: 12}
  decoder: {kind: lstm, dim: 16, attention: none, begin: mean}
  head: {kind: softmax}
training: {optimizer: {kind: adamw, lr: 0.02}, batch: {tokens: 100, per_epoch: 0}, epochs: 3, min_steps: 0}
"""
GRID = ("source.kind=grid", "model.embedder={kind: frames, dim: 12}")
TRANSFORMER = "model.decoder={kind: transformer, dim: 16, heads: 2, layers: 1, feedforward: 32, dropout: 0}"
MODELS = {
    "state": ("model.decoder={kind: lstm, dim: 16, attention: none, begin: mean}",),
    "input": ("model.decoder={kind: lstm, dim: 16, layers: 2, attention: none, begin: input}",),
    "input-fed": ("model.decoder={kind: gru, dim: 16, attention: general, input_feeding: true, begin: input}",),
    "vector-transformer": (TRANSFORMER,),
    "grid-attention": (
        *GRID,
        "model.decoder={kind: lstm, dim: 16, attention: additive, input_feeding: true, begin: mean}",
    ),
    "grid-transformer": (
        *GRID,
        "model.encoder={kind: transformer, dim: 12, heads: 2, layers: 1, feedforward: 16, dropout: 0}",
        TRANSFORMER,
    ),
}
"""Overrides that put in each way from an image to its caption."""

BY_HEART = (
    "task.beam=1",
    "training.select_by=cider",
    "training.epochs=100",
    "training.evaluate_every=100",
    "training.batch.tokens=400",
    "task.baselines=[]",
)
"""What makes a network know a handful of images by heart."""


def pictures() -> list[tuple[str, list[str]]]:
    """The name of each image and its captions: every colour, thing and place."""
    found = []
    for colour in COLOURS:
        for thing in THINGS:
            for place in PLACES:
                captions = [f"A {colour} {thing} {place} .", f"One {thing} , {colour} , {place} ."]
                found.append((f"{colour}-{thing}-{place[:2]}.jpg", captions))
    return found


KNOWN = (*COLOURS, *THINGS, "on", "in")


def vector_of(name: str) -> np.ndarray:
    """What is in an image, as ones among zeros, and a little noise of its own."""
    parts = name.removesuffix(".jpg").split("-")
    noise = np.random.default_rng(sum(map(ord, name))).normal(0, 0.05, len(KNOWN))
    return (np.array([float(word in parts) for word in KNOWN]) + noise).astype(np.float32)


def grid_of(name: str) -> np.ndarray:
    """Four places: the colour in the first, the thing in the second, where it is in the third, nothing in the last."""
    masks = [range(3), range(3, 6), range(6, 8), range(0)]
    return np.stack([np.where([at in mask for at in range(len(KNOWN))], vector_of(name), 0) for mask in masks])


def write_images(folder: Path, names: list[str], *, grid: bool = False) -> Path:
    """``features.npy`` and its names."""
    make = grid_of if grid else vector_of
    np.save(folder / "features.npy", np.stack([make(name) for name in names]))
    (folder / "features.txt").write_text("".join(f"{name}\n" for name in names))
    return folder / "features.npy"


def captions_text(some: list[tuple[str, list[str]]]) -> str:
    """Flickr8k's lines."""
    return "".join(
        f"{name}#{number}\t{caption}\n" for name, captions in some for number, caption in enumerate(captions)
    )


def image_recipe(folder: Path, *overrides: str, dev: int | None = None) -> Recipe:
    """`RECIPE` over files in ``folder``: of `pictures` all for training, and ``dev`` of them (or all) for dev."""
    folder.mkdir(parents=True, exist_ok=True)
    some = pictures()
    random.Random(1).shuffle(some)
    images = write_images(folder, [name for name, _ in some], grid="source.kind=grid" in overrides)
    for split, own in (("train", some), ("dev", some[:dev])):
        (folder / f"{split}.txt").write_text(captions_text(own))
    text = RECIPE.replace("TRAIN", str(folder / "train.txt")).replace("DEV", str(folder / "dev.txt"))
    return recipe_from_text(text.replace("IMAGES", str(images)), overrides=overrides).recipe
