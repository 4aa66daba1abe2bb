"""Speed of translation: training against JoeyNMT, decoding with and without a cache, a whole file, the first line.

    python benchmarks/translation.py train --joeynmt /path/to/python-with-joeynmt
    python benchmarks/translation.py cache
    python benchmarks/translation.py file RUN in.en
    python benchmarks/translation.py first RUN

``train`` gives both the same pieces of Multi30k, the same model (4+4 blocks of 128), batches of 4,096 tokens, one
thread each, in turn. ``file`` compares ``seqcli translate`` with CTranslate2's own ``translate_batch`` on the same tokens.
"""

from __future__ import annotations

import argparse
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parent.parent
RECIPE = ROOT / "recipes" / "translate-multi30k.yaml"
PAIRS, STEPS, TOKENS = 12_000, 24, 4096

JOEYNMT = """
name: bench
model_dir: {folder}/model
use_cuda: False
data:
  train: {folder}/train
  dev: {folder}/dev
  dataset_type: plain
  src: {{lang: en, level: word, lowercase: False, max_length: 100, voc_min_freq: 1, voc_file: {folder}/vocabulary.txt}}
  trg: {{lang: de, level: word, lowercase: False, max_length: 100, voc_min_freq: 1, voc_file: {folder}/vocabulary.txt}}
testing: {{n_best: 1, beam_size: 1, batch_size: 64, batch_type: sentence, eval_metrics: [bleu]}}
training:
  optimizer: adamw
  learning_rate: 0.001
  scheduling: noam
  learning_rate_factor: 0.5
  learning_rate_warmup: 400
  label_smoothing: 0.1
  loss: crossentropy
  normalization: tokens
  clip_grad_norm: 5.0
  batch_size: {tokens}
  batch_type: token
  epochs: 10
  updates: {steps}
  validation_freq: 10000
  logging_freq: 5
  shuffle: True
  early_stopping_metric: bleu
model:
  initializer: xavier_uniform
  embed_initializer: xavier_uniform
  tied_embeddings: True
  tied_softmax: True
  encoder:
    type: transformer
    num_layers: 4
    num_heads: 4
    embeddings: {{embedding_dim: 128, scale: True, dropout: 0.0}}
    hidden_size: 128
    ff_size: 512
    dropout: 0.15
    layer_norm: pre
  decoder:
    type: transformer
    num_layers: 4
    num_heads: 4
    embeddings: {{embedding_dim: 128, scale: True, dropout: 0.0}}
    hidden_size: 128
    ff_size: 512
    dropout: 0.15
    layer_norm: pre
"""


def pieces() -> Iterator[tuple[list[str], list[str]]]:
    """The pairs of the training split as the recipe cuts them."""
    from seqcli.pipeline.prepare import open_columns
    from seqcli.recipe.load import load_recipe
    from seqcli.tasks.base import new_task

    recipe = load_recipe(RECIPE).recipe
    columns = open_columns(recipe, new_task(recipe), ("train",))["train"]
    sides = [columns["source"], columns["target"]]
    for row in range(PAIRS):
        source, target = ([side.symbols[number] for number in side.sequence(row)] for side in sides)
        yield source, target


def joeynmt(python: str, folder: Path) -> float:
    """Target tokens a second of JoeyNMT, the median of its log lines."""
    pairs = list(pieces())
    for name, some in (("train", pairs), ("dev", pairs[:50])):
        for place, language in enumerate(("en", "de")):
            text = "".join(" ".join(pair[place]) + "\n" for pair in some)
            (folder / f"{name}.{language}").write_text(text, encoding="utf-8")
    known = dict.fromkeys(token for pair in pairs for side in pair for token in side)
    (folder / "vocabulary.txt").write_text("".join(f"{token}\n" for token in known), encoding="utf-8")
    config = folder / "bench.yaml"
    config.write_text(JOEYNMT.format(folder=folder, tokens=TOKENS, steps=STEPS), encoding="utf-8")
    done = subprocess.run([python, "-m", "joeynmt", "train", str(config)], capture_output=True, text=True, check=False)
    speeds = [float(found) for found in re.findall(r"Tokens per Sec:\s+(\d+)", done.stdout + done.stderr)]
    if not speeds:
        sys.exit(f"JoeyNMT did not train:\n{(done.stdout + done.stderr)[-2000:]}")
    return statistics.median(speeds[1:] or speeds)


def own() -> float:
    """Target tokens a second of seqcli's trainer, the median of its steps."""
    import torch

    from seqcli.pipeline.prepare import open_columns
    from seqcli.recipe.load import load_recipe
    from seqcli.tasks.base import new_task
    from seqcli.training.loop import Trainer

    recipe = load_recipe(RECIPE, [f"training.batch.tokens={TOKENS}"]).recipe
    task = new_task(recipe)
    columns = open_columns(recipe, task, ("train",))["train"]
    task.fit(columns)
    trainer = Trainer(task.network(), task.data(columns), recipe.training, torch.device("cpu"))
    events = [event for event, _ in zip(trainer.steps(), range(STEPS), strict=False)]
    return statistics.median(event.targets / event.seconds for event in events[5:])


