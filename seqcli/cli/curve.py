"""The verb ``curve``."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Annotated, Any

import typer

from seqcli.cli.options import Device, Json, SetValue
from seqcli.errors import UserError, plural, usage_error

if TYPE_CHECKING:
    from pathlib import Path

    from seqcli.pipeline.learning_curve import Fitted, LearningCurve
    from seqcli.recipe.schema import Recipe

EPILOG = """Examples:

\b
  seqcli curve ner-small --sizes 10,30,100 --seeds 3 -o curve.png
  seqcli curve my.yaml --set training.epochs=5 --keep curve-runs --json
  seqcli curve --decompose --degrees 0,1,3,5,9,15 -o parts.svg"""


def command(
    *,
    recipe: Annotated[
        str | None, typer.Argument(metavar="[RECIPE]", help="A recipe of seqcli or a YAML file; none with --decompose.")
    ] = None,
    sizes: Annotated[
        str, typer.Option(metavar="PERCENT,...", help="Percent of the training examples that are trained on.")
    ] = "1,10,30,100",
    seeds: Annotated[
        int, typer.Option(min=1, max=1000, help="Trainings of each share, with other examples and another start.")
    ] = 1,
    set_: SetValue = None,
    plot: Annotated[
        str | None, typer.Option("--plot", "-o", metavar="FILE", help="Draw into a file: .png, .svg or .pdf.")
    ] = None,
    keep: Annotated[
        str | None,
        typer.Option(metavar="FOLDER", help="Keep the trained models there (default: they go when they are measured)."),
    ] = None,
    decompose: Annotated[
        bool,
        typer.Option(
            "--decompose", help="Bias, variance and noise of polynomials fitted to noisy samples of a sine instead."
        ),
    ] = False,
    degrees: Annotated[
        str, typer.Option(metavar="DEGREE,...", help="Of the polynomials of --decompose.")
    ] = "0,1,3,5,7,9,12,15",
    samples: Annotated[int, typer.Option(min=1, max=10_000, help="Samples of a draw of --decompose.")] = 25,
    noise: Annotated[float, typer.Option(min=0, help="Standard deviation of their noise.")] = 0.3,
    draws: Annotated[int, typer.Option(min=2, max=10_000, help="Draws, each fitted anew.")] = 200,
    seed: Annotated[int, typer.Option(min=0, help="Of the draws of --decompose.")] = 1,
    device: Device = "auto",
    as_json: Json = False,
) -> None:
    """Train on growing shares of the data: bias and variance of a recipe."""
    if decompose == (recipe is not None):
        raise usage_error(
            "--decompose is of a sine, not of a recipe" if decompose else "which recipe?",
            hint="Leave one of the two out."
            if decompose
            else "seqcli curve ner-small; or --decompose, which needs none.",
        )
    picture = None
    if plot is not None:
        from seqcli.cli.pictures import check_picture

        picture = check_picture("--plot", plot)
    if decompose:
        _decompose(_numbers("--degrees", degrees, int), samples, noise, draws, seed, as_json=as_json, plot=picture)
        return
    shares = _numbers("--sizes", sizes, float)
    if not all(0 < share <= 100 for share in shares):
        raise usage_error(f"--sizes: {sizes} is not percent, above 0 and up to 100", hint="Such as 1,10,30,100.")
    from seqcli.cli.learning_views import LearningCurveView
    from seqcli.cli.plot import show_panels
    from seqcli.recipe.load import load_recipe

    assert recipe is not None
    found = _train(load_recipe(recipe, set_ or []).recipe, shares, seeds, device, keep)
    if found.fitted:
        show_panels(LearningCurveView(found), as_json=as_json, plot=picture)
    if found.stopped is not None:
        of = len(set(shares)) * seeds
        raise UserError(f"stopped after {len(found.fitted)} of {plural(of, 'training')}", code=found.stopped)


def _train(recipe: Recipe, sizes: list[float], seeds: int, device: str, keep: str | None) -> LearningCurve:
    from seqcli.cli.signals import stop_requests
    from seqcli.cli.training_display import Watch, open_display
    from seqcli.pipeline.learning_curve import learning_curve
    from seqcli.store.runs import Store

    with open_display() as display, stop_requests(display.say) as should_stop:
        return learning_curve(
            recipe,
            sizes,
            seeds,
            device=device,
            store=None if keep is None else Store(keep),
            should_stop=should_stop,
            progress=display.progress,
            show=lambda one: display.say(_said(recipe, one)),
            event=Watch(display).see,
        )


def _said(recipe: Recipe, one: Fitted) -> str:
    from seqcli.metrics.metric import METRICS
    from seqcli.tasks.base import new_task

    name = new_task(recipe).select_by
    train, dev = (f"{scores.get(name, math.nan):.4g}" for scores in (one.train, one.dev))
    return (
        f"{one.size:g}%, seed {one.seed}: {plural(one.examples, 'example')}, {METRICS[name].title} {train} on train, "
        f"{dev} on dev, {60 * one.minutes:.0f} s"
    )


def _decompose(
    degrees: list[int], samples: int, noise: float, draws: int, seed: int, *, as_json: bool, plot: Path | None
) -> None:
    from seqcli.cli.learning_views import PartsView
    from seqcli.cli.plot import show_panels
    from seqcli.inspect.bias_variance import decompose

    if not math.isfinite(noise):
        raise usage_error(f"--noise: {noise} is not a standard deviation")
    if max(degrees) >= samples or min(degrees) < 0:
        raise usage_error(
            f"--degrees: {samples} samples decide polynomials of degree 0 to {samples - 1}",
            hint="Give lower degrees, or more --samples.",
        )
    settings = {"samples": samples, "noise": noise, "draws": draws, "seed": seed}
    parts = decompose(sorted(set(degrees)), samples=samples, noise=noise, draws=draws, seed=seed)
    show_panels(PartsView(parts, settings), as_json=as_json, plot=plot)


def _numbers(option: str, text: str, kind: Any) -> list[Any]:
    try:
        return [kind(part) for part in text.split(",")]
    except ValueError:
        what = "whole numbers" if kind is int else "numbers"
        raise usage_error(f"{option}: '{text}' is no list of {what} with commas between") from None
