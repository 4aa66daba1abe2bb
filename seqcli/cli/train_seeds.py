"""``train --seeds``: several trainings of a recipe, and how far their scores differ."""

from __future__ import annotations

import math
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any

from seqcli.cli import console, show
from seqcli.cli.series_table import figure
from seqcli.metrics.metric import SERIES_METRICS, metric_of

if TYPE_CHECKING:
    from pathlib import Path

    from seqcli.cli.training_display import Display
    from seqcli.pipeline.events import Event
    from seqcli.pipeline.repeat import Series, Trained
    from seqcli.recipe.schema import Recipe
    from seqcli.store.runs import Run, Store

SPLITS = ("dev", "test")


def train_seeds(
    recipe: Recipe,
    seeds: int,
    store: Store,
    *,
    source: str,
    jobs: int,
    resume: bool,
    device: str,
    origin: Run | None,
    tensorboard: bool,
    picture: Path | None,
    as_json: bool,
) -> None:
    """Train and show a series.

    Raises:
        UserError: what `repeat` raises; the stop that ended the series, behind the table of what is done.
    """
    from seqcli.cli.signals import stop_requests
    from seqcli.cli.training_display import open_display
    from seqcli.pipeline.repeat import repeat

    with open_display() as display, stop_requests(display.say) as should_stop:
        found = repeat(
            recipe,
            seeds,
            store,
            source=source,
            jobs=jobs,
            resume=resume,
            device=device,
            origin=origin,
            should_stop=should_stop,
            progress=display.progress,
            show=lambda one: display.say(_said(one)),
            event=_Watch(display, together=jobs > 1, tensorboard=tensorboard).see,
        )
    if as_json:
        console.emit_json(as_values(found))
    elif found.trained:
        console.emit_lines(lines(found))
    if found.stopped is not None:
        raise found.stopped
    if picture is not None:
        from seqcli.cli.train import draw_curves

        draw_curves([store.resolve(one.model) for one in found.trained], picture)
    if (best := found.best) is not None and best.model != (newest := str(store.resolve(found.name))):
        console.note(f"{best.model} is the best on dev; '{found.name}' alone means the newest, {newest}")


class _Watch:
    """Shows how far the trainings are, and each warning once; with ``-v`` all that one tells which runs alone."""

    def __init__(self, display: Display, *, together: bool, tensorboard: bool) -> None:
        self.display, self.together = display, together
        self.steps: dict[int, tuple[int, int]] = {}
        self.said: set[str] = set()
        self.logs: dict[int, Any] = {}
        self.new_log: Any = None
        if tensorboard:
            from seqcli.pipeline.tensorboard import TensorBoardLog

            TensorBoardLog()  # which says what is missing before there is anything to lose
            self.new_log = TensorBoardLog

    def see(self, seed: int, event: Event) -> None:
        from seqcli.pipeline.events import Finished, Notice, Prepared
        from seqcli.training.events import StepEvent

        if self.new_log is not None:
            self.logs.setdefault(seed, self.new_log()).show(event)
        if isinstance(event, Prepared):
            self.steps[seed] = event.resumed, event.total_steps
        elif isinstance(event, Finished):
            self.steps.pop(seed, None)
        if isinstance(event, Notice):
            if event.text not in self.said:
                self.said.add(event.text)
                named = f"seed {seed}: {event.text}" if len(self.steps) > 1 else event.text  # which of those that run
                self.display.show(replace(event, text=named))
        elif console.settings.verbose and not self.together:
            self.display.show(event)
        elif isinstance(event, StepEvent):
            self.steps[seed] = event.step, self.steps[seed][1]
            done, total = (sum(column) for column in zip(*self.steps.values(), strict=True))
            named = ", ".join(map(str, sorted(self.steps)))
            self.display.progress(f"training with seed{'s' if len(self.steps) > 1 else ''} {named}", done, total)


def _said(one: Trained) -> str:
    parts = [
        f"{split} {one.score} {number(one.score, value)}"
        for split in SPLITS
        if (value := getattr(one, split)) is not None
    ]
    return f"{one.model}, seed {one.seed}: {', '.join([*parts, f'{60 * one.minutes:.0f} s'])}"


def number(score: str | None, value: float | None) -> str:
    """A score, or a difference of scores, as people read it."""
    if value is None or math.isnan(value):
        return "-"
    return figure(value) if metric_of(score or "") in SERIES_METRICS else f"{value:.2f}"


def lines(found: Series) -> list[str]:
    """A table of the trainings, of their mean, deviation and the best on dev; a sentence about their spread."""
    spreads = {split: spread for split in SPLITS if (spread := found.spread(split)) is not None}

    def row(name: str, one: Trained) -> tuple[str, ...]:
        scores = (number(found.score, getattr(one, split)) for split in spreads)
        step = "-" if one.best_step is None else f"{one.best_step:,}"
        return name, str(one.seed), *scores, step, f"{one.minutes:.2f}"

    rows = [row(one.model, one) for one in found.trained]
    if spreads:
        for what in ("mean", "deviation"):
            rows.append((what, "", *(number(found.score, getattr(spread, what)) for spread in spreads.values())))
    if (best := found.best) is not None:
        rows.append(row("best on dev", best))
    header = ("VERSION", "SEED", *(f"{split.upper()} {found.score}" for split in spreads), "BEST STEP", "MINUTES")
    table = show.table(rows, header, right=range(1, len(header)))
    says = [
        f"seeds differ by {number(found.score, spread.range)} {found.score} on {split} "
        f"(deviation {number(found.score, spread.deviation)})"
        for split, spread in reversed(spreads.items())
        if len(found.trained) > 1
    ]
    return [*table, *show.wrapped([says[0]] if says else [])]


def as_values(found: Series) -> dict[str, Any]:
    """The series as JSON; numbers by split."""
    spreads = {split: spread for split in SPLITS if (spread := found.spread(split)) is not None}
    metric = metric_of(found.score or "")
    return {
        "name": found.name,
        "score": found.score,
        "better": None if metric is None else metric.better,
        "complete": found.stopped is None,
        "runs": [asdict(one) for one in found.trained],
        **{
            name: {split: getattr(spread, name) for split, spread in spreads.items()}
            for name in ("mean", "deviation", "range")
        },
        "best": None if found.best is None else asdict(found.best),
    }
