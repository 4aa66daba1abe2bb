"""How a training looks: a live bar and a table on a terminal, plain lines elsewhere; all of it on stderr."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any

from seqcli.cli import console
from seqcli.errors import plural
from seqcli.metrics.metric import SERIES_METRICS
from seqcli.pipeline.events import Evaluated, Event, Finished, Notice, Prepared, Started
from seqcli.recipe.models import GradientsConfig
from seqcli.training.events import StepEvent

HEADINGS = {
    "f1": "F1",
    "perplexity": "perplex.",
    "bits_per_character": "bits/char",
    "macro_f1": "macro F1",
    "calibration_error": "calib.err",
    "mean_absolute_error": "abs.error",
    "exact_match": "all right",
    "mae": "MAE",
    "rmse": "RMSE",
    "mase": "MASE",
    "smape": "sMAPE",
    "mape": "MAPE",
    "mae_standardised": "MAE std",
    "mse_standardised": "MSE std",
    "rmse_standardised": "RMSE std",
}
"""Names that are too long for a column."""

_OF_SERIES = frozenset(metric.name for metric in SERIES_METRICS)

LEAST, MOST = 7, 80
"""Characters of a column at least, and of a line at most."""

BEST = " *best"

NOT_SHOWN = ("loss", "word_perplexity", "brier")
"""Scores that have a column of their own or none; all are in metrics.jsonl."""


@contextmanager
def open_display(*, tensorboard: bool = False) -> Iterator[Display]:
    """The display that suits stderr."""
    display: Display = LiveDisplay() if console.stderr_is_terminal() and not console.settings.quiet else Display()
    if tensorboard:
        from seqcli.pipeline.tensorboard import TensorBoardLog

        display.listeners.append(TensorBoardLog())
    try:
        yield display
    finally:
        display.close()


class Display:
    """Plain lines."""

    def __init__(self) -> None:
        self.listeners: list[Any] = []
        self._last_progress = ""
        self._say_next = 0.0
        self._columns: list[str] | None = None
        self._widths: list[int] = []
        self._unit = "tokens"

    def say(self, text: str) -> None:
        console.note(text)

    def progress(self, what: str, done: int, total: int | None) -> None:
        """Downloads and encoding: nothing of those that are over soon, a line now and then of the others."""
        now = time.monotonic()
        if what != self._last_progress:
            self._last_progress, self._say_next = what, now + 2
            console.detail(f"{what} ...")
        elif now >= self._say_next:
            self._say_next = now + 15
            self.say(f"{what}: {100 * done / total:.0f}%" if total else f"{what}: {done:,}")

    def show(self, event: Any) -> None:
        """Show any event of `seqcli.pipeline.train`."""
        for listener in self.listeners:
            listener.show(event)
        if isinstance(event, Notice):
            (console.warn if event.is_warning else self.say)(event.text)
        elif isinstance(event, Prepared):
            self._prepared(event)
        elif isinstance(event, Started):
            self._started(event)
        elif isinstance(event, StepEvent):
            self.step(event)
        elif isinstance(event, Evaluated):
            self._evaluated(event)
        elif isinstance(event, Finished):
            self.close()

    def step(self, event: StepEvent) -> None:
        """A step; plain lines say nothing of it."""

    def close(self) -> None:
        """The end, however it came."""

    def _prepared(self, event: Prepared) -> None:
        model = event.recipe.model
        parts = " > ".join(model.parts()) if isinstance(model, GradientsConfig) else model.kind
        size = f"{event.parameters:,} parameters, " if event.parameters else ""  # of counts nobody knows before
        self.say(f"{event.run}: {event.recipe.task.kind}, {parts}, {size}{event.device} {event.precision}")
        self._unit = event.unit
        sizes = ", ".join(
            f"{name} {split['examples']:,} ({split['tokens']:,} {self._unit})" for name, split in event.splits.items()
        )
        self.say(f"data: {sizes}; " + ", ".join(f"{value:,} {name}" for name, value in event.summary.items()))
        if event.resumed:
            self.say(f"resumed at step {event.resumed:,} of {event.total_steps:,}")

    def _started(self, event: Started) -> None:
        """What a trained model gave, and as a warning which layers it could not give."""
        parts = [f"from {event.model}: {event.taken} of {event.tensors} tensors"]
        for name in ("words", "characters", "labels"):
            if table := event.tables.get(name):
                counts = {"known": table.known, "new": table.new, "left out": table.left_out}
                parts.append(f"{name}: " + ", ".join(f"{value:,} {what}" for what, value in counts.items() if value))
        self.say("; ".join(parts))
        if event.unlike:
            layers = dict.fromkeys(".".join(name.split(".")[:2]) for name in event.unlike)
            console.warn(
                f"{event.model} has no such layers, or others in size, so these begin anew: {', '.join(layers)}"
            )

    def _evaluated(self, event: Evaluated) -> None:
        scores = {name: value for name, value in event.scores.items() if name not in NOT_SHOWN}
        before = {"epoch": f"{event.epoch}", "step": f"{event.step}", "loss": f"{event.train_loss:.4f}"}
        if "loss" in event.scores:
            before["dev loss"] = f"{event.scores['loss']:.4f}"
        after = {f"{self._unit}/s": f"{event.tokens_per_second:,.0f}", "minutes": f"{event.minutes:.2f}"}
        if self._columns is None:
            # the score that decides is there, and as many of the others as fit
            names = sorted(scores, key=lambda name: name != event.select_by)
            while _width([*before, *map(_heading, names), *after]) > MOST - len(BEST):
                names.pop()
            self._columns = [name for name in scores if name in names]
            headings = [*before, *map(_heading, self._columns), *after]
            self._widths = [max(LEAST, len(heading)) for heading in headings]
            self.say(self._row(headings))
        values = [*before.values(), *(_cell(name, scores[name]) for name in self._columns), *after.values()]
        self.say(self._row(values) + (BEST if event.best and event.scores else ""))

    def _row(self, cells: Sequence[str]) -> str:
        return " ".join(f"{cell:>{width}}" for cell, width in zip(cells, self._widths, strict=True))


def _cell(score: str, value: float) -> str:
    return f"{value:.4g}" if score in _OF_SERIES else f"{value:.2f}"


def _heading(score: str) -> str:
    return HEADINGS.get(score, score)


def _width(headings: Sequence[str]) -> int:
    return sum(1 + max(LEAST, len(heading)) for heading in headings) - 1


class LiveDisplay(Display):
    """Adds a bar below the lines."""

    def __init__(self) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

        super().__init__()
        self.console = Console(stderr=True, highlight=False)
        self.bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=30),
            TextColumn("{task.fields[note]}"),
            TimeRemainingColumn(),
            console=self.console,
            transient=True,
        )
        self.bar.start()
        self._task: Any = None
        self._speed = 0.0

    def say(self, text: str) -> None:
        if not console.settings.quiet:
            with suppress(OSError):
                self.console.print(console.printable(text), markup=False, soft_wrap=True)

    def progress(self, what: str, done: int, total: int | None) -> None:
        if what != self._last_progress:
            self._drop()
            self._last_progress = what
            self._task = self.bar.add_task(what, total=total, note="")
        self.bar.update(self._task, completed=done, total=total)

    def _prepared(self, event: Prepared) -> None:
        super()._prepared(event)
        self._drop()
        self._task = self.bar.add_task("training", total=event.total_steps, completed=event.resumed, note="")

    def step(self, event: StepEvent) -> None:
        now = event.positions / event.seconds
        self._speed = 0.9 * self._speed + 0.1 * now if self._speed else now
        self.bar.update(
            self._task,
            completed=event.step,
            description=f"epoch {event.epoch + 1}",
            note=f"loss {event.loss:.3f}  {self._speed:,.0f} {self._unit}/s",
        )

    def close(self) -> None:
        self.bar.stop()

    def _drop(self) -> None:
        if self._task is not None:
            self.bar.remove_task(self._task)
            self._task = None


class Watch:
    """Shows of one training after the other how far it is; with ``-v`` all that it tells."""

    def __init__(self, display: Display) -> None:
        self.display = display
        self.what, self.steps = "", 0

    def see(self, event: Event) -> None:
        if console.settings.verbose:
            self.display.show(event)
        elif isinstance(event, Prepared):
            self.what = f"training on {plural(event.splits['train']['examples'], 'example')}"
            self.steps = event.total_steps
        elif isinstance(event, StepEvent):
            self.display.progress(self.what, event.step, self.steps)
