"""A recipe trained with several seeds: the same models as separate trainings, what a stop leaves, how seeds spread."""

from __future__ import annotations

import math
import os
import signal
import statistics
from pathlib import Path

import pytest

from seqcli.errors import ExitCode, UserError
from seqcli.machine import cores
from seqcli.pipeline.evaluate import evaluate
from seqcli.pipeline.repeat import Series, Trained, repeat, seeds_of
from seqcli.pipeline.train import train
from seqcli.recipe.load import load_recipe
from seqcli.recipe.schema import Recipe
from seqcli.store.runs import Run, Store
from seqcli.training.events import StepEvent

SHORT = ["training.epochs=2", "training.select_by=f1"]
ADAPTED = ["training.min_steps=30", "training.select_by=f1", "training.epochs=1"]
"""To be adapted: there are too few examples for so many steps."""

two_cores = pytest.mark.skipif(cores() < 2, reason="needs two cores")


def recipe(*changes: str) -> Recipe:
    return load_recipe("tiny.yaml", [*SHORT, *changes]).recipe


def alone(seed: int, *changes: str) -> Run:
    """A training of its own."""
    store = Store("alone")
    for _ in train(recipe(f"training.seed={seed}", *changes), store, device="cpu"):
        pass
    return store.versions("tiny")[-1]


def series(seeds: int, *changes: str, **options: object) -> Series:
    return repeat(recipe(*changes), seeds, Store(), source="tiny.yaml", device="cpu", **options)  # type: ignore[arg-type]


def runs() -> list[Run]:
    return Store().versions("tiny")


@pytest.mark.parametrize("changes", [(), ADAPTED])
def test_each_is_the_training_that_is_made_alone(place: Path, changes: tuple[str, ...]) -> None:
    found = series(3, "training.seed=5", *changes)
    assert [(one.model, one.seed) for one in found.trained] == [("tiny@1", 5), ("tiny@2", 6), ("tiny@3", 7)]
    for run, seed in zip(runs(), (5, 6, 7), strict=True):
        other = alone(seed, *changes)
        assert run.weights_path.read_bytes() == other.weights_path.read_bytes()
        assert run.recipe_path.read_text() == other.recipe_path.read_text()
        assert {name: run.report()[name] for name in ("dev", "test")} == {
            name: other.report()[name] for name in ("dev", "test")
        }
    dev = [run.report()["dev"]["value"] for run in runs()]
    assert [one.dev for one in found.trained] == dev
    spread = found.spread("dev")
    assert spread is not None
    assert (spread.mean, spread.deviation) == pytest.approx((statistics.mean(dev), statistics.stdev(dev)))
    assert spread.range == max(dev) - min(dev)
    assert len({run.weights_path.read_bytes() for run in runs()}) == 3
    assert [one.seed for one in seeds_of(runs()[1])] == [5, 6, 7]


@two_cores
def test_several_at_once_are_the_same_models(place: Path) -> None:
    """Each with its share of the threads: here one, as in the process of the test."""
    told: list[int] = []
    found = series(2, jobs=2, show=lambda one: told.append(one.seed))
    assert sorted(told) == [one.seed for one in found.trained] == [1, 2]
    for run in runs():
        assert run.environment()["threads"] == 1
        assert run.weights_path.read_bytes() == alone(run.report()["seed"]).weights_path.read_bytes()


def test_the_best_is_chosen_on_dev() -> None:
    def of(*pairs: tuple[float | None, float], score: str) -> Series:
        return Series(
            "a", 3, [Trained(f"a@{n}", n, score, dev, test, 1, 0.1) for n, (dev, test) in enumerate(pairs, 1)]
        )

    higher = of((80.0, 99.0), (81.0, 70.0), (81.0, 98.0), score="F1")
    lower = of((5.0, 4.0), (4.0, 9.0), (math.inf, 1.0), score="perplexity")
    assert [found.best and found.best.model for found in (higher, lower)] == ["a@2", "a@2"]
    assert of((None, 4.0), score="F1").best is None
    assert math.isnan(of((1.0, 1.0), score="F1").spread("dev").deviation)  # type: ignore[union-attr]


def stopping_in(number: int, steps: int) -> dict[str, object]:
    """A stop after so many steps of that training."""
    seen: dict[int, int] = {}

    def event(seed: int, event: object) -> None:
        seen[seed] = seen.get(seed, 0) + isinstance(event, StepEvent)

    def should_stop() -> ExitCode | None:
        return ExitCode.INTERRUPTED if seen.get(number, 0) >= steps else None

    return {"event": event, "should_stop": should_stop}


