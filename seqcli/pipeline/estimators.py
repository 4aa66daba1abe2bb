"""What makes a model of data: gradients, or counts. One of them leaves the weights of a run; `train` does the rest."""

from __future__ import annotations

import json
import math
import os
import time
from collections.abc import Callable, Generator, Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from seqcli.data.arrays import Columns
from seqcli.errors import ExitCode, UserError, usage_error
from seqcli.fields.base import Progress
from seqcli.files import atomic_write_text, cannot_write
from seqcli.metrics.metric import METRICS
from seqcli.metrics.score import for_json
from seqcli.pipeline.adapt import ADAPTED, adapt, adapted_values
from seqcli.pipeline.environment import environment
from seqcli.pipeline.events import Evaluated, Event, Notice, Prepared, Started
from seqcli.pipeline.origin import Origin
from seqcli.pipeline.prepare import kept_recipe
from seqcli.recipe.dump import dump_recipe, recipe_difference
from seqcli.recipe.load import load_recipe
from seqcli.recipe.paths import move_paths
from seqcli.recipe.schema import Recipe
from seqcli.store.runs import Run
from seqcli.store.weights import save_arrays
from seqcli.tasks.base import Data, Engine, Task
from seqcli.tasks.word_vectors import idle_options
from seqcli.training.distributed import PeerLost, World
from seqcli.training.events import StepEvent

if TYPE_CHECKING:
    from seqcli.models.network import Network
    from seqcli.training.checkpoint import Checkpoint

SAVE_MINUTES = 10.0
"""Longest time without a checkpoint."""

LARGE_STATE = 256.0
"""A carried cell state beyond this has been seen to come before a divergence."""

StopRequest = Callable[[], ExitCode | None]


class Interrupted(UserError):
    """Training stopped by a signal after saving; ``code`` is the signal's exit code."""

    def __init__(self, run: Run, step: int, code: ExitCode, recipe: str) -> None:
        super().__init__(
            f"stopped after step {step}, saved in {run.path}",
            code=code,
            hint=f"Go on with: seqcli train {recipe} --resume",
        )


@dataclass(frozen=True)
class Job:
    """One training: what is trained, on what, and where it goes.

    Attributes:
        source: what the user typed for the recipe, for the resume command.
        origin: the model that training starts from, lent to the task already.
        should_stop: asked now and then; an exit code means save and stop.
        world: the processes that train together; the first alone writes.
        train_scores: measure the training split too, wherever dev is.
    """

    recipe: Recipe
    task: Task[Any]
    columns: Mapping[str, Columns]
    run: Run
    device: str
    source: str
    origin: Origin | None
    should_stop: StopRequest
    progress: Progress | None
    world: World
    train_scores: bool = False


class Estimator(Protocol):
    """Makes the weights of a run."""

    def __init__(self, job: Job) -> None:
        """Fit the task to the training split, build what is needed, write what prediction will read."""

    def fit(self, *, resume: bool) -> Iterator[Event]:
        """Make the weights and leave them in the run."""

    def engine(self) -> Engine:
        """The model that was made, as it was trained."""

    def network(self) -> Network | None:
        """The network behind it, to be written as a graph; None where there is none."""

    def report(self) -> dict[str, Any]:
        """What the report says of the making: minutes, steps, parameters, device."""

    @property
    def files(self) -> list[str]:
        """Names of the files that prediction needs."""

    @property
    def data(self) -> dict[str, Data]:
        """The splits as batches."""


def _prepared(job: Job, data: Mapping[str, Data], **more: Any) -> Prepared:
    splits = {name: job.task.extent(one) for name, one in data.items()}
    summary = job.task.summary()
    return Prepared(job.recipe, str(job.run), str(job.run.path), splits, job.task.source.unit, summary, **more)


def _write_settings(job: Job, **compute: Any) -> list[str]:
    """Write recipe, vocabularies and environment, so that a folder that cannot be written is found at once."""
    run, remarks = job.run, {}
    if run.recipe_path.exists():  # of the training that is resumed
        _check_recipe(run, job.recipe)
    if job.origin is not None:
        compute["from"] = job.origin.record
        remarks["name"] = "started from {model}, weights {sha256}".format(**job.origin.record)
    made_with = environment(job.recipe.training.seed, **compute)
    atomic_write_text(run.environment_path, json.dumps(made_with, indent=2) + "\n")
    atomic_write_text(run.recipe_path, dump_recipe(kept_recipe(job.recipe, run.path), remarks))
    return job.task.save(run.path)


