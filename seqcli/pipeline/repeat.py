"""One recipe trained with several seeds: how far chance alone moves its scores.

A seed decides where the weights begin, in which order examples come and what dropout leaves out. Two trainings that
differ in it alone differ in their scores, and a difference between two models that is no larger says little.
"""

from __future__ import annotations

import math
import os
import signal
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from seqcli.errors import ExitCode, UserError, is_out_of_memory, plural, usage_error
from seqcli.fields.base import Progress
from seqcli.machine import cores
from seqcli.metrics.metric import metric_of
from seqcli.pipeline.events import Event, Finished, Notice
from seqcli.pipeline.origin import Origin
from seqcli.pipeline.prepare import kept_recipe, open_columns
from seqcli.pipeline.settle import settle
from seqcli.pipeline.train import SPLITS, discard, train
from seqcli.recipe.dump import recipe_difference
from seqcli.recipe.load import load_recipe
from seqcli.recipe.paths import move_paths
from seqcli.recipe.schema import Recipe
from seqcli.store.manifest import read_manifest
from seqcli.store.runs import Run, Store
from seqcli.tasks.base import new_task
from seqcli.training.events import StepEvent

if TYPE_CHECKING:
    from multiprocessing.connection import Connection
    from pathlib import Path

STOPS = (ExitCode.INTERRUPTED, ExitCode.TERMINATED)
_SEEDS = 2**63
"""One more than the largest seed of a recipe."""
_THREADS = "OMP_NUM_THREADS"
_PACE = 0.5
"""Seconds between two steps that a process tells of, and between two looks at whether to stop."""


@dataclass(frozen=True)
class Trained:
    """A finished training: its scores called ``score`` on dev and test, None where there is no such split.

    ``best_step`` is None for a model that is not trained in steps.
    """

    model: str
    seed: int
    score: str | None
    dev: float | None
    test: float | None
    best_step: int | None
    minutes: float

    @classmethod
    def of_report(cls, run: str, report: Mapping[str, Any]) -> Trained:
        scores = {split: report[split] for split in ("dev", "test") if split in report}
        name = next((score["name"] for score in scores.values()), None)
        dev, test = (_value(scores.get(split)) for split in ("dev", "test"))
        return cls(run, report["seed"], name, dev, test, report.get("best_step"), report["minutes"])


def _value(score: Mapping[str, Any] | None) -> float | None:
    """The value of a score of a report, where None stands for one that is infinite."""
    return None if score is None else math.inf if score["value"] is None else float(score["value"])


@dataclass(frozen=True)
class Spread:
    """Mean, standard deviation (of a sample; nan for one) and the largest difference of scores."""

    mean: float
    deviation: float
    range: float


@dataclass(frozen=True)
class Series:
    """The trainings that came to their end, by seed; ``stopped`` says why there are fewer than ``seeds``."""

    name: str
    seeds: int
    trained: list[Trained]
    stopped: UserError | None = None

    @property
    def score(self) -> str | None:
        return self.trained[0].score if self.trained else None

    @property
    def best(self) -> Trained | None:
        """The one with the best score on dev, the first of equals; None without a dev split. Test has no say."""
        known = [(one.dev, one) for one in self.trained if one.dev is not None]
        metric = metric_of(self.score or "")
        sign = 1 if metric is not None and metric.better == "lower" else -1
        return min(known, key=lambda pair: sign * pair[0], default=(0.0, None))[1]

    def spread(self, split: str) -> Spread | None:
        """How the scores on ``dev`` or ``test`` are spread; None without such scores."""
        return spread(self.trained, split)


def spread(trained: Sequence[Trained], split: str) -> Spread | None:
    values = [value for one in trained if (value := getattr(one, split)) is not None]
    if not values:
        return None
    if not all(map(math.isfinite, values)):
        return Spread(math.inf, math.nan, math.inf)
    deviation = float(np.std(values, ddof=1)) if len(values) > 1 else math.nan
    return Spread(float(np.mean(values)), deviation, max(values) - min(values))


