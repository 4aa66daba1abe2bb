"""The verb ``plot``."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Any

import typer

from seqcli.cli import console
from seqcli.cli.options import Json, Runs, one_of
from seqcli.errors import usage_error

if TYPE_CHECKING:
    from pathlib import Path

    from seqcli.cli.curve_view import CurveView
    from seqcli.cli.inside.view import View
    from seqcli.store.runs import Run

EPILOG = """Examples:

\b
  seqcli plot ner
  seqcli plot ner@1 ner@2 --by epoch -o curves.png
  seqcli plot sentiment --show confusion -o confusion.svg
  seqcli plot sentiment --show histogram --split dev"""

SHOWS = ("curves", "confusion", "histogram")


def command(
    *,
    models: Annotated[
        list[str],
        typer.Argument(metavar="MODEL...", help="Trainings, finished or not: NAME, NAME@VERSION or run folders."),
    ],
    show: Annotated[
        str,
        typer.Option(
            "--show",
            metavar="|".join(SHOWS),
            parser=one_of("--show", SHOWS),
            help="Loss and score of the trainings; of one model, which labels it takes for which, or how its examples "
            "spread over length and score.",
        ),
    ] = "curves",
    plot: Annotated[
        str | None,
        typer.Option(
            "--plot", "-o", metavar="FILE", help="Draw into a file, .png, .svg or .pdf, not into the terminal."
        ),
    ] = None,
    by: Annotated[
        str,
        typer.Option(
            metavar="step|epoch|minutes",
            parser=one_of("--by", ("step", "epoch", "minutes")),
            help="What the curves run along.",
        ),
    ] = "step",
    smooth: Annotated[
        float | None,
        typer.Option(
            min=0,
            max=0.99,
            help="Weight of the past in the moving mean of the train loss (default: 0.5, of few evaluations 0).",
        ),
    ] = None,
    split: Annotated[
        str | None,
        typer.Option(
            metavar="train|dev|test",
            parser=one_of("--split", ("train", "dev", "test")),
            help="What confusion and histogram are of (default: test, without one dev).",
        ),
    ] = None,
    runs: Runs = None,
    as_json: Json = False,
) -> None:
    """Draw the curves of trainings, and what a model does on a split."""
    from seqcli.store.runs import Store

    if smooth is not None and not math.isfinite(smooth):
        raise usage_error(f"--smooth: {smooth} is no weight", hint="From 0 to 0.99.")
    picture = None
    if plot is not None:
        from seqcli.cli.pictures import check_picture

        picture = check_picture("--plot", plot)
    if show != "curves" and len(models) > 1:
        raise usage_error(f"--show {show} is of one model, and {len(models)} are given", hint="Name one of them.")
    store = Store(runs)
    if show == "curves":
        found = [store.resolve(one, finished=False) for one in models]
        once = {run.path.resolve(): run for run in found}
        show_panels(curve_view([*once.values()], by, smooth), as_json=as_json, plot=picture)
        return
    run = store.resolve(models[0])
    if show == "confusion":
        from seqcli.cli.inside.view import show_view

        show_view(_confusion(run, split), as_json=as_json, plot=picture)
        return
    from seqcli.cli.split_views import HistogramView
    from seqcli.cli.training_display import open_display
    from seqcli.pipeline.histogram import histogram
    from seqcli.pipeline.model import Model

    with open_display() as display:
        view = HistogramView(histogram(Model.load(run), split or _default_split(run), display.progress))
    show_panels(view, as_json=as_json, plot=picture)


def curve_view(runs: list[Run], by: Any = "step", smooth: float | None = None) -> CurveView:
    """The curves of some runs; what stands in panels of its own is said."""
    from seqcli.cli.curve_view import CurveView
    from seqcli.metrics.metric import METRICS
    from seqcli.pipeline.curves import read_curve

    curves = [read_curve(run) for run in runs]
    if len({curve.run for curve in curves}) < len(curves):  # of several stores
        curves = [replace(curve, run=str(run.path)) for curve, run in zip(curves, runs, strict=True)]
    view = CurveView(curves, by, smooth)
    for parts, what in zip(view.groups(), ("losses", "scores"), strict=True):
        if len(parts) > 1:
            names = [f"{METRICS[key].title if key in METRICS else key} of {_listed(own)}" for key, own in parts.items()]
            console.note(f"{what} that cannot be compared have a panel each: {'; '.join(names)}")
    return view


def _listed(curves: Any) -> str:
    return ", ".join(curve.run for curve in curves)


def show_panels(view: Any, *, as_json: bool, plot: Path | None) -> None:
    """A view by `show_view`; without a file for it its panels follow the table, drawn in characters."""
    from seqcli.cli.inside.view import show_view

    show_view(view, as_json=as_json, plot=plot)
    if plot is None and not as_json:
        from seqcli.cli.panels import in_terminal

        if (drawn := in_terminal(view.panels())) is None:
            console.note("to draw in the terminal too: pip install 'seqcli[plots]'; into a file: --plot FILE")
        else:
            console.write(f"\n{drawn}")


def _default_split(run: Run) -> str:
    return "test" if "test" in run.report() else "dev"


def _confusion(run: Run, split: str | None) -> View:
    """Of the report where the split was measured, else measured now."""
    from seqcli.cli.split_views import ConfusionView

    report = run.report()
    if report.get("task") != "classification":
        raise usage_error(
            f"a confusion matrix is of a classifier; {run} is a model for {report.get('task')}",
            hint="'seqcli evaluate' measures it.",
        )
    split = split or _default_split(run)
    counts = report[split]["counts"] if split in report else _measured(run, split)
    if "confusion" not in counts:
        raise usage_error(
            f"{run} gives an example any number of labels, so no label is taken for another",
            hint="'seqcli evaluate' counts each of them.",
        )
    return ConfusionView(str(run), split, counts["confusion"])


def _measured(run: Run, split: str) -> Any:
    from seqcli.cli.training_display import open_display
    from seqcli.pipeline.evaluate import evaluate

    with open_display() as display:
        return evaluate(run, split=split, progress=display.progress).score.counts
