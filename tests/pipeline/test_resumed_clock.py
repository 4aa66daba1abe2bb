"""A training under a time limit that was interrupted goes on by the clock: as if nobody had stopped it, rate by rate."""

from __future__ import annotations

import math
from types import SimpleNamespace

import pytest
from tiny_corpus import tiny_recipe

from seqcli.errors import ExitCode, UserError
from seqcli.pipeline import estimators
from seqcli.pipeline.train import train
from seqcli.store.runs import Store
from seqcli.training.events import StepEvent

SECONDS, STEPS, RATE = 3.0, 20, 0.01
LIMITED = (
    f"training.optimizer={{kind: adamw, lr: {RATE}}}",
    "training.schedule={kind: cosine, warmup: 0}",
    f"training.max_minutes={SECONDS * STEPS / 60}",
    "training.epochs=200",
    "training.evaluate_every=7",
    "model.encoder.dropout=0.3",
)


def trained(folder, monkeypatch, *, begins, stop_after=None, resume=False):
    """The rate of each step, on a clock that stands still but for ``SECONDS`` a step."""
    clock, rates = SimpleNamespace(now=begins), []
    monkeypatch.setattr(estimators, "time", SimpleNamespace(monotonic=lambda: clock.now))

    def should_stop():
        return ExitCode.INTERRUPTED if stop_after is not None and len(rates) >= stop_after else None

    recipe = tiny_recipe(folder, *LIMITED)
    for event in train(recipe, Store(folder / "runs"), device="cpu", should_stop=should_stop, resume=resume):
        if isinstance(event, StepEvent):
            rates.append(event.learning_rate)
            clock.now += SECONDS
    return rates


def test_the_rate_follows_the_clock_from_the_first_step_after_an_interruption(cache, tmp_path, monkeypatch):
    whole = trained(tmp_path / "a", monkeypatch, begins=50.0)
    assert whole == pytest.approx([RATE * (1 + math.cos(math.pi * step / STEPS)) / 2 for step in range(STEPS + 1)])

    with pytest.raises(UserError, match="stopped after step 9"):
        trained(tmp_path / "b", monkeypatch, begins=50.0, stop_after=9)
    resumed = trained(tmp_path / "b", monkeypatch, begins=7000.0, resume=True)  # another process, another clock
    assert resumed == pytest.approx(whole[9:])
    runs = [Store(tmp_path / name / "runs").resolve("tiny") for name in "ab"]
    assert runs[0].weights_path.read_bytes() == runs[1].weights_path.read_bytes()
    assert [run.report()["steps"] for run in runs] == [len(whole)] * 2
