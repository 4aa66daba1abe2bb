"""The verb ``impute``."""

from __future__ import annotations

from typing import Annotated

import typer

from seqcli.cli import console
from seqcli.cli.forecast import FORMATS, run_and_file
from seqcli.cli.options import Columns, JsonLines, Running, choice, examples, grouped, parse_columns
from seqcli.errors import plural

EPILOG = examples(
    "seqcli impute air-quality < measured.csv > filled.csv", "seqcli impute pollution measured.csv --mark | head -40"
)


@grouped
def command(
    *,
    model: Annotated[
        str | None,
        typer.Argument(
            metavar="[MODEL]",
            help="A trained imputer: NAME, NAME@VERSION or a run folder; the newest one where the first argument is no run.",
        ),
    ] = None,
    file: Annotated[
        str | None,
        typer.Argument(
            metavar="[FILE]",
            help="A table of series: a row for each step in time, or a line for each series; '-' or nothing reads stdin.",
        ),
    ] = None,
    mark: Annotated[
        bool, typer.Option("--mark", help="Add a column 'filled' that names the columns filled in each row.")
    ] = False,
    form: Annotated[
        str | None,
        typer.Option("--format", help="series (a row a step) or series-rows (a line a series); default: by the file."),
    ] = None,
    columns: Columns = None,
    as_json: JsonLines = False,
    running: Running,
) -> None:
    """Fill the gaps of series.

    The same file comes out: only cells without a value change, and steps that the file leaves out get rows where the model
    was trained with data.gaps: fill. With --json an object for each series, with all its values and how many were filled.
    """
    from seqcli.pipeline.impute import Imputer
    from seqcli.pipeline.model import Model
    from seqcli.tasks.imputation import document

    if form is not None:
        choice("--format", form, FORMATS)
    run, file = run_and_file(model, file, running.runs, "imputation")
    loaded = Model.load(run, device=running.device, engine=running.engine)
    if loaded.notice is not None:
        console.warn(loaded.notice)
    imputer = Imputer(loaded, file, form=form, columns=parse_columns(columns))
    imputer.fill()
    if as_json:
        for one in imputer.filled:
            console.write(f"{console.json_text(document(one))}\n")
    else:
        for text in imputer.text(mark=mark):
            console.write(text)
    filled = {name: count for name, count in imputer.counts.items() if count}
    of = ", ".join(f"{name} {count:,}" for name, count in filled.items())
    total = sum(filled.values())
    said = f"filled {plural(total, 'value')}" + (f" ({of})" if len(filled) > 1 else "")
    console.note(said + (f"; added {plural(imputer.added, 'row')}" if imputer.added else ""))
    if imputer.left:
        console.note(f"left as they are: {plural(imputer.left, 'gap')} in columns that {run} does not fill")
