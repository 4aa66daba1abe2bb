"""Tiny labelled texts and sequences of frames, and recipes for them."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import numpy as np
import torch

from seqcli.pipeline.prepare import open_columns
from seqcli.recipe.load import recipe_from_text
from seqcli.recipe.schema import Recipe
from seqcli.tasks.base import new_task

Labelled = list[tuple[Any, str]]

TEXTS: Labelled = [
    ("Good movie, not bad at all", "good"),
    ("Bad movie, not good at all", "bad"),
    ("a charming film", "good"),
    ("dull and long", "bad"),
    ("I liked it", "good"),
    ("boring", "bad"),
    ("not boring", "good"),
    ("not charming", "bad"),
    ("so so", "middling"),
    ("it is a film", "middling"),
    ("", "middling"),
    ("a film a film a film a film", "middling"),
]
SEVERAL: Labelled = [
    ("rain and wind", "rain,wind"),
    ("rain", "rain"),
    ("wind", "wind"),
    ("sun", ""),
    ("sun and wind", "wind"),
    ("snow and rain", "rain,snow"),
    ("snow wind rain", "rain,snow,wind"),
    ("snow", "snow"),
    ("nothing", ""),
]
GRADED: Labelled = [
    ("awful", "1"),
    ("awful film", "1"),
    ("poor", "2"),
    ("poor film", "2"),
    ("fair", "3"),
    ("fair film", "3"),
    ("fine", "4"),
    ("fine film", "4"),
    ("great", "10"),
    ("great film", "10"),
]

TEXT_RECIPE = """
name: tiny
task: {kind: classification}
data: {train: TRAIN, dev: DEV, test: TEST, format: tsv}
source: {kind: text, tokenizer: {kind: words}, vocabulary: {lowercase: true}}
model:
  embedder: {kind: tokens, dim: 12}
  encoder: {kind: lstm, dim: 12}
  pooling: {kind: max}
  head: {kind: softmax}
training: {optimizer: {kind: adamw, lr: 0.02}, batch: {tokens: 24, per_epoch: 0}, epochs: 3, min_steps: 0}
"""
FRAME_RECIPE = """
name: motion
task: {kind: classification}
data: {train: TRAIN, dev: DEV, test: TEST, format: ts}
source: {kind: frames}
model:
  embedder: {kind: frames, dim: 8}
  encoder: {kind: gru, dim: 8}
  pooling: {kind: max}
  head: {kind: softmax}
