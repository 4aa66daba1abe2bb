"""Is a trained model worth using? Said at the end of a training where it is not."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

from seqcli.metrics.metric import metric_of
from seqcli.pipeline.events import Notice


def verdict(report: Mapping[str, Any]) -> Iterator[Notice]:
    """A warning for a score of zero, and for a model that no baseline of its report is worse than; test before dev."""
    split = next((name for name in ("test", "dev") if name in report), None)
    if split is None:
        return
    name, value = report[split]["name"], _value(report, split)
    metric = metric_of(name)
    sign = -1 if metric is not None and metric.better == "lower" else 1
    if value == 0 and sign > 0:
        yield Notice(
            f"{split} {name} is 0: nothing that counts was learned. Train longer (training.min_steps), or give it more "
            "data; 'seqcli data lint' looks for faults in it"
        )
        return
    is_network = "best_step" in report  # who counts has chosen what to count, and is held against the majority alone
    rivals = []
    for entry in report.get("baselines", ()):
        is_majority, lead = entry["section"]["kind"] == "majority", sign * (_value(entry, split) - value)
        if (lead > 0 or (is_majority and lead == 0)) and (is_network or is_majority):
            rivals.append(entry)
    if rivals:
        best = max(rivals, key=lambda entry: sign * _value(entry, split))
        yield Notice(
            f"the model is no better than its baseline: {split} {name} {value:.2f}, and {best['model']} has "
            f"{_value(best, split):.2f}. {_remedy(best['section']) if is_network else 'Give it more data'}"
        )


def _remedy(section: Mapping[str, Any]) -> str:
    """What to do about a network that this model section does better than."""
    settings = ", ".join(f"{key}: {setting}" for key, setting in section.items())
    use = "train longer" if section["kind"] == "majority" else f"take that (--set 'model={{{settings}}}')"
    return f"Give it more data, start from a trained model (--from), or {use}"


def _value(report: Mapping[str, Any], split: str) -> float:
    """A score of a report, where None stands for one that is infinite."""
    value = report[split]["value"]
    return math.inf if value is None else float(value)
