"""Fields and tasks go to the processes that encode: with tokenizers built, and without torch."""

from __future__ import annotations

import pickle
import subprocess
import sys

import numpy as np
import pytest
from columns import column_of
from tiny import environment

from seqcli.data.example import Example
from seqcli.fields.pairs import TargetText
from seqcli.recipe.load import recipe_from_text
from seqcli.tasks.base import new_task

RECIPE = """
name: x
task: {kind: TASK}
data: {train: x}
model: MODEL
"""
PARTS = "{embedder: {kind: tokens, characters: {kind: cnn}, affixes: {}}, encoder: {kind: lstm}, POOL head: {kind: softmax}}"
NETWORK = PARTS.replace("POOL ", "pooling: {kind: max}, ")
TASKS = {
    "tagging": (PARTS.replace("POOL ", ""), (["Anna", "is", "here"], ["B", "O", "O"])),
    "classification": (NETWORK, ("Anna is here, now", "good")),
    "language-model": ("{kind: ngram}", ("Anna is here", None)),
    "word-vectors": ("{kind: cbow}", ("Anna is here", None)),
    "translation": (
        "{kind: encoder-decoder, embedder: {kind: tokens, dim: 8}, encoder: {kind: gru}, decoder: {kind: gru}, "
        "head: {kind: softmax}}",
        ("Anna is here, now", "Anna est ici"),
    ),
}
SCRIPT = """
import pickle, sys
task = pickle.loads(sys.stdin.buffer.read())
example = task.example
pieces = [{name: list(map(str, values)) for name, values in piece.items()} for piece in task.read(example)]
print(pieces)
side = task.source.side([task.source.read(example.source, "")])
print(sorted((name, values.tolist()) for name, values in side.arrays.items()))
print("torch" in sys.modules)
"""


def fitted(kind, *overrides):
    model, (source, target) = TASKS[kind]
    text = RECIPE.replace("TASK", kind).replace("MODEL", model)
    task = new_task(recipe_from_text(text, overrides=overrides).recipe)
    task.example = Example(source, target, "x:1")
    task.prepare(lambda: iter([Example("Anna is here and there, now", "Anna est ici", "x:1")] * 9), kind, None)
    columns = {name: column_of([piece[name] for piece in task.read(task.example)] + [["more"]]) for name in task.fields}
    for name, field in task.fields.items():
        if isinstance(field, TargetText):
            field.fit_sides(columns["source"], columns["target"])
        else:
            field.fit(columns[name], [])
    return task


@pytest.mark.parametrize(
    ("kind", "tokenizer"),
    [
        ("tagging", "whitespace"),
        ("classification", "words"),
        ("classification", "sentencepiece, size: 18"),
        ("language-model", "characters"),
        ("language-model", "bytes"),
        ("word-vectors", "words"),
        ("translation", "words"),
        ("translation", "sentencepiece, size: 18"),
        ("translation shared", "sentencepiece, size: 20"),
    ],
)
def test_a_task_reads_in_another_process(cache, kind, tokenizer):
    kind, *shared = kind.split()
    task = fitted(kind, f"source.tokenizer={{kind: {tokenizer}}}", *("target.share=source" for _ in shared))
    source = task.example.source
    before = task.source.side([task.source.read(source, "")])  # tokenizer and memory are there now
    if task.source.flat:
        task.source.lines([source])
    pieces = [{name: list(map(str, values)) for name, values in piece.items()} for piece in task.read(task.example)]
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT], input=pickle.dumps(task), capture_output=True, env=environment(), check=True
    )
    rows = sorted((name, values.tolist()) for name, values in before.arrays.items())
    assert done.stdout.decode().splitlines() == [repr(pieces), repr(rows), "False"]
    for name, field in task.fields.items():
        again = pickle.loads(pickle.dumps(field))
        assert (again.key(), again.summary()) == (field.key(), field.summary()), name


def test_a_task_of_frames(cache):
    text = RECIPE.replace("TASK", "classification").replace("MODEL", "{kind: mean-pool}") + "source: {kind: frames}\n"
    task = new_task(recipe_from_text(text).recipe)
    frames = np.arange(6, dtype=np.float32).reshape(3, 2)
    task.source.fit(column_of([frames]), [])
    task.example = Example(frames, "good", "x:1")
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT], input=pickle.dumps(task), capture_output=True, env=environment(), check=True
    )
    assert done.stdout.decode().splitlines()[1:] == [repr([("values", frames.tolist())]), "False"]