def _check_recipe(run: Run, recipe: Recipe) -> None:
    """Refuse to go on with another recipe than the training began with."""
    old, new = (
        move_paths(kept_recipe(one, run.path), lambda path: os.path.abspath(run.path / path))
        for one in (load_recipe(run.recipe_path).recipe, recipe)
    )
    if differences := recipe_difference(old, new):
        adapted = all(
            difference.startswith(tuple(f"training.{name}:" for name in ADAPTED)) for difference in differences
        )
        raise usage_error(
            f"cannot resume {run}: the recipe changed{', or the size of the data' if adapted else ''}: "
            f"{'; '.join(differences)}",
            hint="Undo the change, or start a new training without --resume.",
        )


class CountsEstimator:
    """A model that is counted or fitted in one go: there are no steps to save between, what ends early leaves nothing."""

    USED = ("seed", "select_by", "epochs")

    def __init__(self, job: Job) -> None:
        if job.world.size > 1:
            raise usage_error(
                "this model is not trained in steps, so one process trains it", hint="Leave torchrun out."
            )
        self.job, self.began = job, time.monotonic()
        job.task.fit(job.columns["train"])
        self.data = {name: job.task.data(columns) for name, columns in job.columns.items()}
        self.files = _write_settings(job, device="cpu", precision="fp32")
        self.arrays: dict[str, Any] = {}

    def fit(self, *, resume: bool) -> Iterator[Event]:
        job = self.job
        yield _prepared(job, self.data)
        if idle := idle_options(job.recipe, self.USED):
            named = ", ".join(f"training.{name}" for name in idle)
            yield Notice(f"nothing here is trained in steps, so these have no effect: {named}")
        self.arrays = job.task.fit_counts(self.data["train"], self._progress)
        save_arrays(job.run.weights_path, self.arrays)

    def _progress(self, done: int, total: int) -> None:
        if (code := self.job.should_stop()) is not None:
            raise UserError("stopped; a model that is fitted in one go leaves nothing to go on from", code=code)
        if self.job.progress is not None:
            self.job.progress(f"fitting {self.job.recipe.name}", done, total)

    def engine(self) -> Engine:
        return self.job.task.counts_engine(self.arrays, self.job.run.weights_path)

    def network(self) -> None:
        return None

    def report(self) -> dict[str, Any]:
        parameters = sum(array.size for array in self.arrays.values())
        minutes = (time.monotonic() - self.began) / 60
        return {"minutes": round(minutes, 3), "parameters": parameters, "device": "cpu", "precision": "fp32"}


@dataclass
class Progressing:
    """What a training knows beyond the trainer: kept in every checkpoint.

    ``averaged``: score (higher is better) and step of those whose weights will be averaged, as it stands now.
    """

    best_score: float | None = None
    best_step: int = 0
    best_scores: dict[str, float] = field(default_factory=dict)
    first_score: float | None = None
    moved: bool = False
    waited: int = 0
    evaluations: int = 0
    averaged: list[tuple[float, int]] = field(default_factory=list)
    minutes: float = 0.0
    stopped: bool = False


