"""Language models: tokens a second of training, sampling, scoring; the n-gram's build. Prints a table.

GOMP_SPINCOUNT=10000 python benchmarks/language.py [--seconds 20] [--only train]
"""

from __future__ import annotations

import argparse
import statistics
import time
from itertools import pairwise

import numpy as np
import torch
from at_hand import data_at_hand

from seqcli.decode.sampling import SamplingOptions, sample
from seqcli.decode.stepper import Stepper
from seqcli.engines.onnx_engine import onnx_engine
from seqcli.engines.onnx_write import graph_of, quantize
from seqcli.pipeline.prepare import open_columns
from seqcli.recipe.load import load_recipe
from seqcli.tasks.base import new_task
from seqcli.training.loop import Trainer

BIG = [  # two layers of 512 over 10,002 rows, 32 streams of 35: the size that is quoted for word models
    "task.unit=stream",
    "task.bptt=35",
    "training.batch={sequences: 32}",
    "model.embedder={kind: tokens, dim: 512}",
    "model.encoder={kind: lstm, dim: 512, layers: 2, bidirectional: false, forget_bias: 0}",
    "model.head={kind: softmax}",
]


def prepared(name: str, changes: list[str]):
    recipe = load_recipe(name, changes).recipe
    task = new_task(recipe)
    columns = open_columns(recipe, task, ("train", "dev"))
    task.fit(columns["train"])
    return task, {split: task.data(data) for split, data in columns.items()}


def training(name: str, changes: list[str], seconds: float) -> float:
    """Median tokens a second over the steps of some seconds, the first three left out."""
    task, data = prepared(name, changes)
    torch.manual_seed(1)
    trainer = Trainer(task.network(), data["train"], task.recipe.training, torch.device("cpu"))
    speeds, began = [], time.perf_counter()
    for event in trainer.steps():
        speeds.append(event.positions / event.seconds)
        if time.perf_counter() - began > seconds:
            break
    return statistics.median(speeds[3:] or speeds)


def sampling(model: Stepper, unk: int, count: int, tokens: int) -> float:
    began = time.perf_counter()
    drawn = sum(1 for _ in sample(model, [], count, SamplingOptions(), max_tokens=tokens, seed=1, forbidden=[unk]))
    return drawn / (time.perf_counter() - began)


def scoring(model: Stepper, data) -> float:
    offsets = np.asarray(data.ids.offsets[:])
    lines = [data.ids[int(start) : int(end)] for start, end in pairwise(offsets)]
    began = time.perf_counter()
    for at in range(0, len(lines), 512):
        model.score(lines[at : at + 512])
    return len(data.ids) / (time.perf_counter() - began)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=20.0, help="of training for each model")
    parser.add_argument("--only", choices=("train", "use", "ngram"))
    options = parser.parse_args()
    torch.set_flush_denormal(True)
    if options.only in (None, "train"):
        for name, changes in (("lm-char-tiny", []), ("lm-word", []), ("lm-word", BIG), ("lm-transformer", [])):
            shown = "LSTM 2x512, 10,002 rows" if changes else name
            with data_at_hand(f"{shown}: training"):
                print(f"{shown}: training {training(name, changes, options.seconds):,.0f} tokens/s", flush=True)
    if options.only in (None, "use"):
        with data_at_hand("LSTM 2x512: sampling and scoring"):
            use()
    if options.only in (None, "ngram"):
        with data_at_hand("4-gram"):
            ngram()


def use() -> None:
    task, data = prepared("lm-word", BIG)
    graph = graph_of(task.network().eval())
    for precision, one in (("fp32", graph), ("int8", quantize(graph))):
        model = onnx_engine(task, one.SerializeToString()).stepper()
        sampling(model, task.source.unk, 1, 50)
        for count in (1, 8, 32):
            speed = sampling(model, task.source.unk, count, 500)
            print(f"LSTM 2x512, {precision}: sampling {count} at a time {speed:,.0f} tokens/s", flush=True)
        print(f"LSTM 2x512, {precision}: scoring {scoring(model, data['dev']):,.0f} tokens/s", flush=True)


def ngram() -> None:
    task, data = prepared("lm-ngram", [])
    began = time.perf_counter()
    arrays = task.fit_counts(data["train"], lambda done, total: None)
    print(f"4-gram: built from {len(data['train'].ids):,} tokens in {time.perf_counter() - began:.2f} s")
    model = task.counts_engine(arrays).stepper()
    print(
        f"4-gram: scoring {scoring(model, data['dev']):,.0f} tokens/s, "
        f"sampling one at a time {sampling(model, task.source.unk, 1, 2000):,.0f} tokens/s"
    )


if __name__ == "__main__":
    main()
