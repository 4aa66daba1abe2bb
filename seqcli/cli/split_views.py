"""What a trained model does on a split: the confusion matrix of a classifier, and lengths with scores."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from seqcli.cli import show
from seqcli.cli.classes_table import confusion_lines
from seqcli.cli.panels import Bars, Line, Panel, draw
from seqcli.cli.pictures import pyplot
from seqcli.pipeline.histogram import Histogram

_MOST_NUMBERS = 30
"""Labels up to which a picture of the confusion shows the counts."""


@dataclass(frozen=True)
class ConfusionView:
    """How often each label was predicted for each gold label; ``table``: gold -> predicted -> count."""

    model: str
    split: str
    table: dict[str, dict[str, int]]
    title = "Confusion"

    @property
    def labels(self) -> list[str]:
        return list(dict.fromkeys([*self.table, *(label for row in self.table.values() for label in row)]))

    def lines(self) -> list[str]:
        return confusion_lines(self.table)

    def values(self) -> dict[str, Any]:
        labels = self.labels
        counts = [[self.table.get(gold, {}).get(label, 0) for label in labels] for gold in labels]
        return {"model": self.model, "split": self.split, "labels": labels, "counts": counts}

    def draw(self) -> Any:
        """Rows are gold labels; the darker a cell, the larger the share of its row; the numbers are counts."""
        import numpy as np

        labels = [label if len(label) <= 24 else f"{label[:23]}…" for label in self.labels]
        counts_GK = np.array(self.values()["counts"])
        shares_GK = counts_GK / np.maximum(counts_GK.sum(1, keepdims=True), 1)
        side = 1.8 + min(14.0, 0.45 * len(labels) + 0.5)
        figure, axes = pyplot().subplots(figsize=(side + 1, side), layout="constrained")
        picture = axes.imshow(shares_GK, cmap="Blues", vmin=0, vmax=1)
        size = 9 if len(labels) <= 20 else max(3.0, 180 / len(labels))
        axes.set_xticks(range(len(labels)), labels, rotation=60, ha="right", rotation_mode="anchor", fontsize=size)
        axes.set_yticks(range(len(labels)), labels, fontsize=size)
        axes.set_xlabel("predicted")
        axes.set_ylabel("gold")
        axes.set_title(f"{self.model}, {self.split}", fontsize=10, loc="left")
        if len(labels) <= _MOST_NUMBERS:
            for (row, column), count in np.ndenumerate(counts_GK):
                if count:
                    ink = "white" if shares_GK[row, column] > 0.5 else "black"
                    axes.text(column, row, f"{count:,}", ha="center", va="center", color=ink, fontsize=size - 1)
        figure.colorbar(picture, ax=axes, label="share of the gold label", shrink=0.8)
        return figure


@dataclass(frozen=True)
class HistogramView:
    """How long the examples are, how the model fares by length, and how its scores or its certainty are spread."""

    found: Histogram
    title = "Lengths and scores"

    def lines(self) -> list[str]:
        found = self.found
        rows = [
            (_range(one["from"], one["to"]), f"{one['examples']:,}", f"{one['score']:.2f}") for one in found.by_length()
        ]
        whole = ("all", f"{len(found.lengths_N):,}", f"{found.scores_N.mean():.2f}")
        return show.table([*rows, whole], (found.unit.upper(), "EXAMPLES", found.score.upper()), right=(1, 2))

    def values(self) -> dict[str, Any]:
        found = self.found
        return {
            "model": found.model,
            "split": found.split,
            "unit": found.unit,
            "score": found.score,
            "by_length": found.by_length(),
            "lengths": found.lengths_N.tolist(),
            "scores": found.scores_N.tolist(),
            "calibration": found.calibration,
        }

    def panels(self) -> list[Panel]:
        import numpy as np

        found = self.found
        edges, bins = found.edges(), found.by_length()
        counts, _ = np.histogram(found.lengths_N, edges)
        middles = [(one["from"] + one["to"] - 1) / 2 for one in bins]
        means = Line("mean", middles, [one["score"] for one in bins])
        of = f"{found.model}, {found.split}"
        bounds = [edge - 0.5 for edge in edges]  # a bar stands over the whole numbers it counts
        bars = Bars(bounds, {"examples": counts.tolist()}, [str(edge) for edge in edges[:-1]])
        return [
            Panel(f"{of}: lengths", found.unit, "examples", bars=bars),
            Panel(f"{of}: score by length", found.unit, found.score, [means]),
            self._spread(),
        ]

    def _spread(self) -> Panel:
        """The certainty of a classifier, right and wrong; else the scores of the examples."""
        import numpy as np

        found = self.found
        if found.calibration:
            first, last = found.calibration[0]["low"], found.calibration[-1]["high"]
            width = found.calibration[0]["high"] - first
            edges = np.linspace(first, last, round((last - first) / width) + 1)
            right, wrong = np.zeros(len(edges) - 1), np.zeros(len(edges) - 1)
            for one in found.calibration:
                place = round((one["low"] - first) / width)
                right[place], wrong[place] = one["correct"], one["count"] - one["correct"]
            bars = Bars(edges.tolist(), {"right": right.tolist(), "wrong": wrong.tolist()}, _names(edges))
            return Panel("how sure the model is", "probability of the predicted label", "examples", bars=bars)
        counts, bounds = np.histogram(found.scores_N, 20)
        bars = Bars(bounds.tolist(), {"examples": counts.tolist()}, _names(bounds))
        return Panel("scores of the examples", found.score, "examples", bars=bars)

    def draw(self) -> Any:
        return draw(self.panels())


def _range(low: int, high: int) -> str:
    """The whole numbers of a bin."""
    return str(low) if high == low + 1 else f"{low}-{high - 1}"


def _names(edges: Any) -> list[str]:
    return [f"{edge:.2g}" if edge < 1 else f"{edge:.3g}" for edge in edges[:-1]]