class GradientEstimator:
    """A network trained by gradients, with checkpoints on the way."""

    def __init__(self, job: Job) -> None:
        from seqcli.models.device import choose_device, compute_environment, seeded
        from seqcli.training.loop import Trainer
        from seqcli.training.memory import check_size

        self.job, self.run, self.world = job, job.run, job.world
        self.recipe, self.task = job.recipe, job.task
        self.fingerprint = {name: columns.folder.name for name, columns in job.columns.items()}
        self._check_alike()
        self.task.fit(job.columns["train"])
        self.device = choose_device(job.device)
        check_size(self.task.network, self.recipe.training, self.device)
        weights = job.origin.weights() if job.origin is not None and self.world.rank == 0 else None
        self._network = seeded(self.recipe.training.seed, self.task.network)
        self.started: Started | None = None
        if job.origin is not None and weights is not None:
            self.started = job.origin.give(weights, self._network, self.task)
        self.data = {name: self.task.data(columns) for name, columns in job.columns.items()}
        self.recipe, self.changes = adapt(job.recipe, self.data["train"])
        self.job = replace(job, recipe=self.recipe)
        self.trainer = Trainer(self._network, self.data["train"], self.recipe.training, self.device, self.world)
        self.progress = Progressing()
        self.average: dict[str, Any] | None = None
        self.resumed = 0
        self.warned = False
        self._check_select_by()
        self.began = self.saved_at = time.monotonic()
        self.files: list[str] = []
        if self.world.rank == 0:
            self._begin_run()
            compute = compute_environment(self.device, self.trainer.precision)
            if adapted := self._adapted(job.recipe):
                compute["adapted"] = adapted
            self.files = _write_settings(self.job, **compute)

    # -- before the first step

    def _check_alike(self) -> None:
        """Refuse a machine that has other files than the first one."""
        start = self.job.origin.sha256 if self.job.origin is not None else ""
        mine = {"recipe": dump_recipe(self.recipe), "--from": start, **self.fingerprint}
        first = self.world.broadcast(mine)
        if other := [name for name in first if mine.get(name) != first[name]]:
            raise usage_error(
                f"not what the first process trains with: {', '.join(other)}",
                hint="Every machine needs the same files at the same paths.",
            )

    def _begin_run(self) -> None:
        from seqcli.training.checkpoint import sweep

        try:
            self.run.checkpoints.mkdir(exist_ok=True)
        except OSError as error:
            raise cannot_write(self.run.path, error) from error
        sweep(self.run.checkpoints)

    def _adapted(self, asked: Recipe) -> dict[str, int | None]:
        """What was adapted, as the recipe had it: that of the run has it no longer, and may be what is gone on with."""
        before, after = (adapted_values(recipe.training) for recipe in (asked, self.recipe))
        changed = {name: value for name, value in before.items() if value != after[name]}
        return changed or self.run.environment().get("adapted", {})

    def _check_select_by(self) -> None:
        """Refuse a loss that no evaluation will give, since the dev split has labels that training lacks."""
        if "dev" in self.data and self.task.select_by == "loss" and self.task.unseen(self.data["dev"]):
            raise usage_error(
                "training.select_by: there is no dev score 'loss', since dev has labels that the training data lacks",
                hint=f"Scores: {', '.join(name for name in self.task.score_names if name != 'loss')}.",
            )

    def fit(self, *, resume: bool) -> Iterator[Event]:
        if "dev" not in self.data:
            yield Notice("no dev split: the last step is kept, not the best one (set data.dev or data.dev_share)")
            if self.recipe.training.average is not None:
                yield Notice("training.average does nothing: without a dev split no step is evaluated")
        if self.changes:
            yield Notice(
                f"adapted to little data: {', '.join(map(str, self.changes))} "
                "(off: training.batch.per_epoch=0, training.min_steps=0)",
                is_warning=False,
            )
        if resume:
            yield from self._restore()
        yield _prepared(
            self.job,
            self.data,
            parameters=self.parameters,
            device=self.device.type,
            precision=self.trainer.precision,
            total_steps=self.trainer.total_steps,
            resumed=self.resumed,
        )
        if self.started is not None and not self.resumed:
            yield self.started
        try:
            yield from self._steps()
        except PeerLost as error:
            error.message += f"; {self._saved()}"
            error.hint = f"Go on with: seqcli train {self.job.source} --resume"
            raise
        if self.world.rank == 0:
            yield from self._keep_best()

    @property
    def parameters(self) -> int:
        """Trainable numbers of the network."""
        return sum(parameter.numel() for parameter in self._network.parameters() if parameter.requires_grad)

    def _restore(self) -> Iterator[Event]:
        """Take up the newest checkpoint that verifies, and tell about those that do not."""
        from seqcli.training.checkpoint import newest_checkpoint

        bad: list[UserError] = []
        checkpoint = None
        if self.world.rank == 0:
            checkpoint = newest_checkpoint(self.run.checkpoints, bad.append)
        checkpoint = self.world.broadcast(checkpoint)
        for error in bad:
            yield Notice(f"{error}; falling back to the checkpoint before")
        if checkpoint is None:
            yield Notice(f"no checkpoint {'that can be used' if bad else 'yet'}: starting from the beginning")
            self._trim_metrics()
            return
        self._check_data(checkpoint)
        self.trainer.restore(checkpoint.tensors, checkpoint.state["trainer"])
        self.progress = Progressing(**checkpoint.state["progress"])
        self.resumed = self.trainer.step
        self._trim_metrics()

    def _check_data(self, checkpoint: Checkpoint) -> None:
        then = checkpoint.state["data"]
        changed = sorted(name for name in {*then, *self.fingerprint} if then.get(name) != self.fingerprint.get(name))
        if changed:
            raise usage_error(
                f"cannot resume {self.run}: the data changed since ({', '.join(changed)})",
                hint="Restore the files, or start a new training without --resume.",
            )

    def _trim_metrics(self) -> None:
        """Forget what was logged after the checkpoint: those steps are about to be made again."""
        if self.world.rank or not self.run.metrics_path.exists():
            return
        lines = self.run.metrics_path.read_text(encoding="utf-8", errors="replace").split("\n")
        kept = [line for line in lines if 0 < _step_of(line) <= self.resumed]
        atomic_write_text(self.run.metrics_path, "".join(line + "\n" for line in kept))

    # -- the steps

    def _steps(self) -> Iterator[Event]:
        """Steps and evaluations until the recipe's end, patience, time, or a signal."""
        window = _Window()
        if self.progress.stopped:
            return
        (self.trainer.time_share,) = self.world.largest(self._time_share())  # not 0 where a training goes on
        for event in self._trained():
            window.add(event)
            yield event
            due = self._due(event)
            if due:
                yield self._evaluate(event, window)
                yield from self._grown()
                yield from self._ended()
                window = _Window()
            waited = time.monotonic() - self.saved_at
            share = self._time_share()
            code, waited, self.trainer.time_share = self.world.largest(self.job.should_stop() or 0, waited, share)
            if self.progress.stopped:
                return
            if code or (waited > SAVE_MINUTES * 60 and not due):
                self._save()
            if code:
                raise Interrupted(self.run, event.step, ExitCode(int(code)), self.job.source)

    def _trained(self) -> Iterator[StepEvent]:
        """The trainer's steps; an error that ends them says what is kept."""
        try:
            yield from self.trainer.steps()
        except PeerLost:
            raise
        except UserError as error:
            error.message += f"; {self._saved()}"
            raise

    def _saved(self) -> str:
        saved = max((int(path.name[5:13]) for path in self.run.checkpoints.glob("step-*")), default=None)
        return f"{f'step {saved} is saved' if saved else 'nothing was saved yet'} in {self.run.path}"

    def _grown(self) -> Iterator[Notice]:
        """Say when the carried state runs away, which the loss shows too late."""
        largest = self.trainer.largest_state
        if largest > LARGE_STATE and not self.warned:
            self.warned = True
            yield Notice(
                f"the carried state has grown to {largest:,.0f}: lower training.optimizer.lr, or set "
                "model.encoder.forget_bias to 0"
            )

    def _due(self, event: StepEvent) -> bool:
        every = self.recipe.training.evaluate_every
        ends = self.trainer.finished or self.trainer.time_share >= 1
        return ends or (event.epoch_done if every is None else event.step % every == 0)

    def _evaluate(self, event: StepEvent, window: _Window) -> Evaluated:
        """Measure the dev split in the first process, which decides for all what follows."""
        scores: dict[str, float] = {}
        train_scores: dict[str, float] = {}
        improved = True
        if self.world.rank == 0:
            if "dev" in self.data:
                scores = self._measured("dev")
                improved = self._improved(scores)
            if self.job.train_scores:
                train_scores = self._measured("train")
            self._count(event, scores, improved)
        self.progress, improved = self.world.broadcast((self.progress, improved))
        self.trainer.schedule.evaluated(improved)
        evaluated = Evaluated(
            event.step,
            event.epoch + 1,
            scores,
            self.task.select_by,
            improved,
            window.loss,
            window.speed,
            window.norm,
            event.learning_rate,
            self._minutes(),
            train_scores,
        )
        if self.world.rank == 0:
            self._log(evaluated)
        if improved or self.progress.stopped or event.step in self._averaged_steps:
            self._save()
        return evaluated

    def _measured(self, split: str) -> dict[str, float]:
        engine = self._engine(self.trainer.averaged)
        return self.task.measure(engine, self.data[split], quick=True).scorer.scores()

    def _count(self, event: StepEvent, scores: dict[str, float], improved: bool) -> None:
        progress = self.progress
        progress.evaluations += 1
        if (count := self.recipe.training.average) is not None and scores:
            measured = [*progress.averaged, (self._goodness(scores), event.step)]
            if self.recipe.training.average_of == "best":
                measured.sort(key=lambda one: one[0])  # of equal ones the later
            progress.averaged = measured[-count:]
        progress.waited = 0 if improved else progress.waited + 1
        if improved:
            progress.best_step, progress.best_scores = event.step, scores
        progress.stopped = self.trainer.finished or self._out_of_patience or self._time_share() >= 1

    @property
    def _out_of_patience(self) -> bool:
        training, progress = self.recipe.training, self.progress
        return (
            training.patience is not None
            and progress.moved
            and progress.waited >= training.patience
            and self._steps_waited >= training.patience_steps
            and self.trainer.step >= training.min_steps
        )

    @property
    def _steps_waited(self) -> int:
        return self.trainer.step - self.progress.best_step

    def _time_share(self) -> float:
        limit = self.recipe.training.max_minutes
        return self._minutes() / limit if limit is not None else 0.0

    def _ended(self) -> Iterator[Notice]:
        """Say why a training ends before the recipe's epochs and steps are through."""
        if not self.progress.stopped or self.trainer.finished:
            return
        step, best = self.trainer.step, self.progress.best_step
        if self._out_of_patience:
            title = METRICS[self.task.select_by].title
            reason = f"no better {title} in {self.progress.waited} evaluations ({self._steps_waited:,} steps)"
        else:
            reason = f"training.max_minutes = {self.recipe.training.max_minutes:g} are over"
        yield Notice(f"stopped at step {step:,}: {reason}; the best was step {best:,}", is_warning=False)

    def _improved(self, scores: dict[str, float]) -> bool:
        value, progress = self._goodness(scores), self.progress
        if math.isfinite(value):
            progress.first_score = value if progress.first_score is None else progress.first_score
            progress.moved = progress.moved or value != progress.first_score
        if not math.isfinite(value) or (self.progress.best_score is not None and value <= self.progress.best_score):
            return False
        self.progress.best_score = value
        return True

    def _goodness(self, scores: Mapping[str, float]) -> float:
        """The score that decides, so that higher is better."""
        name = self.task.select_by
        return -scores[name] if METRICS[name].better == "lower" else scores[name]

    @property
    def _averaged_steps(self) -> list[int]:
        return [step for _, step in self.progress.averaged]

    def _minutes(self) -> float:
        return self.progress.minutes + (time.monotonic() - self.began) / 60

    def _save(self) -> None:
        """Save a checkpoint in the first process; the others wait until it stands."""
        from seqcli.training.checkpoint import save_checkpoint

        tensors, state = self.trainer.state()
        if self.world.rank == 0:
            progress = {**asdict(self.progress), "minutes": self._minutes()}
            save_checkpoint(
                self.run.checkpoints,
                tensors,
                {"trainer": state, "progress": progress, "data": self.fingerprint},
                step=self.trainer.step,
                keep=self.recipe.training.keep_checkpoints,
                protect=[
                    path.name
                    for step in {self.progress.best_step, *self._averaged_steps}
                    for path in self._checkpoints_of(step)
                ],
            )
        self.world.largest()
        self.saved_at = time.monotonic()

    def _checkpoints_of(self, step: int) -> list[Path]:
        return sorted(self.run.checkpoints.glob(f"step-{step:08d}*"))

    def _log(self, evaluated: Evaluated) -> None:
        row = {name: value for name, value in asdict(evaluated).items() if name != "train_scores" or value}
        try:
            with self.run.metrics_path.open("a", encoding="utf-8") as handle:
                handle.write(json.dumps(for_json(row)) + "\n")
        except OSError as error:
            raise cannot_write(self.run.metrics_path, error) from error

    # -- the end

    def _keep_best(self) -> Iterator[Notice]:
        """Leave the weights of the best step in the run and in the network."""
        from seqcli.models.weights import save_weights

        self.minutes = self._minutes()
        weights = yield from self._best_weights()
        self._network.load_state_dict(weights)
        if len(self.progress.averaged) > 1:
            yield from self._average()
        save_weights(self.run.weights_path, self._network.state_dict())

    def _average(self) -> Iterator[Notice]:
        """Put the mean of the weights of several steps into the network, where it is no worse on dev than the best."""
        from seqcli.training.checkpoint import average_weights

        steps = sorted(self._averaged_steps)
        best = {name: tensor.clone() for name, tensor in self._network.state_dict().items()}
        try:
            self._network.load_state_dict(average_weights([self._checkpoints_of(step)[-1] for step in steps]))
        except (UserError, IndexError) as error:
            yield Notice(f"{error}; the weights are those of one step, not averaged")
            return
        scores = self.task.measure(self.engine(), self.data["dev"], quick=True).scorer.scores()
        title, name = METRICS[self.task.select_by].title, self.task.select_by
        is_kept = self.progress.best_score is None or self._goodness(scores) >= self.progress.best_score
        if not is_kept:
            self._network.load_state_dict(best)
        self.average = {"steps": steps, "score": scores[name], "kept": is_kept}
        yield Notice(
            f"weights of steps {', '.join(map(str, steps))} averaged: dev {title} {scores[name]:.2f}, the best step has "
            f"{self.progress.best_scores[name]:.2f}: {'the mean is kept' if is_kept else 'the best step is kept'}",
            is_warning=False,
        )

    def _best_weights(self) -> Generator[Notice, None, dict[str, Any]]:
        from seqcli.training.checkpoint import load_checkpoint

        for path in reversed(self._checkpoints_of(self.progress.best_step)):
            try:
                return load_checkpoint(path).tensors["model"]
            except UserError as error:
                yield Notice(
                    f"{error}; the weights of the last step are kept, not those of step "
                    f"{self.progress.best_step}, the best one"
                )
        self.progress.best_step = self.trainer.step
        return dict(self.trainer.averaged.state_dict())  # no evaluation came to pass

    def _engine(self, network: Network) -> Engine:
        from seqcli.engines.torch_engine import torch_engine

        return torch_engine(self.task, network)

    def engine(self) -> Engine:
        return self._engine(self._network)

    def network(self) -> Network:
        return self._network

    def report(self) -> dict[str, Any]:
        return {
            "minutes": round(self.minutes, 3),
            "best_step": self.progress.best_step,
            "steps": self.trainer.step,
            "evaluations": self.progress.evaluations,
            "parameters": self.parameters,
            **({"average": self.average} if self.average is not None else {}),
            "device": self.device.type,
            "precision": self.trainer.precision,
        }


def _step_of(line: str) -> int:
    """The step of a line of metrics.jsonl; 0 for one that a kill or a full disk cut off."""
    try:
        return int(json.loads(line)["step"])
    except (ValueError, KeyError, TypeError):
        return 0


class _Window:
    """Means over the steps since the last evaluation."""

    def __init__(self) -> None:
        self.loss_sum = self.norm_sum = self.seconds = self.targets = 0.0
        self.positions = self.steps = 0

    def add(self, event: StepEvent) -> None:
        self.loss_sum += event.loss * event.targets
        self.norm_sum += event.gradient_norm
        self.seconds += event.seconds
        self.targets += event.targets
        self.positions += event.positions
        self.steps += 1

    @property
    def loss(self) -> float:
        return self.loss_sum / (self.targets or 1)

    @property
    def norm(self) -> float:
        return self.norm_sum / max(1, self.steps)

    @property
    def speed(self) -> float:
        return self.positions / self.seconds if self.seconds else 0.0
