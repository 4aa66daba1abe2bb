"""The curves of trainings: loss and score by step, epoch or minute, run beside run."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

from seqcli.cli import show
from seqcli.cli.panels import FEW, Line, Panel, draw
from seqcli.metrics.metric import METRICS
from seqcli.pipeline.curves import OF_VALUES, Curve, Point, smoothed

By = Literal["step", "epoch", "minutes"]


@dataclass(frozen=True)
class CurveView:
    """Loss of training and dev, and the dev score, of some runs; each score and each kind of loss has its own panel.

    ``smooth``: the weight of the past in the train loss; None leaves few points as they are, means over their steps.
    """

    curves: Sequence[Curve]
    by: By = "step"
    smooth: float | None = None
    title = "Training"

    @property
    def _shift(self) -> int:
        """Of the colour of dev: one run has two colours, of several each has its own and train is dashed."""
        return int(len(self.curves) == 1)

    def _weight(self, curve: Curve) -> float:
        return self.smooth if self.smooth is not None else 0.5 * (len(curve.points) > FEW)

    def lines(self) -> list[str]:
        header = ("RUN", "STEPS", "EPOCHS", "TRAIN LOSS", "DEV LOSS", "BEST STEP", "DEV SCORE", "")
        return show.table([self._row(curve) for curve in self.curves], header, right=range(1, 6))

    def _row(self, curve: Curve) -> tuple[str, ...]:
        last, best = curve.points[-1], curve.best
        name = curve.score or curve.select_by
        score = f"{METRICS[name].title} {best.scores[name]:.4g}" if best is not None and name in best.scores else "-"
        return (
            *(curve.run, f"{last.step:,}", f"{last.epoch:,}", f"{last.train_loss:.4f}"),
            f"{last.scores['loss']:.4f}" if "loss" in last.scores else "-",
            *(f"{best.step:,}" if best is not None else "-", score, "" if curve.finished else "unfinished"),
        )

    def values(self) -> dict[str, Any]:
        return {"runs": [self._values(curve) for curve in self.curves]}

    def _values(self, curve: Curve) -> dict[str, Any]:
        weight = self._weight(curve)
        losses = smoothed([point.train_loss for point in curve.points], weight)
        points = [
            {**asdict(point), "train_loss_smoothed": loss} for point, loss in zip(curve.points, losses, strict=True)
        ]
        for point in points:
            if not point["train_scores"]:
                del point["train_scores"]
        return {
            "run": curve.run,
            "task": curve.task,
            "select_by": curve.select_by,
            "finished": curve.finished,
            "best_step": None if curve.best is None else curve.best.step,
            "smooth": weight,
            "points": points,
        }

    def panels(self) -> list[Panel]:
        """A panel of losses for each of their units, then one for each score."""
        losses, scores = self.groups()
        found = [Panel(title, self.by, "loss", self._losses(curves)) for title, curves in losses.items()]
        for name, curves in scores.items():
            metric = METRICS[name]
            y = f"{metric.title}, {metric.unit}" if metric.unit else metric.title
            both = any(point.train_scores for curve in curves for point in curve.points)
            found.append(Panel(metric.title if both else f"dev {metric.title}", self.by, y, self._scores(curves, name)))
        return found

    def groups(self) -> tuple[dict[str, list[Curve]], dict[str, list[Curve]]]:
        """The runs by what their loss is of, and by the score that is drawn."""
        losses: dict[str, list[Curve]] = {}
        scores: dict[str, list[Curve]] = {}
        for curve in self.curves:
            losses.setdefault("loss of a value" if curve.task in OF_VALUES else "loss, nats a target", []).append(curve)
            if curve.score is not None:
                scores.setdefault(curve.score, []).append(curve)
        return losses, scores

    def _losses(self, curves: Sequence[Curve]) -> list[Line]:
        lines = []
        for curve in curves:
            colour, x = self._place(curve), self._x(curve)
            train = [point.train_loss for point in curve.points]
            if weight := self._weight(curve):
                lines.append(Line("", x, train, colour, "faint"))
            lines.append(Line(self._name("train", curve), x, smoothed(train, weight), colour, "dashed"))
            if "loss" in curve.points[-1].scores:
                dev = [point.scores.get("loss", math.nan) for point in curve.points]
                best = self._best(curve, "loss") if curve.select_by == "loss" else None
                lines.append(Line(self._name("dev", curve), x, dev, colour + self._shift, best=best))
        return lines

    def _scores(self, curves: Sequence[Curve], name: str) -> list[Line]:
        lines = []
        for curve in curves:
            colour, x = self._place(curve) + self._shift, self._x(curve)
            if any(point.train_scores for point in curve.points):
                train = [point.train_scores.get(name, math.nan) for point in curve.points]
                lines.append(Line(self._name("train", curve), x, train, self._place(curve), "dashed"))
            values = [point.scores.get(name, math.nan) for point in curve.points]
            lines.append(Line(self._name("dev", curve), x, values, colour, best=self._best(curve, name)))
        return lines

    def _name(self, split: str, curve: Curve) -> str:
        return f"{curve.run} {split}" if len(self.curves) > 1 else split

    def _place(self, curve: Curve) -> int:
        return next(number for number, one in enumerate(self.curves) if one is curve)

    def _x(self, curve: Curve) -> list[float]:
        return [self._at(point) for point in curve.points]

    def _at(self, point: Point) -> float:
        return float({"step": point.step, "epoch": point.epoch, "minutes": point.minutes}[self.by])

    def _best(self, curve: Curve, name: str) -> tuple[float, float] | None:
        best = curve.best
        return None if best is None or name not in best.scores else (self._at(best), best.scores[name])

    def draw(self) -> Any:
        return draw(self.panels())