def repeat(
    recipe: Recipe,
    seeds: int,
    store: Store,
    *,
    source: str,
    jobs: int = 1,
    resume: bool = False,
    device: str = "auto",
    origin: Run | None = None,
    should_stop: Callable[[], ExitCode | None] = lambda: None,
    progress: Progress | None = None,
    show: Callable[[Trained], object] = lambda one: None,
    event: Callable[[int, Event], object] = lambda seed, event: None,
) -> Series:
    """Train ``recipe`` with ``seeds`` seeds that count up from its own, into a version each.

    Each training is the one that `train` makes of the recipe with that seed, bit for bit where the threads are as many:
    by default one follows the other, with all threads; of ``jobs`` at once each is a process with its share of them.

    Args:
        source: what the user typed for the recipe, for the command that goes on.
        resume: train only what is missing of the series, unfinished trainings from where they are.
        origin: see `train`.
        should_stop: asked after each step; an exit code means save and stop.
        show, event: told of each training that is over, and of what a seed's training tells on its way.

    Raises:
        UserError: more jobs than cores, nothing to go on with (2); what `train` raises, with what is done before.
    """
    if jobs > cores():
        raise usage_error(
            f"--jobs: {jobs} trainings at once, and {plural(cores(), 'core')}", hint="Each needs one of its own."
        )
    if recipe.training.seed + seeds > _SEEDS:
        raise usage_error(
            f"training.seed: {plural(seeds, 'seed')} from {recipe.training.seed:,} end above {_SEEDS - 1:,}"
        )
    settled = settle(recipe, progress)
    first = settled.recipe.training.seed
    for note in settled.notes:
        event(first, Notice(note, is_warning=False))
    recipes = [_with_seed(settled.recipe, first + number) for number in range(seeds)]
    trained: list[Trained] = []
    todo: list[tuple[Recipe, Run | None]] = []
    there = [(run, _asked(run)) for run in reversed(store.versions(recipe.name))] if resume else []
    for one in recipes:
        run = _newest_of(one, there, origin)
        if run is not None and run.finished:
            trained.append(Trained.of_report(str(run), run.report()))
        else:
            todo.append((one, run))
    if resume and not trained and not any(run for _, run in todo):
        raise usage_error(
            f"no training of '{recipe.name}' with these seeds in {store.root}", hint="Leave --resume out to start."
        )

    def over(finished: Finished) -> None:
        trained.append(Trained.of_report(finished.run, finished.report))
        show(trained[-1])

    work = _Work(todo, store, device, source, origin, should_stop, event, over)
    stopped = None
    try:
        if jobs == 1:
            _in_turn(work, progress)
        elif todo:  # a single one too has its share of the threads: with more it would be another model
            _side_by_side(work, jobs, progress)
    except UserError as error:
        if trained or error.code in STOPS:
            error.message += (
                f"; {len(trained)} of {plural(seeds, 'training')} {'is' if len(trained) == 1 else 'are'} done"
            )
            error.hint = error.hint or f"Go on with: seqcli train {source} --resume"
        if error.code not in STOPS:
            raise
        stopped = error
    return Series(recipe.name, seeds, sorted(trained, key=lambda one: one.seed), stopped)


@dataclass(frozen=True)
class _Work:
    """What is to be trained, each with the version to go on with if there is one, and whom to tell."""

    todo: list[tuple[Recipe, Run | None]]
    store: Store
    device: str
    source: str
    origin: Run | None
    should_stop: Callable[[], ExitCode | None]
    event: Callable[[int, Event], object]
    over: Callable[[Finished], object]


def _in_turn(work: _Work, progress: Progress | None) -> None:
    for number, (recipe, run) in enumerate(work.todo):
        if number and (code := work.should_stop()) is not None:
            raise UserError("stopped", code=code)
        for event in train(
            recipe,
            work.store,
            resume=run is not None,
            into=run,
            device=work.device,
            source=work.source,
            origin=work.origin,
            should_stop=work.should_stop,
            progress=progress,
        ):
            work.event(recipe.training.seed, event)
        assert isinstance(event, Finished)
        work.over(event)


# -- several at once


@dataclass
class _Worker:
    """A process that trains with one seed, and how it ended."""

    seed: int
    run: Run
    process: Any
    connection: Connection
    ended: Finished | Exception | None = None


