"""What was measured while a model was trained, as a table, CSV and JSON."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from seqcli.cli import show
from seqcli.cli.series_table import figure
from seqcli.cli.training_display import MOST
from seqcli.metrics.metric import METRICS, SERIES_METRICS

if TYPE_CHECKING:
    from seqcli.pipeline.curves import Curve, Point

_OF_SERIES = frozenset(metric.name for metric in SERIES_METRICS)


def table(curve: Curve) -> list[str]:
    """A row for each evaluation, the best one marked; of the scores on dev as many as fit, and what a step is chosen by."""
    names = [*curve.points[0].scores]
    while True:
        header = ("STEP", "EPOCH", "MINUTES", "TRAIN LOSS", "LR", *(f"DEV {_title(name)}" for name in names), "")
        rows = [_cells(point, names, curve) for point in curve.points]
        others = [name for name in names if name != curve.select_by]
        if not others or sum(max(map(len, column)) + 2 for column in zip(header, *rows, strict=True)) - 2 <= MOST:
            return show.table(rows, header, right=range(len(header) - 1))
        names.remove(others[-1])


def _cells(point: Point, names: Sequence[str], curve: Curve) -> tuple[str, ...]:
    return (
        f"{point.step:,}",
        str(point.epoch),
        f"{point.minutes:.2f}",
        _cell("loss", point.train_loss),
        "-" if math.isnan(point.learning_rate) else f"{point.learning_rate:.3g}",
        *(_cell(name, point.scores.get(name, math.nan)) for name in names),
        "*best" if point == curve.best else "",
    )


def _title(name: str) -> str:
    return METRICS[name].title if name in METRICS and name != "loss" else name


def _cell(name: str, value: float) -> str:
    if math.isnan(value):
        return "-"
    return f"{value:.4f}" if name == "loss" else figure(value) if name in _OF_SERIES else f"{value:.2f}"


def csv_text(curve: Curve) -> str:
    """All that was logged, a line for each evaluation; what is not a number is empty."""
    rows = [_row(point) for point in curve.points]
    text = io.StringIO()
    writer = csv.DictWriter(text, [*dict.fromkeys(name for row in rows for name in row)], lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def _row(point: Point) -> dict[str, Any]:
    row: dict[str, Any] = {}
    for name, value in asdict(point).items():
        prefix = {"scores": "dev", "train_scores": "train"}.get(name)
        row |= {name: value} if prefix is None else {f"{prefix}.{score}": number for score, number in value.items()}
    return {name: value if math.isfinite(value) else "" for name, value in row.items()}


def values(curve: Curve) -> dict[str, Any]:
    best = curve.best
    return {
        "model": curve.run,
        "task": curve.task,
        "select_by": curve.select_by,
        "finished": curve.finished,
        "best_step": None if best is None else best.step,
        "evaluations": [asdict(point) for point in curve.points],
    }
