"""Training a recipe: prepare, train, measure, save, and leave a run that is enough on its own."""

from __future__ import annotations

import json
import math
import shutil
import time
from collections.abc import Callable, Generator, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from seqcli.data.arrays import Split
from seqcli.errors import ExitCode, UserError, did_you_mean, usage_error
from seqcli.files import atomic_write_text, cannot_write
from seqcli.metrics.metric import METRICS
from seqcli.metrics.score import for_json
from seqcli.pipeline.environment import environment
from seqcli.pipeline.events import Evaluated, Finished, Notice, Prepared
from seqcli.pipeline.fit import fit
from seqcli.pipeline.measure import measure
from seqcli.pipeline.notices import data_notices
from seqcli.pipeline.prepare import Progress, kept_recipe, open_splits
from seqcli.pipeline.report import discard, write_report
from seqcli.recipe.dump import dump_recipe, recipe_difference
from seqcli.recipe.load import load_recipe
from seqcli.recipe.schema import Recipe
from seqcli.store.runs import Run, Store
from seqcli.tasks.base import Data, Task
from seqcli.tasks.build import new_task
from seqcli.training.checkpoint import (
    Checkpoint,
    load_checkpoint,
    newest_checkpoint,
    save_checkpoint,
    save_weights,
    sweep,
)
from seqcli.training.loop import StepEvent, Trainer
from seqcli.training.precision import choose_device

Event = Notice | Prepared | StepEvent | Evaluated | Finished

SAVE_MINUTES = 10.0
"""Longest time without a checkpoint."""

LARGE_STATE = 256.0
"""A carried cell state beyond this has been seen to come before a divergence."""


class Interrupted(UserError):
    """Training stopped by a signal after saving; ``code`` is the signal's exit code."""

    def __init__(self, run: Run, step: int, code: ExitCode, recipe: str) -> None:
        super().__init__(
            f"stopped after step {step}, saved in {run.path}",
            code=code,
            hint=f"Go on with: seqcli train {recipe} --resume",
        )


@dataclass
class Progressing:
    """What a training knows beyond the trainer: kept in every checkpoint."""

    best_score: float | None = None
    best_step: int = 0
    best_scores: dict[str, float] = field(default_factory=dict)
    waited: int = 0
    evaluations: int = 0
    minutes: float = 0.0
    stopped: bool = False


def train(
    recipe: Recipe,
    store: Store,
    *,
    resume: bool = False,
    device: str = "auto",
    source: str | None = None,
    should_stop: Callable[[], ExitCode | None] = lambda: None,
    progress: Progress | None = None,
) -> Iterator[Event]:
    """Train ``recipe`` into a new run of ``store`` (or go on with its newest unfinished one), yielding events.

    Args:
        source: what the user typed for the recipe, for the resume command.
        should_stop: asked after each step; an exit code means save and stop.
        progress: told about downloads and encoding.

    Raises:
        UserError: bad data (65); a run that is in use, or a resume that does not fit (2); a failed write (74);
            a loss that is not a number (1).
        Interrupted: ``should_stop`` said so, and everything is saved.
    """
    where = choose_device(device)
    torch.set_flush_denormal(True)
    task = new_task(recipe)
    if resume:
        run = _unfinished(store, recipe)
    else:
        with store.staging(recipe.name):  # a folder that cannot be written is found before any work
            pass
    splits = open_splits(recipe, task, ("train", "dev", "test"), progress)
    if not resume:
        run = store.create(recipe.name)
    with run.lock():
        if hasattr(task, "fit_weights"):
            yield from fit(recipe, task, splits, run, should_stop, progress)
            return
        try:
            session = _Session(recipe, task, splits, run, where, source or recipe.name)
        except BaseException:
            if not resume:
                discard(run)
            raise
        yield from session.notices()
        if resume:
            yield from session.restore()
        yield session.prepared()
        yield from session.train(should_stop)
        yield from session.finish()


def _unfinished(store: Store, recipe: Recipe) -> Run:
    run = store.newest_unfinished(recipe.name)
    if run is None:
        raise usage_error(
            f"no unfinished training of '{recipe.name}' in {store.root}", hint="Leave --resume out to start one."
        )
    if run.recipe_path.exists():
        old = load_recipe(run.recipe_path).recipe
        if differences := recipe_difference(old, kept_recipe(recipe)):
            raise usage_error(
                f"cannot resume {run}: the recipe changed: {'; '.join(differences)}",
                hint="Undo the change, or start a new training without --resume.",
            )
    return run


