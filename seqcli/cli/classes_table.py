"""What ``evaluate`` shows of a classifier: its scores, each label, the confusion, and what stands beside it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from seqcli.cli import show
from seqcli.metrics.metric import CLASS_METRICS
from seqcli.metrics.paired import p_text

if TYPE_CHECKING:
    from seqcli.pipeline.evaluate import Evaluation

MOST_COLUMNS = 20
"""Labels up to which the confusion is shown as a table; past that the most frequent confusions."""


def class_lines(found: Evaluation) -> list[str]:
    """All of it as lines of text."""
    counts: dict[str, Any] = dict(found.score.counts)
    lines = ["", *_scores(found, counts["scores"]), ""]
    lines += show.counts_table("label", counts["labels"].items())
    if "confusion" in counts:
        lines += ["", *confusion_lines(counts["confusion"])]
    for other in found.compared:
        if paired := other.get("paired"):
            lines += ["", *_paired(found.run, other["model"], paired)]
    return lines


def _scores(found: Evaluation, scores: Mapping[str, float | None]) -> list[str]:
    """A row a score, a column a model."""
    others = [other["score"]["counts"]["scores"] for other in found.compared]
    rows = [
        [metric.title, *(_number(one.get(metric.name)) for one in (scores, *others)), metric.unit]
        for metric in CLASS_METRICS
        if metric.name in scores
    ]
    header = ["", found.run, *(other["model"] for other in found.compared), ""]
    return show.table(rows, header, right=range(1, len(header) - 1))


def _number(value: float | None) -> str:
    return "-" if value is None or math.isnan(value) else f"{value:.4f}"


def confusion_lines(table: Mapping[str, Mapping[str, int]]) -> list[str]:
    """Gold labels down, predicted ones across; of many labels the most frequent mistakes."""
    names = list(dict.fromkeys([*table, *(label for row in table.values() for label in row)]))
    if len(names) <= MOST_COLUMNS:
        rows = [(gold, *(f"{table.get(gold, {}).get(label, 0):,}" for label in names)) for gold in names]
        return show.table(rows, ("gold \\ predicted", *names), right=range(1, len(names) + 1))
    mistakes = sorted(
        ((count, gold, label) for gold, row in table.items() for label, count in row.items() if gold != label),
        key=lambda mistake: (-mistake[0], *mistake[1:]),
    )
    rows = [(gold, label, f"{count:,}") for count, gold, label in mistakes[:MOST_COLUMNS]]
    return show.table(rows, ("gold", "predicted", "most frequent mistakes"), right=[2])


def _paired(name: str, other: str, paired: Mapping[str, Any]) -> list[str]:
    """Two models example by example; of several labels an example there is no test of right and wrong."""
    if "better" not in paired:
        return [paired["says"]]
    return [
        f"{name} against {other}: {paired['better']:,} examples only the first has right, {paired['worse']:,} only the "
        f"second, {paired['both']:,} both, {paired['neither']:,} neither",
        f"difference {paired['difference']:+.2f} points ({100 * paired['level']:.0f}% interval {paired['low']:+.2f} to "
        f"{paired['high']:+.2f}, paired bootstrap), McNemar p {p_text(paired['p'])}",
        paired["says"],
    ]
