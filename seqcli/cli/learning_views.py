"""Learning curves by the share of the data and by epochs; bias, variance and noise of a small regression."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from seqcli.cli import show
from seqcli.cli.curve_view import CurveView
from seqcli.cli.panels import Line, Panel, draw
from seqcli.metrics.metric import METRICS
from seqcli.pipeline.learning_curve import AtSize, LearningCurve

if TYPE_CHECKING:
    from seqcli.inspect.bias_variance import Parts


@dataclass(frozen=True)
class LearningCurveView:
    """Scores on train and dev by the number of examples, and by the epochs of the training on most of them."""

    found: LearningCurve
    title = "Learning curve"

    @property
    def _title(self) -> str:
        return METRICS[self.found.score].title

    def lines(self) -> list[str]:
        title = self._title
        header = ("SHARE", "EXAMPLES", f"TRAIN {title}", f"DEV {title}", "GAP", "TRAININGS", "MINUTES")
        rows = [self._row(one) for one in self.found.sizes()]
        return show.table(rows, header, right=range(7))

    def _row(self, one: AtSize) -> tuple[str, ...]:
        own = [fitted for fitted in self.found.fitted if fitted.size == one.size]
        scores = ((one.train, one.train_deviation), (one.dev, one.dev_deviation))
        return (
            *(f"{one.size:g}%", f"{one.examples:,.0f}"),
            *(f"{score:.4g}" + (f" ± {spread:.2g}" if len(own) > 1 else "") for score, spread in scores),
            *(f"{abs(one.train - one.dev):.4g}", str(len(own)), f"{sum(fitted.minutes for fitted in own):.2f}"),
        )

    def values(self) -> dict[str, Any]:
        curve = self.found.by_epoch()
        return {
            "recipe": self.found.recipe,
            "score": self.found.score,
            "complete": self.found.stopped is None,
            "sizes": [asdict(one) for one in self.found.sizes()],
            "trainings": [
                {name: value for name, value in asdict(one).items() if name != "curve"} for one in self.found.fitted
            ],
            "epochs": [] if curve is None else [asdict(point) for point in curve.points],
        }

    def panels(self) -> list[Panel]:
        sizes, metric = self.found.sizes(), METRICS[self.found.score]
        x = [one.examples for one in sizes]
        y = f"{metric.title}, {metric.unit}" if metric.unit else metric.title
        several = any(one.train_deviation or one.dev_deviation for one in sizes)
        spreads = [
            [getattr(one, f"{split}_deviation") for one in sizes] if several else None for split in ("train", "dev")
        ]
        lines = [
            Line("train", x, [one.train for one in sizes], 0, "dashed", spreads[0]),
            Line("dev", x, [one.dev for one in sizes], 1, "solid", spreads[1]),
        ]
        found = [Panel(f"{self.found.recipe}: {metric.title} by examples", "training examples", y, lines, log_x=True)]
        if (curve := self.found.by_epoch()) is not None:
            for panel in CurveView([curve], "epoch", smooth=0).panels():
                found.append(Panel(f"{panel.title}, {sizes[-1].size:g}% of the data", *_rest(panel)))
        return found

    def draw(self) -> Any:
        return draw(self.panels())


def _rest(panel: Panel) -> tuple[Any, ...]:
    return panel.x, panel.y, panel.lines


@dataclass(frozen=True)
class PartsView:
    """Bias, variance and noise by the degree of a polynomial."""

    parts: Sequence[Parts]
    settings: dict[str, Any]
    title = "Bias and variance"

    def lines(self) -> list[str]:
        header = ("DEGREE", "BIAS^2", "VARIANCE", "NOISE", "SUM", "MSE", "TRAIN MSE")
        rows = [
            (
                str(one.degree),
                *(
                    f"{value:.4f}"
                    for value in (one.bias_squared, one.variance, one.noise, _sum(one), one.mse, one.train_mse)
                ),
            )
            for one in self.parts
        ]
        return show.table(rows, header, right=range(7))

    def values(self) -> dict[str, Any]:
        return {**self.settings, "degrees": [{**asdict(one), "sum": _sum(one)} for one in self.parts]}

    def panels(self) -> list[Panel]:
        x = [one.degree for one in self.parts]
        lines = [
            Line("MSE", x, [one.mse for one in self.parts], 6),
            Line("bias²", x, [one.bias_squared for one in self.parts], 0, "dashed"),
            Line("variance", x, [one.variance for one in self.parts], 1),
            Line("noise", x, [one.noise for one in self.parts], 2, "dotted"),
            Line("MSE on the samples", x, [one.train_mse for one in self.parts], 3, "dashed"),
        ]
        title = "sin(2πx) from {samples} samples, noise {noise:g}, {draws} draws".format(**self.settings)
        return [Panel(title, "degree of the polynomial", "mean squared error", lines)]

    def draw(self) -> Any:
        return draw(self.panels())


def _sum(one: Parts) -> float:
    return one.bias_squared + one.variance + one.noise