def train(python: str | None, repeats: int) -> None:
    ours, theirs = [], []
    for _ in range(repeats):
        ours.append(float(subprocess.check_output([sys.executable, __file__, "own"], text=True)))
        if python is not None:
            with tempfile.TemporaryDirectory() as folder:
                theirs.append(joeynmt(python, Path(folder)))
    print(f"seqcli   {statistics.median(ours):8,.0f} target tokens/s ({', '.join(f'{one:,.0f}' for one in ours)})")
    if theirs:
        print(f"JoeyNMT  {statistics.median(theirs):8,.0f} target tokens/s ({', '.join(f'{x:,.0f}' for x in theirs)})")
        print(f"ratio    {statistics.median(a / b for a, b in zip(ours, theirs, strict=True)):8.2f}")


def cache() -> None:
    """Greedy decoding in torch, 32 sentences at once, with the keys and values kept and with all read again."""
    import torch

    from seqcli.data.batch import Side
    from seqcli.engines.torch_engine import TorchEngine, TorchSourceStepper
    from seqcli.pipeline.prepare import open_columns
    from seqcli.recipe.load import load_recipe
    from seqcli.tasks.base import new_task

    torch.manual_seed(1)
    dim = "dim: 256, heads: 4, layers: 6, feedforward: 1024"
    recipe = load_recipe(
        RECIPE,
        [
            "model.embedder.dim=256",
            f"model.encoder={{kind: transformer, {dim}, activation: relu}}",
            f"model.decoder={{kind: transformer, {dim}}}",
        ],
    ).recipe
    task = new_task(recipe)
    columns = open_columns(recipe, task, ("train",))["train"]
    task.fit(columns)
    network, side = task.network().eval(), task.data(columns).source.side(np.arange(32))
    assert isinstance(side, Side)
    length = 64

    def with_cache() -> None:
        stepper = TorchEngine(network, task.target.eos).stepper(side)
        log_probs, state = stepper.start(32)
        for _ in range(length):
            log_probs, state = stepper.read(log_probs.argmax(1)[:, None], state)

    def without() -> None:
        stepper = TorchSourceStepper(network, task.target.eos, side)
        _, begin = stepper.start(32)
        ids = np.full((32, 1), task.target.eos)
        for _ in range(length + 1):
            log_probs, _, _ = stepper.next(ids, begin.kept, [])
            ids = np.concatenate([ids, log_probs.argmax(1)[:, None]], axis=1)

    ratios = []
    for _ in range(3):
        seconds = []
        for run in (with_cache, without):
            began = time.perf_counter()
            run()
            seconds.append(time.perf_counter() - began)
        ratios.append(seconds[1] / seconds[0])
        print(f"6+6 blocks of 256, 32 x {length} tokens: cache {seconds[0]:.2f} s, none {seconds[1]:.2f} s")
    print(f"ratio {statistics.median(ratios):.1f}")


def file(run: str, source: str) -> None:
    """Sentences a second of a whole process, against translate_batch on the tokens of the same lines."""
    import ctranslate2

    from seqcli.pipeline.model import Model
    from seqcli.tasks.translation import TranslationTask

    lines = Path(source).read_text(encoding="utf-8").split("\n")[:-1]
    model = Model.load(run)
    task, engine = model.task, model.engine
    assert isinstance(task, TranslationTask)
    ids = [[*task.source.words.encode(task.source.read(line, "")), task.source.eos] for line in lines]
    tokens = [[*map(str, one)] for one in ids]
    raw: ctranslate2.Translator = engine.translator  # type: ignore[attr-defined]
    for beam in (1, 5):
        ratios = []
        for _ in range(5):
            began = time.perf_counter()
            raw.translate_batch(
                tokens,
                beam_size=beam,
                max_batch_size=2048,
                batch_type="tokens",
                disable_unk=True,
                max_decoding_length=200,
            )
            alone = time.perf_counter() - began
            began = time.perf_counter()
            list(model.predict_block(lines, ask=lambda side, raws, _, beam=beam: _ask(model, side, raws, beam)))
            ratios.append(alone / (time.perf_counter() - began))
            print(f"beam {beam}: CTranslate2 {len(lines) / alone:,.0f} sentences/s, ratio {ratios[-1]:.2f}")
        print(f"beam {beam}: median ratio {statistics.median(ratios):.2f}")


def _ask(model, side, raws, beam):  # type: ignore[no-untyped-def]
    from seqcli.pipeline.writing import options_of

    return model.task.generate(model.engine, side, raws, options_of(model, beam=beam), scores=False)


def first(run: str) -> None:
    """Seconds from the start of the process to the end of one translated line."""
    for engine in ("auto", "torch"):
        seconds = []
        for _ in range(7):
            began = time.perf_counter()
            subprocess.run(
                [sys.executable, "-m", "seqcli", "translate", run, "--engine", engine, "-q"],
                input=b"A dog runs across the grass.\n",
                capture_output=True,
                check=True,
                env={**os.environ, "PYTHONPATH": str(ROOT)},
            )
            seconds.append(time.perf_counter() - began)
        print(f"--engine {engine}: {statistics.median(seconds):.2f} s ({min(seconds):.2f} to {max(seconds):.2f})")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["train", "own", "cache", "file", "first"])
    parser.add_argument("arguments", nargs="*")
    parser.add_argument("--joeynmt", metavar="PYTHON", help="an interpreter that has joeynmt")
    parser.add_argument("--repeats", type=int, default=3)
    options = parser.parse_args()
    if options.what == "train":
        os.environ |= {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
        train(options.joeynmt, options.repeats)
    elif options.what == "own":
        print(own())
    elif options.what == "cache":
        cache()
    elif options.what == "file":
        file(*options.arguments)
    else:
        first(*options.arguments)


if __name__ == "__main__":
    main()
