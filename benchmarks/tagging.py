"""Speed of tagging: training steps with a softmax and a CRF head, and `predict` on a long file as a whole process.

    GOMP_SPINCOUNT=10000 python benchmarks/tagging.py [--steps 60] [--lines 40000]

Trains on UD English-EWT where SEQCLI_MIRROR (or the network) has it, else skips and says so. Training
tokens/s are real tokens (no padding) over the wall time of the steps, after a warm-up, on all cores.
"""

from __future__ import annotations

import argparse
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from at_hand import data_at_hand

from seqcli.models.device import choose_device
from seqcli.pipeline.prepare import open_columns
from seqcli.recipe.load import load_recipe
from seqcli.tasks.base import new_task
from seqcli.training.loop import Trainer

ROOT = Path(__file__).parents[1]

_EWT = ["data={corpus: ud-english-ewt, columns: {token: form, tag: upos}}"]
RECIPES = {"softmax": ("pos", _EWT), "CRF": ("pos", [*_EWT, "model.head={kind: crf}"])}
"""The model of pos.yaml: words, characters, affixes, one bidirectional LSTM of 128 each way."""


def training_speed(recipe_name: str, overrides: list[str], steps: int, repeats: int = 3) -> tuple[float, str]:
    """Median tokens/s over ``repeats`` stretches of ``steps`` steps."""
    recipe = load_recipe(recipe_name, overrides).recipe
    task = new_task(recipe)
    train = open_columns(recipe, task, ("train",))["train"]
    task.fit(train)
    trainer = Trainer(task.network(), task.data(train), recipe.training, choose_device("cpu"))
    events = trainer.steps()
    for _ in range(10):
        next(events)
    speeds = []
    for _ in range(repeats):
        began = time.perf_counter()
        tokens = sum(next(events).positions for _ in range(steps))
        speeds.append(tokens / (time.perf_counter() - began))
    return statistics.median(speeds), recipe.data.corpus or "files"


def prediction_speed(folder: Path, recipe_name: str, overrides: list[str], text: Path, tokens: int) -> str:
    """Tokens/s of one whole `seqcli predict --tokens` process, and its peak memory."""
    runs = folder / "runs"
    command = [sys.executable, "-m", "seqcli"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    changes = [
        part
        for change in (*overrides, "training.max_steps=30", "training.evaluate_every=30")
        for part in ("--set", change)
    ]
    subprocess.run(
        [*command, "train", recipe_name, "--runs", str(runs), "-q", *changes],
        check=True,
        env=environment,
        capture_output=True,
    )
    times = []
    for _ in range(3):
        began = time.perf_counter()
        with (folder / "out.txt").open("wb") as out:
            subprocess.run(
                [*command, "predict", recipe_name, "--runs", str(runs), "--tokens", str(text)],
                check=True,
                env=environment,
                stdout=out,
            )
        times.append(time.perf_counter() - began)
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
    return f"{tokens / statistics.median(times):,.0f} tokens/s ({statistics.median(times):.1f} s, peak {peak:,.0f} MB)"


def write_text(path: Path, lines: int) -> int:
    """Sentences of the training split, one a line, repeated up to ``lines``; returns the tokens written."""
    recipe = load_recipe("pos-ewt").recipe
    split = open_columns(recipe, new_task(recipe), ("train",))["train"]
    source = split["source"]
    tokens = 0
    with path.open("w", encoding="utf-8") as out:
        for line in range(lines):
            sentence = source.sequence(line % len(split))
            tokens += len(sentence)
            out.write(" ".join(source.symbols[token] for token in sentence) + "\n")
    return tokens


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--steps", type=int, default=60)
    parser.add_argument("--lines", type=int, default=40_000)
    options = parser.parse_args()
    with data_at_hand("tagging"):
        measure(options.steps, options.lines)


def measure(steps: int, lines: int) -> None:
    for name, (recipe, overrides) in RECIPES.items():
        speed, data = training_speed(recipe, overrides, steps)
        print(f"training, {name}: {speed:,.0f} tokens/s ({recipe} on {data})", flush=True)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        tokens = write_text(folder / "text.txt", lines)
        for kind, (recipe, overrides) in RECIPES.items():
            print(
                f"predict, {kind}, {tokens:,} tokens: "
                + prediction_speed(folder, recipe, overrides, folder / "text.txt", tokens),
                flush=True,
            )


if __name__ == "__main__":
    main()
