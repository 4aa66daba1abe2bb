"""Tiny recordings as frames: each letter is a few frames of its own, with silence between, and recipes for them."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import numpy as np

from seqcli.recipe.load import recipe_from_text
from seqcli.recipe.schema import Recipe

LETTERS = "abn "
WORDS = ("ab", "ban", "nab", "an")

RECIPE = """
name: speech
task: {kind: transcription}
data: {train: TRAIN, dev: DEV, test: TEST, format: frames}
source: {kind: frames}
target: {kind: text, tokenizer: {kind: characters}}
model:
  embedder: {kind: convolution, dim: 16, filters: 16, kernel: 3, layers: 1, subsampling: 2}
  encoder: {kind: lstm, dim: 16}
  head: {kind: ctc}
training: {optimizer: {kind: adamw, lr: 0.02}, batch: {tokens: 120, per_epoch: 0}, epochs: 3, min_steps: 0}
"""


def spoken(text: str, chance: random.Random) -> np.ndarray[Any, Any]:
    """Frames [T, 4] of a text: 4 to 6 a letter, then one or two of silence."""
    frames = []
    for letter in text:
        channel = LETTERS.index(letter)
        frames += [[3.0 * (place == channel) for place in range(4)]] * chance.randint(4, 6)
        frames += [[0.0] * 4] * chance.randint(2, 3)
    noise = [[0.2 * chance.random() for _ in range(4)] for _ in frames]
    return (np.array(frames, np.float32) + np.array(noise, np.float32)).reshape(-1, 4)


def recordings(count: int = 10, seed: int = 1) -> list[tuple[np.ndarray[Any, Any], str]]:
    chance = random.Random(seed)
    texts = [" ".join(chance.choices(WORDS, k=chance.randint(1, 2))) for _ in range(count)]
    return [(spoken(text, chance), text) for text in texts]


def write(folder: Path, name: str, examples: list[tuple[np.ndarray[Any, Any], str]]) -> Path:
    """An index of .npy files beside it."""
    folder.mkdir(parents=True, exist_ok=True)
    lines = []
    for number, (frames, text) in enumerate(examples):
        np.save(folder / f"{name}-{number}.npy", frames)
        lines.append(f"{name}-{number}.npy\t{text}\n")
    index = folder / f"{name}.tsv"
    index.write_text("".join(lines))
    return index


def speech_recipe(folder: Path, *overrides: str, train: Any = None) -> Recipe:
    text = RECIPE
    for split, seed in (("train", 1), ("dev", 2), ("test", 3)):
        examples = train if split == "train" and train is not None else recordings(seed=seed)
        text = text.replace(split.upper(), str(write(folder, split, examples)))
    return recipe_from_text(text, overrides=overrides).recipe


def write_sounds(folder: Path, name: str, count: int = 30) -> Path:
    """A manifest of short tones, one for each letter."""
    from media_files import write_sound

    chance = random.Random(name)
    lines = []
    for number in range(count):
        text = " ".join(chance.choices(WORDS, k=chance.randint(1, 2)))
        times = np.arange(1200) / 8000
        tones = [0.3 * np.sin(2 * np.pi * 300 * (1 + LETTERS.index(letter)) * times) for letter in text]
        write_sound(folder / f"{name}-{number}.wav", np.concatenate(tones).astype(np.float32))
        lines.append(f"{name}-{number}.wav\t{text}\n")
    manifest = folder / f"{name}.tsv"
    manifest.write_text("".join(lines))
    return manifest


def write_joined(folder: Path, name: str, count: int = 30) -> Path:
    """An index of sequences that stand one after the other in an array."""
    examples = recordings(count)
    np.save(folder / f"{name}.npy", np.concatenate([frames for frames, _ in examples]))
    lines, start = ["file\tstart\tlength\ttext\n"], 0
    for frames, text in examples:
        lines.append(f"{name}.npy\t{start}\t{len(frames)}\t{text}\n")
        start += len(frames)
    index = folder / f"{name}.tsv"
    index.write_text("".join(lines))
    return index


ATTENTION = (
    "model={kind: encoder-decoder, "
    "embedder: {kind: convolution, dim: 16, filters: 16, kernel: 3, layers: 1, subsampling: 2}, "
    "encoder: {kind: lstm, dim: 16}, "
    "decoder: {kind: gru, dim: 16, attention: additive}, "
    "head: {kind: softmax}}"
)
TRANSFORMER = (
    "model.encoder={kind: transformer, dim: 16, heads: 2, layers: 1, feedforward: 32, dropout: 0}",
    "model.decoder={kind: transformer, dim: 16, heads: 2, layers: 1, feedforward: 32, dropout: 0}",
)
DECODERS = {
    "joint": (ATTENTION,),
    "joint-transformer": (ATTENTION, *TRANSFORMER),
    "alone": (ATTENTION, "task.ctc_weight=0"),
}
"""Overrides that put a decoder behind the encoder."""
