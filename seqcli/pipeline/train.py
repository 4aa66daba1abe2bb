"""Training a recipe: prepare, make the model, measure it, and leave a run that is enough on its own."""

from __future__ import annotations

import math
import shutil
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import nullcontext, suppress
from typing import Any

import numpy as np

from seqcli.data.oddities import oddities
from seqcli.errors import ExitCode, UserError, plural, usage_error
from seqcli.fields.base import Progress
from seqcli.fields.text import RunningTextField
from seqcli.files import atomic_write, atomic_write_text
from seqcli.machine import peak_memory_mb
from seqcli.metrics.paired import apart, briefly
from seqcli.metrics.score import Score
from seqcli.pipeline.estimators import CountsEstimator, Estimator, GradientEstimator, Job
from seqcli.pipeline.events import Event, Finished, Notice
from seqcli.pipeline.export import export
from seqcli.pipeline.origin import Origin
from seqcli.pipeline.prepare import open_columns
from seqcli.pipeline.settle import settle
from seqcli.pipeline.verdict import verdict
from seqcli.recipe import registry
from seqcli.recipe.schema import Recipe
from seqcli.store.runs import BESIDE_FILE, Run, Store, report_text
from seqcli.store.weights import save_arrays
from seqcli.tasks.base import Data, Engine, Measured, Task, new_task
from seqcli.tasks.mixture import SHARES, Mixture, best_shares
from seqcli.training.distributed import ALONE, World

SPLITS = ("train", "dev", "test")


def train(
    recipe: Recipe,
    store: Store,
    *,
    resume: bool = False,
    into: Run | None = None,
    device: str = "auto",
    source: str | None = None,
    origin: Run | None = None,
    should_stop: Callable[[], ExitCode | None] = lambda: None,
    progress: Progress | None = None,
    world: World = ALONE,
    train_scores: bool = False,
    splits: tuple[str, ...] = SPLITS,
) -> Iterator[Event]:
    """Train ``recipe`` into a new run of ``store`` (or go on with its newest unfinished one), yielding events.

    Args:
        into: the version to train into or, with ``resume``, to go on with, in place of those.
        source: what the user typed for the recipe, for the resume command (default: the recipe that the run keeps).
        origin: a finished run, whose vocabulary and weights this training starts from as far as they fit.
        should_stop: asked after each step; an exit code means save and stop.
        progress: told about downloads and encoding.
        world: the processes that train together, each by this function; the first of them alone yields events.
        train_scores: measure the training split too wherever dev is, which takes its time.
        splits: no other split is read or measured.

    Raises:
        UserError: bad data (65); a run that is in use, a resume or a start that does not fit (2); a failed write (74);
            a loss that is not a number (1).
        Interrupted: ``should_stop`` said so, and everything is saved.
    """
    settled = world.in_turn(lambda: settle(recipe, progress))
    recipe = settled.recipe
    task = new_task(recipe)
    opened = None if origin is None else Origin.open(origin)
    if opened is not None:
        opened.lend_to(task)
    run = into
    if resume and world.rank == 0:
        run = into or store.newest_unfinished(recipe.name)
        if run is None:
            raise usage_error(
                f"no unfinished training of '{recipe.name}' in {store.root}", hint="Leave --resume out to start one."
            )
        _check_origin(run, opened)
    elif world.rank == 0:
        with store.staging(recipe.name):  # a folder that cannot be written is found before any work
            pass
    columns = world.in_turn(lambda: open_columns(recipe, task, splits, progress))
    if run is None and world.rank == 0:
        run = store.create(recipe.name)
    run = world.broadcast(run)
    assert run is not None
    typed = source or run.arguments
    job = Job(recipe, task, columns, run, device, typed, opened, should_stop, progress, world, train_scores)
    if world.rank == 0:
        yield from (Notice(note, is_warning=False) for note in settled.notes)
    with run.lock() if world.rank == 0 else nullcontext():
        events = _train(job, resume)
        if world.rank == 0:
            yield from events
        else:
            for _ in events:
                pass


def _train(job: Job, resume: bool) -> Iterator[Event]:
    begun = False
    try:
        estimator: Estimator = (GradientEstimator if job.task.is_network else CountsEstimator)(job)
        begun = isinstance(estimator, GradientEstimator)  # whose checkpoints are worth keeping
        yield from data_notices(job.task, estimator.data)
        yield from estimator.fit(resume=resume)
        if job.world.rank == 0:
            yield from _finish(job, estimator)
    except BaseException as error:
        if not begun and not resume and job.world.rank == 0:
            discard(job.run)
        elif isinstance(error, UserError) and error.code == ExitCode.IO and error.hint is None:
            error.hint = f"When it can be written, go on with: seqcli train {job.source} --resume"
        raise