def _side_by_side(work: _Work, jobs: int, progress: Progress | None) -> None:
    """Up to ``jobs`` trainings at a time; a stop or an error lets those that run save and end, and starts no more."""
    from multiprocessing.connection import wait

    task = new_task(work.todo[0][0])
    if work.origin is not None:
        Origin.open(work.origin).lend_to(task)
    open_columns(task.recipe, task, SPLITS, progress)  # downloaded and encoded once, not by each
    waiting, running = deque(work.todo), list[_Worker]()
    ended: list[Exception] = []
    code: ExitCode | None = None
    try:
        while waiting or running:
            while waiting and len(running) < jobs:
                running.append(_start(*waiting.popleft(), work, jobs))
            for connection in wait([worker.connection for worker in running], _PACE):
                worker = next(one for one in running if one.connection is connection)
                if _hear(worker, work):
                    continue
                running.remove(worker)
                if isinstance(worker.ended, Finished):
                    work.over(worker.ended)
                else:
                    ended.append(worker.ended or _killed(worker, work.source))
            asked = work.should_stop() or (ExitCode.INTERRUPTED if ended else None)
            if asked is not None and code is None:
                code = asked
                waiting.clear()
                for worker in running:
                    with suppress(OSError):  # it has ended
                        worker.connection.send(code)
    finally:
        for worker in running:
            worker.process.kill()
            _join(worker)
    if ended:
        raise _as_one(ended)
    if code is not None:
        raise UserError("stopped", code=code)


def _start(recipe: Recipe, run: Run | None, work: _Work, jobs: int) -> _Worker:
    from multiprocessing import get_context

    into = run or work.store.create(recipe.name)
    context = get_context("spawn")  # torch's threads do not outlive a fork
    ours, theirs = context.Pipe()
    process = context.Process(
        target=_train_apart,
        args=(theirs, recipe, work.store.root, into, run is not None, work.device, work.source, work.origin),
    )
    with _set(_THREADS, str(_share(jobs))):
        process.start()
    theirs.close()  # so that its end is heard
    return _Worker(recipe.training.seed, into, process, ours)


