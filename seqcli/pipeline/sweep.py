"""Sweeps: a recipe trained with many values of some settings, to find those with the best dev score.

No trial reads the test split, so the choice cannot see it.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from seqcli.data.corpus import open_corpus
from seqcli.errors import ExitCode, UserError, is_out_of_memory, plural, usage_error
from seqcli.fields.base import Progress
from seqcli.metrics.metric import METRICS
from seqcli.pipeline.evaluate import evaluate_model
from seqcli.pipeline.events import Evaluated, Event
from seqcli.pipeline.model import Model
from seqcli.pipeline.search_space import Space
from seqcli.pipeline.settle import settle
from seqcli.pipeline.study import Claim, State, Study, Trial, open_study
from seqcli.pipeline.train import train
from seqcli.recipe.dump import dump_recipe
from seqcli.recipe.paths import move_paths, seen_from
from seqcli.recipe.schema import Recipe
from seqcli.store.runs import Run, Store
from seqcli.tasks.base import new_task
from seqcli.training.events import StepEvent

SPLITS = ("train", "dev")

PER_TOKEN = ("loss", "perplexity", "perplexity_known")
"""Scores whose unit is what the model predicts."""

SIGNALS = (ExitCode.INTERRUPTED, ExitCode.TERMINATED)


@dataclass(frozen=True)
class Swept:
    """What is known at the end of a sweep, of this process and of all others that share its study.

    Attributes:
        score: name of the dev score that decides.
        trials: the complete ones, best first; then the others.
        importance: of each setting, see `Study.importance`.
        run: the best trial's, with its weights.
        stopped: the signal that ended it early; ``late``: the time was over.
    """

    space: Space
    score: str
    trials: list[Trial]
    importance: dict[str, float]
    best: Trial | None
    run: Run | None
    stopped: ExitCode | None = None
    late: bool = False

    @property
    def says(self) -> str:
        """What the best score means; empty where there is none."""
        if self.best is None:
            return ""
        scored = sum(trial.score is not None for trial in self.trials)
        return (
            f"The best of {plural(scored, 'dev score')} is a kind figure: part of it is luck. The test score, which "
            "no trial has seen, is measured once, by seqcli train."
        )


class _Clock:
    """Whether a trial should stop: a signal, or the end of the time that the sweep has."""

    def __init__(self, should_stop: Callable[[], ExitCode | None], minutes: float | None) -> None:
        self.should_stop = should_stop
        self.ends = math.inf if minutes is None else time.monotonic() + 60 * minutes
        self.signal: ExitCode | None = None

    @property
    def late(self) -> bool:
        return time.monotonic() >= self.ends

    def __call__(self) -> ExitCode | None:
        self.signal = self.should_stop()
        return self.signal or (ExitCode.INTERRUPTED if self.late else None)


class _Hopeless(Exception):
    """A trial that is worse than most others were."""


def sweep(
    space: Space,
    path: Path,
    total: int,
    *,
    minutes: float | None = None,
    prune: bool = True,
    keep: bool = False,
    device: str = "auto",
    should_stop: Callable[[], ExitCode | None] = lambda: None,
    progress: Progress | None = None,
    say: Callable[[str], object] = lambda text: None,
    show: Callable[[Trial], object] = lambda trial: None,
    event: Callable[[Event], object] = lambda event: None,
) -> Swept:
    """Train trials until the study has ``total``, or every combination once; go on with a study that is there.

    Args:
        path: the study, which processes share; the trials are trained in the folder beside it.
        minutes: after which no trial begins, and the one that runs is stopped.
        prune: stop a trial early that is worse than the median of the others at the same evaluation.
        keep: keep the weights of every complete trial, not of the best alone.
        should_stop: asked after each step; an exit code ends it all, with what is there.
        say: told that the study goes on.
        show, event: told of each trial that is over, and of what its training tells on its way.

    Raises:
        UserError: a recipe without a score or without dev data, a searched setting that changes what is measured (2);
            what `open_study` raises; a failed write (74).
    """
    clock = _Clock(should_stop, minutes)
    score, about = check_sweep(space, path, progress)
    seed = space.base.training.seed
    with open_study(path, space, about, better=METRICS[score].better, seed=seed, prune=prune) as study:
        if there := len(study.trials()):
            say(f"going on with {path}: {plural(there, 'trial')}")
        trainer = _Trainer(study, score, device, clock, progress, event)
        while clock() is None and (claim := study.claim(total)) is not None:
            trial = trainer.run(claim)
            if not keep:
                study.keep_best()
            show(trial)
        best = study.best()
        runs = [] if best is None else Store(study.trial_folder(best.number)).runs()
        return Swept(
            space,
            score,
            sorted(study.trials(), key=lambda trial: (trial.state != "complete", study.rank(trial))),
            study.importance(),
            best,
            next(iter(runs), None),
            clock.signal,
            clock.late,
        )


def check_sweep(space: Space, path: Path, progress: Progress | None = None) -> tuple[str, dict[str, Any]]:
    """The score that decides, and what two sweeps that share a study must have in common; errors as those of `sweep`."""
    base = space.base
    score, data = _measured(base, progress)
    for one in space.searched:
        for text in one.tried():
            recipe = space.recipe({one.key: text})
            if other := _other_measure(base, recipe, score, data, progress):
                raise usage_error(
                    f"--set {one.key}: trials with {other} cannot be compared", hint="Set it to one value."
                )
    moved = move_paths(base, lambda file: seen_from(file, path.parent))
    searched = {one.key: str(one) for one in space.searched}
    return score, {"recipe": dump_recipe(moved), "searched": searched, "data": data}


def _other_measure(
    base: Recipe, recipe: Recipe, score: str, data: dict[str, str], progress: Progress | None
) -> str | None:
    """What makes the dev score of a recipe another measure than that of ``base``; None where it is the same."""
    if new_task(recipe).select_by != score:
        return "another score"
    if recipe.training.seed != base.training.seed:  # the luckiest seed is no setting
        return "another seed"
    predicted = "source" if base.task.kind == "language-model" else "target"
    if score in PER_TOKEN and dict(recipe)[predicted] != dict(base)[predicted]:
        return f"the {METRICS[score].title} of other units"
    if recipe.data != base.data and _measured(recipe, progress)[1]["dev"] != data["dev"]:
        return "other dev data"
    return None


def _measured(recipe: Recipe, progress: Progress | None) -> tuple[str, dict[str, str]]:
    """The dev score that a recipe is selected by, and the fingerprints of its splits."""
    recipe = settle(recipe, progress).recipe
    task = new_task(recipe)
    if not task.score_names:
        raise usage_error(f"a model for {task.kind} has no score on a split, so nothing can be chosen by it")
    series = task.has_series
    corpus = open_corpus(recipe.data, splits=SPLITS, plain=task.plain_text, series=series, progress=progress)
    if "dev" not in corpus.splits:
        raise usage_error(
            f"a sweep is chosen on dev, and the data of {recipe.name} has no dev split",
            hint="Set data.dev, or data.dev_share.",
        )
    return task.select_by, {name: corpus.fingerprint(name) for name in SPLITS}


@dataclass
class _Trainer:
    """Trains the trials that this process claims."""

    study: Study
    score: str
    device: str
    clock: _Clock
    progress: Progress | None
    event: Callable[[Event], object]
    steps: int | None = None

    def run(self, claim: Claim) -> Trial:
        """Train one trial, and write down how it ended.

        Raises:
            UserError: a failed write (74), after which the trial counts as stopped.
        """
        began, self.steps = time.monotonic(), None

        def end(state: State, score: float | None = None, reason: str = "") -> Trial:
            if state != "complete":
                self.study.remove(claim.number)
            minutes = round((time.monotonic() - began) / 60, 3)
            return claim.end(state, score, reason=reason, steps=self.steps, minutes=minutes)

        try:
            return end("complete", self._fit(claim))
        except _Hopeless:
            return end("pruned")
        except UserError as error:
            if error.code in SIGNALS:
                return end("stopped", reason="the time was over" if self.clock.signal is None else "interrupted")
            if error.code == ExitCode.IO:
                end("stopped", reason=error.message)
                raise
            return end("failed", reason=error.message)
        except Exception as error:
            if is_out_of_memory(error):
                return end("failed", reason="out of memory")
            end("failed", reason=f"{type(error).__name__}: {error}")
            raise

    def _fit(self, claim: Claim) -> float:
        store, evaluations = Store(self.study.trial_folder(claim.number)), 0
        for event in train(
            self.study.space.recipe(claim.values),
            store,
            device=self.device,
            should_stop=self.clock,
            progress=self.progress,
            splits=SPLITS,
        ):
            self.event(event)
            if isinstance(event, StepEvent):
                self.steps = event.step
            elif isinstance(event, Evaluated):
                evaluations += 1
                if claim.is_hopeless(evaluations, event.scores[self.score]):
                    raise _Hopeless
        (run,) = store.runs()
        score = evaluate_model(Model.load(run, device=self.device), split="dev").scores[self.score]
        if not math.isfinite(score):
            raise UserError(f"its dev {METRICS[self.score].title} is not a number")
        return score
