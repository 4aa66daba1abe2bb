"""A tiny corpus and recipe, and two ways to run the program."""

from __future__ import annotations

import io
import os
import random
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from seqcli.recipe.schema import Recipe
    from seqcli.store.runs import Run

ROOT = Path(__file__).resolve().parent.parent
RECIPE = """\
name: tiny
task: {kind: tagging}
target: {kind: tags, scheme: bio, model_scheme: bioes}
data: {train: train.conll, dev: dev.conll, test: test.conll}
source: {kind: text, tokenizer: {kind: words}}
model:
  embedder: {kind: tokens, dim: 8}
  encoder: {kind: lstm, dim: 8}
  head: {kind: crf}
training:
  optimizer: {kind: adamw, lr: 1e-2}
  batch: {tokens: 128, per_epoch: 0}
  epochs: 3
  min_steps: 0
  select_by: loss
"""
NAMES = (("Ravi", "PER"), ("Anna", "PER"), ("Paris", "LOC"), ("Delhi", "LOC"), ("Tata", "ORG"))


class Result(NamedTuple):
    """How a command ended: exit code, stdout, stderr."""

    code: int
    out: str
    err: str


Program = Callable[..., Result]


def write_corpus(folder: Path) -> None:
    """train.conll (80 sentences), dev.conll and test.conll (20 each), tiny.yaml; the same bytes every time."""
    chance = random.Random(1)
    for split, count in (("train", 80), ("dev", 20), ("test", 20)):
        (folder / f"{split}.conll").write_text("\n".join(_sentence(chance) for _ in range(count)))
    (folder / "tiny.yaml").write_text(RECIPE)


def _sentence(chance: random.Random) -> str:
    rows = []
    for word in ("yesterday", None, "met", None, "in", None, "."):
        if word is not None:
            rows.append(f"{word}\tO\n")
            continue
        name, label = chance.choice(NAMES)
        rows.append(f"{name}\tB-{label}\n" + (f"Kumar\tI-{label}\n" if chance.random() < 0.3 else ""))
    return "".join(rows)


def trained_run(recipe: Recipe, folder: Path) -> Run:
    """The finished run of a recipe, in ``folder/runs``."""
    from seqcli.pipeline.train import train
    from seqcli.store.runs import Store

    store = Store(folder / "runs")
    for _ in train(recipe, store, device="cpu"):
        pass
    return store.resolve(recipe.name)


def run_inside(*arguments: str, stdin: bytes = b"") -> Result:
    from seqcli.cli import app, console

    streams = sys.stdin, sys.stdout, sys.stderr
    pipe = signal.getsignal(signal.SIGPIPE)
    out, err = io.BytesIO(), io.BytesIO()
    sys.stdin = io.TextIOWrapper(io.BytesIO(stdin))
    sys.stdout, sys.stderr = io.TextIOWrapper(out), io.TextIOWrapper(err)
    try:
        app.main(list(arguments))
    except SystemExit as ended:
        sys.stderr.flush()
        return Result(int(ended.code or 0), out.getvalue().decode(), err.getvalue().decode())
    finally:
        sys.stdin, sys.stdout, sys.stderr = streams
        console.settings.__init__()  # type: ignore[misc]
        signal.signal(signal.SIGPIPE, pipe)
    raise AssertionError("the program did not exit")


def environment(**more: str) -> dict[str, str]:
    """What a process of the program needs to find the checkout, with one thread so that sums add up alike."""
    return {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", **more}


def run_outside(*arguments: str, stdin: bytes = b"", env: dict[str, str] | None = None) -> Result:
    done = subprocess.run(
        [sys.executable, "-m", "seqcli", *arguments],
        input=stdin,
        capture_output=True,
        env=environment(**env or {}),
        timeout=120,
    )
    return Result(done.returncode, done.stdout.decode(), done.stderr.decode())