def _share(jobs: int) -> int:
    """Threads of each of so many trainings."""
    given = os.environ.get(_THREADS, "")
    return max(1, (int(given) if given.isdecimal() else cores()) // jobs)


@contextmanager
def _set(name: str, value: str) -> Iterator[None]:
    before = os.environ.get(name)
    os.environ[name] = value
    try:
        yield
    finally:
        os.environ.pop(name)
        if before is not None:
            os.environ[name] = before


def _train_apart(
    connection: Connection,
    recipe: Recipe,
    root: Path,
    into: Run,
    resume: bool,
    device: str,
    source: str,
    origin: Run | None,
) -> None:
    """The work of a process: it sends events, at last a Finished or an error, and gets an exit code when it shall stop."""
    for number in (signal.SIGINT, signal.SIGTERM):  # which reach whoever started it too, who then says so
        signal.signal(number, signal.SIG_IGN)
    code: ExitCode | None = None

    def should_stop() -> ExitCode | None:
        nonlocal code
        try:
            if code is None and connection.poll():
                code = connection.recv()
        except (EOFError, OSError):  # whoever started it is gone
            code = ExitCode.TERMINATED
        return code

    told = 0.0
    try:
        for event in train(
            recipe,
            Store(root),
            resume=resume,
            into=into,
            device=device,
            source=source,
            origin=origin,
            should_stop=should_stop,
        ):
            if isinstance(event, StepEvent):
                if time.monotonic() - told < _PACE:
                    continue
                told = time.monotonic()
            with suppress(OSError):
                connection.send(event)
    except Exception as error:
        with suppress(OSError):
            connection.send(_plain(error))


def _plain(error: Exception) -> Exception:
    """An error that can be sent to another process."""
    if isinstance(error, UserError):
        return UserError(
            error.message, file=error.file, line=error.line, column=error.column, hint=error.hint, code=error.code
        )
    text = f"{type(error).__name__}: {error}"
    return MemoryError(text) if is_out_of_memory(error) else RuntimeError(text)


def _hear(worker: _Worker, work: _Work) -> bool:
    """Take one message of a process; False when it has ended."""
    try:
        message = worker.connection.recv()
    except (EOFError, OSError):
        _join(worker)
        return False
    if isinstance(message, Finished | Exception):
        worker.ended = message
    if not isinstance(message, Exception):
        work.event(worker.seed, message)
    return True


def _join(worker: _Worker) -> None:
    worker.process.join()
    if not worker.run.recipe_path.is_file():  # it ended before it began
        discard(worker.run)


def _killed(worker: _Worker, source: str) -> UserError:
    code = worker.process.exitcode
    how = f"was killed by signal {-code}" if code < 0 else f"ended with exit code {code}"
    return UserError(
        f"the process that trained {worker.run} (seed {worker.seed}) {how}",
        hint=f"Go on with: seqcli train {source} --resume",
    )


def _as_one(errors: Sequence[Exception]) -> Exception:
    """The error to raise for those of several trainings: one that is no stop goes first, with what the others saved."""
    faults = [error for error in errors if not isinstance(error, UserError) or error.code not in STOPS]
    first = (faults or errors)[0]
    if isinstance(first, UserError):
        others = [error.message for error in errors if error is not first and isinstance(error, UserError)]
        first.message = "; ".join([first.message, *dict.fromkeys(others)])
    return first


# -- what else was trained so


@dataclass(frozen=True)
class SeedSpread:
    """How far the versions of a model that differ in their seed differ in a score, and whether a difference is larger."""

    name: str
    versions: int
    split: str
    score: str
    range: float
    deviation: float
    difference: float

    @property
    def inside(self) -> bool:
        return abs(self.difference) <= self.range + 1e-9  # both are differences of rounded numbers


def seed_spread(run: Run, score: str, split: str, difference: float) -> SeedSpread | None:
    """The spread of the seeds of a model to hold a difference against.

    Args:
        score: its name in reports (``F1``).
        split: dev or test; the other one where reports have no such scores.

    Returns:
        None where fewer than two versions are known to differ in their seed alone, or were measured by that score.
    """
    trained = [one for one in seeds_of(run) if one.score == score]
    for name in (split, "test", "dev"):
        found = spread(trained, name) if name in ("dev", "test") else None
        if found is not None and math.isfinite(found.deviation):
            return SeedSpread(run.name, len(trained), name, score, found.range, found.deviation, difference)
    return None


def seeds_of(run: Run) -> list[Trained]:
    """The finished versions beside a run, itself among them, whose recipe differs in nothing but ``training.seed``.

    By seed, each once: the same seed gives the same model. The data files are taken to be what they were.
    """
    mine = _asked(run)
    if mine is None or run.version is None:
        return []
    found: dict[int, Trained] = {}
    for other in (*Store(run.path.parent.parent).versions(run.name), run):
        theirs = _asked(other) if other.finished else None
        if theirs is not None and _alike(theirs, mine) and _start_of(other) == _start_of(run):
            found[theirs.training.seed] = Trained.of_report(str(other), other.report())
    return [found[seed] for seed in sorted(found)]


def _newest_of(recipe: Recipe, there: Sequence[tuple[Run, Recipe | None]], origin: Run | None) -> Run | None:
    """The first finished version of just this recipe, seed and all, else the first unfinished one."""
    begins = None if origin is None else read_manifest(origin.path).files[origin.weights_path.name].sha256
    unfinished = None
    for run, theirs in there:
        if theirs is None or run.missing is not None or theirs.training.seed != recipe.training.seed:
            continue
        wanted = _placed(kept_recipe(recipe, run.path), run, run.path)
        if not _alike(theirs, wanted) or _start_of(run) != begins:
            continue
        if run.finished:
            return run
        unfinished = unfinished or run
    return unfinished


def _alike(one: Recipe, other: Recipe) -> bool:
    return not recipe_difference(_with_seed(one, 0), _with_seed(other, 0))


def _with_seed(recipe: Recipe, seed: int) -> Recipe:
    return recipe.model_copy(update={"training": recipe.training.model_copy(update={"seed": seed})})


def _asked(run: Run) -> Recipe | None:
    """The recipe of a run as it was before it was adapted to little data; None where there is none to read."""
    try:
        if not run.recipe_path.is_file():
            return None
        recipe = load_recipe(run.recipe_path, _before(run.environment().get("adapted", {}))).recipe
    except UserError:
        return None
    return _placed(recipe, run, os.curdir)


def _before(adapted: Mapping[str, int | None]) -> list[str]:
    return [f"training.{name}={'null' if value is None else value}" for name, value in adapted.items()]


def _placed(recipe: Recipe, run: Run, base: str | Path) -> Recipe:
    """The recipe with paths that are the same in every version: absolute, and names alone of the run's own files."""
    own = os.path.abspath(run.path)

    def move(path: str) -> str:
        full = os.path.abspath(os.path.join(base, path))
        return os.path.basename(full) if os.path.dirname(full) == own else full

    return move_paths(recipe, move)


def _start_of(run: Run) -> str | None:
    """SHA-256 of the weights that a training started from (``--from``)."""
    try:
        start = run.environment().get("from", {}).get("sha256")
    except UserError:
        return None
    return None if start is None else str(start)