training: {optimizer: {kind: adamw, lr: 0.02}, batch: {tokens: 40, per_epoch: 0}, epochs: 3, min_steps: 0}
"""
SIGMOID = "model.head={kind: sigmoid}"
FITTED = "training={seed: 1}"
"""Takes out what a model that is fitted in one go does not use."""


def baseline(kind: str) -> str:
    """An override that puts a baseline in place of the network."""
    return f"model={{kind: {kind}}}"


def motions(count: int = 12, seed: int = 1, channels: int = 2, missing: bool = False, shift: float = 0.0) -> Labelled:
    """Sequences of 1 to 9 frames that rise, fall or stay; with ``missing`` a value in five is not there."""
    chance = random.Random(seed)
    found: Labelled = []
    for number in range(count):
        slope, label = ((1.0, "up"), (-1.0, "down"), (0.0, "flat"))[number % 3]
        length = chance.randint(4, 9)
        frames = np.array(
            [
                [shift + 3 * slope * step + channel + 0.2 * chance.random() for channel in range(channels)]
                for step in range(length)
            ],
            np.float32,
        )
        if missing:
            frames[[step for step in range(1, length) if chance.random() < 0.2], 0] = np.nan
        found.append((frames, label))
    return found


def tsv(examples: Labelled = TEXTS) -> str:
    return "".join(f"{text}\t{label}\n" for text, label in examples)


def jsonl(examples: Labelled = TEXTS, *, tokens: bool = False) -> str:
    return "".join(
        json.dumps({"tokens": text.split()} if tokens else {"text": text})[:-1] + f', "label": {json.dumps(label)}}}\n'
        for text, label in examples
    )


def labelled(examples: Labelled = TEXTS) -> str:
    return "".join(f"{label} {text}\n" for text, label in examples)


def npz(folder: Path, examples: Labelled) -> str:
    """The index of an array, written into a folder, of all frames one after the other."""
    np.savez(folder / "frames.npz", x=np.concatenate([frames for frames, _ in examples]))
    starts = np.cumsum([0, *(len(frames) for frames, _ in examples)]).tolist()
    rows = [
        f"frames.npz\t{start}\t{len(frames)}\t{label}\n"
        for start, (frames, label) in zip(starts, examples, strict=False)
    ]
    return "file\tstart\tlength\tlabel\n" + "".join(rows)


def ts(examples: Labelled, *, labels: bool = True) -> str:
    """A .ts file: dimensions one after the other, the label last."""
    channels = examples[0][0].shape[1] if examples else 1
    head = f"@problemName tiny\n@timeStamps false\n@dimensions {channels}\n"
    head += "@classLabel true " + " ".join(sorted({label for _, label in examples})) if labels else "@classLabel false"
    rows = [
        ":".join(
            [
                *(
                    ",".join("?" if np.isnan(value) else repr(float(value)) for value in channel)
                    for channel in frames.T
                ),
                *([label] if labels else []),
            ]
        )
        for frames, label in examples
    ]
    return "\n".join([head, "@data", *rows]) + "\n"


def _recipe(text: str, folder: Path, suffix: str, splits: dict[str, str], overrides: tuple[str, ...]) -> Recipe:
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in splits.items():
        path = folder / f"{name}.{suffix}"
        path.write_text(content, encoding="utf-8")
        text = text.replace(name.upper(), str(path))
    return recipe_from_text(text, overrides=overrides).recipe


def text_recipe(
    folder: Path,
    *overrides: str,
    train: Labelled = TEXTS,
    dev: Labelled | None = None,
    test: Labelled | None = None,
    write: Any = tsv,
    suffix: str = "tsv",
) -> Recipe:
    """`TEXT_RECIPE` over files in ``folder``; without dev and test they are the training examples."""
    splits = {
        name: write(train if examples is None else examples)
        for name, examples in (("train", train), ("dev", dev), ("test", test))
    }
    return _recipe(TEXT_RECIPE, folder, suffix, splits, overrides)


def frame_recipe(
    folder: Path,
    *overrides: str,
    train: Labelled | None = None,
    dev: Labelled | None = None,
    test: Labelled | None = None,
) -> Recipe:
    """`FRAME_RECIPE` over files in ``folder``."""
    train = motions() if train is None else train
    splits = {
        name: ts(train if examples is None else examples)
        for name, examples in (("train", train), ("dev", dev), ("test", test))
    }
    return _recipe(FRAME_RECIPE, folder, "ts", splits, overrides)


def prepared(recipe: Recipe) -> tuple[Any, dict[str, Any]]:
    """``(task, columns)``, fitted to the training split."""
    task = new_task(recipe)
    columns = open_columns(recipe, task, ("train", "dev", "test"))
    task.fit(columns["train"])
    torch.manual_seed(1)
    return task, columns


def write_classifiers(folder: Path) -> list[list[str]]:
    """Data and recipes in ``folder``; the arguments of ``train`` that make a classifier of each kind of them."""
    texts, frames = TEXTS + [(text.upper(), label) for text, label in TEXTS], motions(24)
    for name in ("train", "dev", "test"):
        (folder / f"{name}.tsv").write_text(tsv(texts), encoding="utf-8")
        (folder / f"{name}-several.tsv").write_text(tsv(SEVERAL), encoding="utf-8")
        (folder / f"{name}.ts").write_text(ts(frames), encoding="utf-8")
        (folder / f"{name}-gaps.ts").write_text(ts(motions(24, missing=True)), encoding="utf-8")
    for text, suffix in ((TEXT_RECIPE, "tsv"), (FRAME_RECIPE, "ts")):
        ready = text.replace("TRAIN", f"train.{suffix}").replace("DEV", f"dev.{suffix}")
        ready = ready.replace("TEST", f"test.{suffix}")
        (folder / f"{suffix}.yaml").write_text(ready, encoding="utf-8")
    several = "data={train: train-several.tsv, dev: dev-several.tsv, test: test-several.tsv, format: tsv}"
    gaps = "data={train: train-gaps.ts, dev: dev-gaps.ts, test: test-gaps.ts, format: ts}"
    strided = "{kind: frames, dim: 8, kernel: 3, stride: 2}"
    made = [
        ["tsv.yaml", "training.epochs=25", "training.select_by=loss"],
        ["tsv.yaml", "name=bag", baseline("bag-of-words"), FITTED],
        ["tsv.yaml", "name=most", baseline("majority"), FITTED],
        [
            "tsv.yaml",
            "name=several",
            several,
            "target.separator=','",
            SIGMOID,
            "training.epochs=30",
            "training.select_by=loss",
        ],
        ["ts.yaml", "training.epochs=20", "training.select_by=loss"],
        ["ts.yaml", "name=pool", baseline("mean-pool"), FITTED],
        [
            "ts.yaml",
            "name=gaps",
            gaps,
            "source.missing=mask",
            f"model.embedder={strided}",
            "training.epochs=20",
            "training.select_by=loss",
        ],
    ]
    return [[recipe, *(word for change in changes for word in ("--set", change))] for recipe, *changes in made]