class _Session:
    """One training under its lock."""

    def __init__(
        self, recipe: Recipe, task: Task, splits: dict[str, Split], run: Run, device: torch.device, source: str
    ) -> None:
        self.recipe, self.task, self.run, self.device, self.source = recipe, task, run, device, source
        task.fit(splits["train"])
        torch.manual_seed(recipe.training.seed)
        self.model = task.build_model()
        self.data: dict[str, Data] = {name: task.data(split) for name, split in splits.items()}
        self.trainer = Trainer(task, self.model, self.data["train"], recipe.training, device)
        self.progress = Progressing()
        self.resumed = 0
        self.warned = False
        self._check_select_by()
        self.began = self.saved_at = time.monotonic()
        self._begin_run(splits)

    # -- before the first step

    def _begin_run(self, splits: dict[str, Split]) -> None:
        """Write recipe, vocabularies and environment now, so that a folder that cannot be written is found at once."""
        run = self.run
        self.fingerprint = {name: split.folder.name for name, split in splits.items()}
        try:
            run.checkpoints.mkdir(exist_ok=True)
        except OSError as error:
            raise cannot_write(run.path, error) from error
        sweep(run.checkpoints)
        atomic_write_text(run.recipe_path, dump_recipe(kept_recipe(self.recipe)))
        self.files = self.task.save(run.path)
        atomic_write_text(
            run.environment_path,
            json.dumps(environment(self.device, self.trainer.precision, self.recipe.training.seed), indent=2) + "\n",
        )

    def _check_select_by(self) -> None:
        """Refuse a score that no evaluation will give now, not after the first epoch."""
        if "dev" not in self.data:
            return
        known = [*self.task.scorer(self.data["dev"]).scores()]
        known += [] if "loss" in known or getattr(self.data["dev"], "unseen", None) else ["loss"]
        if self.task.select_by not in known:
            raise usage_error(
                f"training.select_by: there is no dev score '{self.task.select_by}'",
                hint=did_you_mean(self.task.select_by, known) or f"Scores: {', '.join(known)}.",
            )

    def notices(self) -> Iterator[Notice]:
        """What is odd about the data, before time is spent on it."""
        yield from data_notices(self.recipe, self.task, self.data)
        if "dev" not in self.data:
            yield Notice("no dev split: the last step is kept, not the best one (set data.dev or data.dev_share)")

    def restore(self) -> Iterator[Event]:
        """Take up the newest checkpoint that verifies, and tell about those that do not."""
        bad: list[UserError] = []
        checkpoint = newest_checkpoint(self.run.checkpoints, bad.append)
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
        if not self.run.metrics_path.exists():
            return
        lines = self.run.metrics_path.read_text(encoding="utf-8", errors="replace").split("\n")
        kept = [line for line in lines if 0 < _step_of(line) <= self.resumed]
        atomic_write_text(self.run.metrics_path, "".join(line + "\n" for line in kept))

    def prepared(self) -> Prepared:
        """The event that opens a training."""
        splits = {
            name: {"examples": len(data.split), "tokens": int(data.lengths.sum())} for name, data in self.data.items()
        }
        return Prepared(
            self.recipe,
            str(self.run),
            str(self.run.path),
            splits,
            self.task.summary(),
            count_parameters(self.model),
            self.device.type,
            self.trainer.precision,
            self.trainer.total_steps,
            self.resumed,
        )

    # -- the steps

    def train(self, should_stop: Callable[[], ExitCode | None]) -> Iterator[Event]:
        """Steps and evaluations until the recipe's end, patience, time, or a signal."""
        window = _Window()
        if self.progress.stopped:
            return
        for event in self._steps():
            window.add(event)
            yield event
            if self._due(event):
                yield self._evaluate(event, window)
                yield from self._grown()
                window = _Window()
            elif time.monotonic() - self.saved_at > SAVE_MINUTES * 60:
                self._save()
            if self.progress.stopped:
                return
            code = should_stop()
            if code is not None:
                self._save()
                raise Interrupted(self.run, event.step, code, self.source)

    def _steps(self) -> Iterator[StepEvent]:
        """The trainer's steps; an error that ends them says what is kept."""
        try:
            yield from self.trainer.steps()
        except UserError as error:
            saved = max((int(path.name[5:13]) for path in self.run.checkpoints.glob("step-*")), default=None)
            error.message += f"; {f'step {saved} is saved' if saved else 'nothing was saved yet'} in {self.run.path}"
            raise

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
        return self.trainer.finished or (event.epoch_done if every is None else event.step % every == 0)

    def _evaluate(self, event: StepEvent, window: _Window) -> Evaluated:
        training, progress = self.recipe.training, self.progress
        scores: dict[str, float] = {}
        improved = True
        if "dev" in self.data:
            with self.trainer.averaged() as model:
                scores = measure(self.task, model, self.data["dev"], self.device).scores()
            improved = self._improved(scores)
        progress.evaluations += 1
        progress.waited = 0 if improved else progress.waited + 1
        if improved:
            progress.best_step, progress.best_scores = event.step, scores
        self.trainer.schedule.evaluated(improved)
        progress.stopped = (
            self.trainer.finished
            or (training.patience is not None and progress.waited >= training.patience)
            or (training.max_minutes is not None and self._minutes() >= training.max_minutes)
        )
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
        )
        self._log(evaluated)
        if improved or progress.stopped:
            self._save()
        return evaluated

    def _improved(self, scores: dict[str, float]) -> bool:
        name = self.task.select_by
        value = -scores[name] if METRICS[name].better == "lower" else scores[name]
        if not math.isfinite(value) or (self.progress.best_score is not None and value <= self.progress.best_score):
            return False
        self.progress.best_score = value
        return True

    def _minutes(self) -> float:
        return self.progress.minutes + (time.monotonic() - self.began) / 60

    def _save(self) -> None:
        tensors, state = self.trainer.state()
        progress = {**asdict(self.progress), "minutes": self._minutes()}
        save_checkpoint(
            self.run.checkpoints,
            tensors,
            {"trainer": state, "progress": progress, "data": self.fingerprint},
            step=self.trainer.step,
            keep=self.recipe.training.keep_checkpoints,
            protect=[path.name for path in self._checkpoints_of(self.progress.best_step)],
        )
        self.saved_at = time.monotonic()

    def _checkpoints_of(self, step: int) -> list[Path]:
        return sorted(self.run.checkpoints.glob(f"step-{step:08d}*"))

    def _log(self, evaluated: Evaluated) -> None:
        try:
            with self.run.metrics_path.open("a", encoding="utf-8") as handle:
                handle.write(json.dumps(for_json(asdict(evaluated))) + "\n")
        except OSError as error:
            raise cannot_write(self.run.metrics_path, error) from error

    # -- the end

    def finish(self) -> Iterator[Notice | Finished]:
        """Keep the best weights, measure the test split once, write the report, seal the run."""
        run = self.run
        minutes = self._minutes()
        weights = yield from self._best_weights()
        save_weights(run.weights_path, weights)
        self.model.load_state_dict(weights)
        measured: dict[str, Any] = {
            name: measure(self.task, self.model, self.data[name], self.device)
            for name in ("dev", "test")
            if name in self.data
        }
        scores: dict[str, Any] = {name: scorer.score().as_json() for name, scorer in measured.items()}
        baselines = self.task.baselines(self.data, measured)
        report = write_report(
            run,
            self.recipe,
            self.task,
            scores,
            minutes=minutes,
            files=self.files,
            more={
                "best_step": self.progress.best_step,
                "steps": self.trainer.step,
                "evaluations": self.progress.evaluations,
                "parameters": count_parameters(self.model),
                "device": self.device.type,
                "precision": self.trainer.precision,
                **({"baselines": baselines} if baselines else {}),
            },
        )
        shutil.rmtree(run.checkpoints, ignore_errors=True)
        yield Finished(str(run), str(run.path), report)

    def _best_weights(self) -> Generator[Notice, None, dict[str, Tensor]]:
        for path in reversed(self._checkpoints_of(self.progress.best_step)):
            try:
                return load_checkpoint(path).tensors["model"]
            except UserError as error:
                yield Notice(
                    f"{error}; the weights of the last step are kept, not those of step "
                    f"{self.progress.best_step}, the best one"
                )
        self.progress.best_step = self.trainer.step
        with self.trainer.averaged() as model:  # no evaluation came to pass
            return {name: value.detach().clone() for name, value in model.state_dict().items()}


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


def count_parameters(model: nn.Module) -> int:
    """Trainable numbers of a model."""
    return sum(parameter.numel() for parameter in model.parameters() if parameter.requires_grad)