def test_a_series_goes_on_where_it_was_stopped(place: Path) -> None:
    stopped = series(3, *ADAPTED, **stopping_in(2, 4))
    assert [one.seed for one in stopped.trained] == [1]
    assert stopped.stopped is not None
    assert str(stopped.stopped) == (
        "stopped after step 4, saved in runs/tiny/2; 1 of 3 trainings is done. "
        "Go on with: seqcli train tiny.yaml --resume"
    )
    assert stopped.stopped.code == ExitCode.INTERRUPTED
    first = runs()[0].report()["finished_at"], runs()[0].report_path.stat().st_mtime_ns
    found = series(3, *ADAPTED, resume=True)
    assert [one.model for one in found.trained] == ["tiny@1", "tiny@2", "tiny@3"]
    assert (runs()[0].report()["finished_at"], runs()[0].report_path.stat().st_mtime_ns) == first
    for run in runs():
        assert run.weights_path.read_bytes() == alone(run.report()["seed"], *ADAPTED).weights_path.read_bytes()
    again = series(3, *ADAPTED, resume=True)  # nothing is left to do
    assert (again.trained, len(runs())) == (found.trained, 3)
    more = series(4, *ADAPTED, resume=True)
    assert [one.model for one in more.trained] == ["tiny@1", "tiny@2", "tiny@3", "tiny@4"]


def test_a_stop_between_two_trainings_begins_no_other(place: Path) -> None:
    done: list[Trained] = []
    counted = "model={kind: most-frequent-tag}"
    found = series(
        3, counted, show=done.append, should_stop=lambda: ExitCode.TERMINATED if done else None, resume=False
    )
    assert (len(found.trained), len(runs())) == (1, 1)
    assert str(found.stopped).startswith("stopped; 1 of 3 trainings is done. Go on with: ")


def test_other_recipes_and_other_starts_are_no_part_of_the_series(place: Path) -> None:
    series(2)
    with pytest.raises(UserError, match="no training of 'tiny' with these seeds in runs"):
        series(2, "training.epochs=3", resume=True)
    with pytest.raises(UserError, match="no training of 'tiny' with these seeds"):
        series(2, "training.seed=3", resume=True)
    with pytest.raises(UserError, match="no training of 'tiny' with these seeds"):
        series(2, origin=runs()[0], resume=True)
    series(1, "training.epochs=3")
    series(1, "training.seed=2")  # once more
    assert [[one.seed for one in seeds_of(run)] for run in runs()] == [[1, 2], [1, 2], [1], [1, 2]]
    assert seeds_of(runs()[0])[1].model == "tiny@4"  # of equals the newest


def test_data_that_moved_with_its_models_is_the_same_data(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    series(2)
    new = place.with_name("moved")
    place.rename(new)
    monkeypatch.chdir(new / "runs")
    assert [one.seed for one in seeds_of(Store(".").resolve("tiny@1"))] == [1, 2]
    monkeypatch.chdir(new)
    assert len(series(2, resume=True).trained) == len(runs()) == 2


@two_cores
def test_a_process_that_is_killed_stops_the_others(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import seqcli.pipeline.repeat as module

    started: list[int] = []
    start = module._start

    def noted(*arguments: object) -> object:
        worker = start(*arguments)  # type: ignore[arg-type]
        started.append(worker.process.pid)
        return worker

    def event(seed: int, event: object) -> None:
        if isinstance(event, StepEvent) and seed == 1:
            os.kill(started[0], signal.SIGKILL)

    monkeypatch.setattr(module, "_start", noted)
    with pytest.raises(UserError, match=r"the process that trained tiny@1 \(seed 1\) was killed by signal 9") as error:
        series(3, "training.epochs=2000", jobs=2, event=event)
    assert error.value.hint == "Go on with: seqcli train tiny.yaml --resume"
    assert len(started) == 2
    assert not any(run.in_use for run in runs())
    for pid in started:
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)


@two_cores
def test_bad_data_ends_it_with_its_own_error_and_leaves_nothing(place: Path) -> None:
    Path("train.conll").write_text("one\n")
    for jobs in (1, 2):
        with pytest.raises(UserError, match="column") as error:
            series(2, jobs=jobs)
        assert error.value.code == ExitCode.DATA
        assert not Path("runs/tiny").exists()


def test_a_difference_is_held_against_the_seeds(place: Path) -> None:
    series(3)
    other = alone(9, "training.epochs=20")
    found = evaluate(other, against=runs()[0])
    (spread,) = found.seeds
    values = [run.report()["test"]["value"] for run in runs()]
    assert (spread.name, spread.versions, spread.split, spread.score) == ("tiny", 3, "test", "F1")
    assert spread.range == pytest.approx(max(values) - min(values))
    assert spread.difference == pytest.approx(found.score.value - values[0])
    assert spread.inside == (abs(spread.difference) <= spread.range)
    (inside,) = evaluate(runs()[0], against=runs()[1], split="dev").seeds
    assert (inside.split, inside.inside) == ("dev", True)
    assert evaluate(other, against=other).seeds == ()


def test_more_jobs_than_cores(place: Path) -> None:
    with pytest.raises(UserError, match=f"--jobs: {cores() + 1} trainings at once, and {cores()} core") as error:
        series(2, jobs=cores() + 1)
    assert error.value.code == ExitCode.USAGE
