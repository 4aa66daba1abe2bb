"""What is shown of a model of series: its errors beside those of its baselines, and by step, column and band."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from seqcli.cli import show
from seqcli.metrics.metric import SERIES_METRICS, metric_of
from seqcli.metrics.paired import briefly

MOST_STEPS = 24
"""Steps of a forecast up to which each has a row; of more, so many evenly apart."""

Scores = Mapping[str, float | None]


def score_lines(name: str, score: Mapping[str, Any], compared: Sequence[Mapping[str, Any]]) -> list[str]:
    """The signed score, a table of all scores with a row for each model, and the verdict."""
    title, counts = score["name"], score["counts"]
    lines = [f"{title} = {figure(score['value'])} ({score['signature']})", ""]
    names = [metric.name for metric in SERIES_METRICS if _is_there(counts["scores"].get(metric.name))]
    models = [(name, counts), *((one["model"], one["score"]["counts"]) for one in compared)]
    rows = [(model, *(figure(found["scores"].get(one)) for one in names)) for model, found in models]
    header = ("", *(_heading(one) for one in names))
    lines += show.table(rows, header, right=range(1, len(header)))
    return [*lines, *_hidden(models, title), *verdict_lines(score, compared)]


def detail_lines(score: Mapping[str, Any], compared: Sequence[Mapping[str, Any]]) -> list[str]:
    """The errors of each step ahead beside those of the best baseline, of each column, and the coverage of bands."""
    counts = score["counts"]
    lines: list[str] = []
    if len(counts["steps"]) > 1:
        lines += ["", *_steps(counts["steps"], _best(score, compared))]
    if len(counts["columns"]) > 1:
        names = [metric.name for metric in SERIES_METRICS if _is_there(counts["scores"].get(metric.name))]
        rows = [(column, *(figure(scores[one]) for one in names)) for column, scores in counts["columns"].items()]
        lines += ["", *show.table(rows, ("column", *map(_heading, names)), right=range(1, len(names) + 1))]
    if counts["bands"]:
        lines += [""] + [
            f"{band['coverage']:.1f}% of the values lie between the quantiles {band['low']:g} and {band['high']:g} "
            f"(should: {band['nominal']:.0f}%)"
            for band in counts["bands"]
        ]
    return lines


def _hidden(models: Sequence[tuple[str, Mapping[str, Any]]], title: str) -> list[str]:
    """Of what fills gaps: the score by what was hidden, a row for each model."""
    ways = [*models[0][1].get("hidden", {})]
    if not ways:
        return []
    metric = metric_of(title)
    name = title if metric is None else metric.name
    rows = [
        (model, *(figure(counts.get("hidden", {}).get(way, {}).get(name)) for way in ways)) for model, counts in models
    ]
    return ["", *show.table(rows, (f"{_heading(name)}, hidden", *ways), right=range(1, len(ways) + 1))]


def verdict_lines(score: Mapping[str, Any], compared: Sequence[Mapping[str, Any]]) -> list[str]:
    """Which baselines a model loses to by the score that it was chosen by, or that it beats them."""
    ranked = [one for one in compared if _is_there(one["score"]["value"])]
    if not ranked or not _is_there(score["value"]):
        return []
    title, value = score["name"], score["value"]
    better = sorted((one for one in ranked if one["score"]["value"] <= value), key=lambda one: one["score"]["value"])
    if better:
        leads = [(one["model"], {"metric": title, "difference": value - one["score"]["value"]}) for one in better]
        says = (briefly(model, {**lead, "less_is_better": True})["says"] for model, lead in leads)
        return ["", f"verdict: {'; '.join(says)}"]
    nearest = _best(score, ranked)
    assert nearest is not None
    lead = 100 * (1 - value / nearest["score"]["value"])
    return ["", f"verdict: beats every baseline; the nearest is {nearest['model']}, {title} {lead:.1f}% lower"]


def figure(value: float | None) -> str:
    """Four digits that count, at least two behind the point."""
    if value is None or math.isnan(value):
        return "-"
    return f"{value:,.2f}" if abs(value) >= 10 else f"{value:.3f}" if abs(value) >= 1 else f"{value:.4f}"


def _steps(steps: Sequence[Scores], best: Mapping[str, Any] | None) -> list[str]:
    names = [name for name in ("mae", "rmse", "mase", "smape", "mse_standardised") if _is_there(steps[0].get(name))]
    rival = None if best is None else best["score"]["counts"]["steps"]
    shown = [*range(len(steps))]
    if len(steps) > MOST_STEPS:
        shown = sorted({round(number * (len(steps) - 1) / (MOST_STEPS - 1)) for number in range(MOST_STEPS)})
    rows = [
        (
            f"{number + 1}",
            *(figure(steps[number][name]) for name in names),
            *([] if rival is None else [figure(rival[number][names[-1]])]),
        )
        for number in shown
    ]
    header = ["step", *map(_heading, names), *([] if best is None else [f"{best['model']}: {_heading(names[-1])}"])]
    return show.table(rows, header, right=range(len(header)))


def _best(score: Mapping[str, Any], compared: Sequence[Mapping[str, Any]]) -> Mapping[str, Any] | None:
    there = [one for one in compared if _is_there(one["score"]["value"])]
    return min(there, key=lambda one: one["score"]["value"], default=None)


def _heading(name: str) -> str:
    metric = metric_of(name)
    title = name if metric is None else metric.title
    return title.replace(", standardised", " std")


def _is_there(value: float | None) -> bool:
    return value is not None and not math.isnan(value)
