"""The verb ``forecast``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from seqcli.cli import console
from seqcli.cli.options import Columns, JsonLines, Running, choice, examples, grouped, parse_columns
from seqcli.errors import plural, usage_error

if TYPE_CHECKING:
    from seqcli.pipeline.forecast import Answer, Forecaster
    from seqcli.store.runs import Run

FORMATS = ("series", "series-rows")

MOST_DRAWN = 6
"""Series of which `draw_forecasts` may draw some."""

EPILOG = examples(
    "seqcli forecast passengers < passengers.csv > next12.csv",
    "seqcli forecast passengers passengers.csv --steps 24 --plot next.png",
    "seqcli forecast users hourly.csv --quantiles 0.1,0.9",
)


@grouped
def command(
    *,
    model: Annotated[
        str | None,
        typer.Argument(
            metavar="[MODEL]",
            help="A trained forecaster: NAME, NAME@VERSION or a run folder; the newest one where the first argument is "
            "no run.",
        ),
    ] = None,
    file: Annotated[
        str | None,
        typer.Argument(
            metavar="[FILE]",
            help="A table of series: a row for each step in time, or a line for each series; '-' or nothing reads stdin.",
        ),
    ] = None,
    steps: Annotated[int | None, typer.Option(help="Steps ahead (default: those of the model).", min=1)] = None,
    quantiles: Annotated[
        str | None,
        typer.Option(metavar="Q,...", help="Add a column for each of these quantiles of the model, such as 0.1,0.9."),
    ] = None,
    plot: Annotated[
        str | None,
        typer.Option("--plot", metavar="PNG", help="Draw the first series and their forecasts (matplotlib)."),
    ] = None,
    form: Annotated[
        str | None,
        typer.Option("--format", help="series (a row a step) or series-rows (a line a series); default: by the file."),
    ] = None,
    columns: Columns = None,
    as_json: JsonLines = False,
    running: Running,
) -> None:
    """Forecast the next values of series.

    The table that comes out has the columns of the one that goes in, and the times that go on. Columns whose future is
    known are read from rows in which they alone have values.
    """
    from seqcli.pipeline.forecast import Forecaster
    from seqcli.pipeline.model import Model

    if form is not None:
        choice("--format", form, FORMATS)
    if plot is not None:
        from seqcli.cli.pictures import check_picture

        check_picture("--plot", plot)
    run, file = run_and_file(model, file, running.runs, "forecasting")
    loaded = Model.load(run, device=running.device, engine=running.engine)
    if loaded.notice is not None:
        console.warn(loaded.notice)
    forecaster = Forecaster(loaded, file, steps, _shares(quantiles), form=form, columns=parse_columns(columns))
    print_forecasts(forecaster, as_json=as_json, plot=plot)


def run_and_file(model: str | None, file: str | None, runs: str | None, task: str) -> tuple[Run, str | None]:
    """The model and the file that two arguments mean: the first may be the file, and the newest model is taken."""
    from seqcli.store.runs import Store

    store = Store(runs)
    is_run = model is not None and (store.knows(model) or (file is not None) or not _is_file(model))
    if model is not None and not is_run:
        model, file = None, model
    run = store.resolve(model, task_kinds=(task,))
    if model is None:
        console.note(f"using {run}")
    return run, file


def print_forecasts(forecaster: Forecaster, *, as_json: bool, plot: str | None = None) -> None:
    """Print what comes after each series, and say what was odd about them."""
    from seqcli.tasks.forecasting import document

    task = forecaster.task
    drawn: list[Answer] = []
    if forecaster.quantiles and task.goes_on:
        console.warn(
            f"the model predicts {plural(task.window.steps, 'step')} at once; what follows is made of its own forecast, "
            "and bands there are too narrow"
        )
    for answers in forecaster.answers():
        if as_json:
            kept = [answer.forecast.only(forecaster.quantiles) for answer in answers]
            console.write("".join(f"{console.json_text(document(one))}\n" for one in kept), flush=True)
        else:
            console.write(forecaster.table(answers), flush=True)
        if plot is not None and not drawn:
            drawn = answers[:MOST_DRAWN]
    if filled := task.source.filled:
        console.note(f"filled {plural(filled, 'missing value')}")
    if plot is not None:
        from seqcli.cli.series_plot import draw_forecasts

        draw_forecasts(drawn, Path(plot), forecaster.quantiles)
        console.note(f"drawn in {plot}")


def _is_file(name: str) -> bool:
    return name == "-" or Path(name).exists()


def _shares(text: str | None) -> list[float]:
    """The quantiles of an option, rising."""
    if text is None:
        return []
    try:
        shares = sorted({float(part) for part in text.split(",")})
    except ValueError:
        shares = []
    if not shares or not all(0 < share < 1 for share in shares):
        raise usage_error(f"--quantiles: '{text}' is no list of shares", hint="Such as 0.1,0.9.")
    return shares