def _check_origin(run: Run, origin: Origin | None) -> None:
    """Refuse to go on with a training that started from something else: its vocabulary is not in the data alone."""
    then = run.environment().get("from", {})
    if then.get("sha256") == (origin and origin.sha256):
        return
    if not then:
        raise usage_error(f"cannot resume {run}: it did not start from a model", hint="Leave --from out.")
    began = f"it started from {then.get('model')}" + (f", not from these weights of {origin.run}" if origin else "")
    raise usage_error(f"cannot resume {run}: {began}", hint=f"Say --from {then.get('model')}, the same as then.")


def data_notices(task: Task[Any], data: Mapping[str, Data]) -> Iterator[Notice]:
    """What is odd about the splits: sequences that are cut, labels never seen, files beside another corpus."""
    notes = [note for field in task.fields.values() for note in field.notes()]
    notes += [note for split in data.values() for note in split.columns.notes]
    yield from (Notice(note, is_warning=False) for note in dict.fromkeys(notes))
    for name, split in data.items():
        if split.columns.cut:
            yield Notice(cut_sequences(split.columns.cut, task, task.too_long[0], f"{name} "))
        for odd in oddities(labelled) if (labelled := task.labelled(split)) else ():
            if name == "train" or odd.kind == "header":  # dev_share may have put the first line into dev
                yield Notice(f"{odd.at}: {odd.message}")
        if unknown := unknown_words(task, split):
            yield Notice(f"{name} spells the unknown word out {unknown:,} times: it is read as <UNK>", is_warning=False)
        yield from (Notice(text, is_warning=False) for text in task.notices(name, split))
        if unseen := task.unseen(split):
            yield Notice(unseen_labels(f"labels in {name} that the training data lacks", unseen, task))
    config = task.recipe.data
    own = [name for name in data if dict(config)[name]]
    others = [name for name in data if name not in own]
    if own and others and config.corpus is not None:
        yield Notice(
            f"{' and '.join(own)} from your files, but {' and '.join(others)} from {config.corpus} "
            f"(set data.{others[0]} too, or data.corpus=null)"
        )


def unknown_words(task: Task[Any], data: Data) -> int:
    """How often the text of a language model has ``<unk>``, as prepared corpora write a rare word."""
    if not isinstance(task.source, RunningTextField):
        return 0
    column = data.columns["source"]
    return sum(
        int(count) for token, count in zip(column.symbols, column.counts, strict=True) if token.casefold() == "<unk>"
    )


def cut_sequences(count: int, task: Task[Any], what_became: str, split: str = "") -> str:
    """Say what became of sequences over the limit."""
    are, were = ("is", "was") if count == 1 else ("are", "were")
    return f"{plural(count, f'{split}sequence')} {are} longer than data.max_length = {task.max_length} {task.source.unit} and {were} {what_became}"


def unseen_labels(what: str, unseen: list[str], task: Task[Any]) -> str:
    """Say that a model cannot predict some labels, in the scheme it learns in where that is not the data's."""
    learned = f" ({task.learned})" if task.learned else ""
    names = [label if len(label) <= 40 else f"{label[:40]}..." for label in sorted(unseen)[:20]]
    more = f" and {len(unseen) - 20:,} more" if len(unseen) > 20 else ""
    return f"{what}, so that it cannot be right on them{learned}: {', '.join(names)}{more}"


