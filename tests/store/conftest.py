"""A small finished run, made through the API."""

from __future__ import annotations

import json
import random
import struct
from collections.abc import Callable
from pathlib import Path

import pytest

from seqcli.store.runs import Run, Store

RECIPE = """\
name: ner
description: Named entities
task: {kind: tagging}
target: {kind: tags, scheme: bio}
data: {corpus: mini-ner}
source: {kind: text, tokenizer: {kind: words}}
model:
  kind: network
  embedder: {kind: tokens, dim: 100}
  encoder: {kind: lstm, dim: 200, bidirectional: true, dropout: 0.3}
  head: {kind: crf}
training: {optimizer: {kind: adamw, lr: 0.001}, seed: 1}
"""


def safetensors_bytes(numbers: int = 300) -> bytes:
    """A small safetensors file, written by hand: the store's tests need no torch."""
    header = json.dumps({"w": {"dtype": "F32", "shape": [numbers], "data_offsets": [0, 4 * numbers]}}).encode()
    header += b" " * (-len(header) % 8)
    body = struct.pack(f"<{numbers}f", *(random.Random(numbers).gauss(0, 1) for _ in range(numbers)))
    return struct.pack("<Q", len(header)) + header + body


def score(value: float) -> dict:
    return {"name": "F1", "value": value, "signature": "f1|scheme:bio|v:seqcli-0", "counts": {"gold": 16}}


def fill(run: Run, *, task: str = "tagging", f1: float = 81.25) -> Run:
    """Give a run everything that a finished training leaves."""
    run.recipe_path.write_text(RECIPE)
    run.vocabulary_path.write_text("<PAD>\n<UNK>\ncat\ndog\n")
    (run.path / "labels.txt").write_text("O\nB-PER\n")
    run.weights_path.write_bytes(safetensors_bytes())
    run.metrics_path.write_text('{"step": 10, "loss": 1.5}\n')
    run.environment_path.write_text(json.dumps({"python": "3.11", "seed": 1}))
    run.report_path.write_text(
        json.dumps(
            {
                "name": run.name,
                "version": run.version,
                "task": task,
                "select_by": "f1",
                "minutes": 1.5,
                "dev": score(85.0),
                "test": score(f1),
                "engine": {
                    "kind": "onnx",
                    "precision": "int8",
                    "difference": 1.5e-07,
                    "dev": {"score": "f1", "fp32": 85.0, "int8": 84.95},
                },
            }
        )
    )
    (run.path / "engine.onnx").write_bytes(b"\x08\x0a\x12\x06seqcli")
    run.seal(["recipe.yaml", "vocabulary.txt", "labels.txt", "model.safetensors", "engine.onnx"])
    return run


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "runs")


@pytest.fixture
def finish() -> Callable[..., Run]:
    return fill


@pytest.fixture
def ner(store: Store) -> Run:
    return fill(store.create("ner"))