def _finish(job: Job, estimator: Estimator) -> Iterator[Event]:
    """Write the graph, measure dev and test with the engine that will be used, write the report, seal the run."""
    task, run, data = job.task, job.run, estimator.data
    network = estimator.network()
    files = list(estimator.files)
    about_engine: dict[str, Any] = {}
    engine = estimator.engine()
    if network is not None:
        exported = export(task, network, run.weights_path, data)
        if not exported.files:
            yield Notice(f"{exported.report['refused']}, so the network itself will be run, which is slower")
        if faster := exported.report.get("faster"):
            yield Notice(faster, is_warning=False)
        engine, about_engine = exported.engine, {"engine": exported.report}
        for name, graph in exported.files.items():
            with atomic_write(run.path / name) as handle:
                handle.write(graph)
        files += exported.files
    if counts := task.beside():
        engine, about_engine["beside"] = _with_beside(job, engine, counts, data)
        files.append(BESIDE_FILE)
    names: list[str] = [name for name in ("dev", "test") if name in data and task.score_names]
    measured: dict[str, Measured[Any]] = {name: task.measure(engine, data[name]) for name in names}
    scores: dict[str, Any] = {name: one.scorer.score().as_json() for name, one in measured.items()}
    if "beside" in about_engine:
        dev = measured["dev"].scorer.score() if "dev" in measured else None
        yield Notice(_shares(about_engine["beside"], dev), is_warning=False)
    baselines = [_compared(title, other, job, measured) for title, other in task.baselines(data)]
    report = {
        "name": run.name,
        "version": run.version,
        "task": task.kind,
        "select_by": task.select_by,
        "input": task.source.unit,
        **scores,
        **estimator.report(),
        **about_engine,
        **({"baselines": baselines} if baselines else {}),
        "peak_memory_mb": peak_memory_mb(),
        "seed": job.recipe.training.seed,
        **({"from": job.origin.record} if job.origin is not None else {}),
        "finished_at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
    }
    yield from verdict(report)
    atomic_write_text(run.report_path, report_text(report))
    run.seal(["recipe.yaml", "model.safetensors", "report.json", "environment.json", *files])
    shutil.rmtree(run.checkpoints, ignore_errors=True)
    yield Finished(str(run), str(run.path), report)


def _with_beside(
    job: Job, network: Engine, others: Sequence[Task[Any]], data: Mapping[str, Data]
) -> tuple[Engine, list[dict[str, Any]]]:
    """The network and what is fitted beside it as one, written to the run; and what the report says of each.

    Without a dev split all have the same share.
    """
    engines, arrays = [network], dict[str, Any]()
    for number, task in enumerate(others):
        own = task.fit_counts(task.data(job.columns["train"]), lambda done, total: None)
        engines.append(task.counts_engine(own))
        arrays |= {f"{number}.{name}": array for name, array in own.items()}
    shares, losses = [1 / len(engines)] * len(engines), list[float]()
    if "dev" in data:
        log_probs = [job.task.target_log_probs(one, data["dev"]) for one in engines]
        shares, losses = best_shares(log_probs), [-float(one.mean()) for one in log_probs if len(one)]
    save_arrays(job.run.beside_path, {**arrays, SHARES: np.array(shares)})
    configs = [one.recipe.model for one in others]
    titles = ["network", *(registry.implementation("beside", one.kind).title(one) for one in configs)]
    about: list[dict[str, Any]] = [
        {"model": title, "share": share} for title, share in zip(titles, shares, strict=True)
    ]
    for one, loss in zip(about, losses, strict=False):
        if math.isfinite(loss):  # a label that training lacks has no probability
            one["dev_loss"] = loss
    return Mixture(network, engines[1:], shares), about


def _shares(about: Sequence[Mapping[str, Any]], dev: Score | None) -> str:
    """What each model of a mixture counts, and how good they are together."""
    shares = ", ".join(f"{one['model']} {one['share']:.2f}" for one in about)
    if dev is None:
        return f"shares: {shares}"
    return f"shares of least loss on dev: {shares}; together dev {dev.name} {dev.value:.2f}"


def _compared(title: str, other: Task[Any], job: Job, measured: Mapping[str, Measured[Any]]) -> dict[str, Any]:
    """A baseline's score on the splits measured, and how the model compares with it: example by example where that can be."""
    other.fit(job.columns["train"])
    arrays = other.fit_counts(other.data(job.columns["train"]), lambda done, total: None)
    engine = other.counts_engine(arrays)
    section = other.recipe.model.model_dump(mode="json", exclude_defaults=True)
    entry: dict[str, Any] = {"model": title, "section": {"kind": other.recipe.model.kind, **section}}
    for name, mine in measured.items():
        theirs = other.measure(engine, other.data(job.columns[name]))
        entry[name] = theirs.scorer.score().as_json()
        # of series nothing can be said of chance, since their windows overlap
        if paired := mine.paired(theirs) or apart(mine.scorer.score(), theirs.scorer.score()):
            entry[name]["paired"] = briefly(title, paired)
    return entry


def discard(run: Run) -> None:
    """Take a new run's folder away: its training failed before the first step, and nothing in it is of use."""
    shutil.rmtree(run.path, ignore_errors=True)
    with suppress(OSError):  # goes only when it is empty
        run.path.parent.rmdir()
