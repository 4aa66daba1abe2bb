"""What ``predict`` reads: plain lines, or a table whose rows it keeps."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from seqcli.cli.options import Reading, choice
from seqcli.errors import UserError, usage_error
from seqcli.lines import is_stdin, read_batches, source_name

if TYPE_CHECKING:
    from seqcli.data.tables import Table
    from seqcli.pipeline.model import Model as Trained

INPUTS = ("lines", "csv", "tsv", "jsonl", "conll", "conllu")
"""What text can be read as: plain lines, tables with a column of text, sentences with a token a line."""

WITH_COLUMNS = ("csv", "tsv", "jsonl")


@dataclass(frozen=True, kw_only=True)
class TableInput:
    """What the input is, where it is more than lines."""

    input_: Annotated[
        str | None,
        typer.Option(
            "--input",
            metavar="FORMAT",
            help="What the input is: lines, csv, tsv, jsonl, conll or conllu (default: by the file's name, else lines).",
        ),
    ] = None
    column: Annotated[
        str | None,
        typer.Option(
            metavar="NAME|NUMBER",
            help="The column of a table, or the key, that holds the text; all others are kept and the prediction "
            "is added. By name of the header, or by number from 0 where there is none.",
        ),
    ] = None
    into: Annotated[str, typer.Option("--into", metavar="NAME", help="What the added column or key is called.")] = (
        "prediction"
    )


@dataclass(frozen=True)
class Input:
    """What a model is asked about.

    Attributes:
        form: one of `INPUTS`; models of frames read their own.
        media: the files, where they are recordings, clips or pictures; what ``skipped`` takes is wrong with one.
    """

    model: Trained[Any]
    file: str | None
    form: str
    options: TableInput
    reading: Reading
    media: Sequence[str] = ()
    skipped: Callable[[UserError], None] | None = None

    @property
    def name(self) -> str:
        return source_name(self.file)

    def keeps_rows(self, output: str | None) -> bool:
        """Whether predictions go into the rows of the table that they are of.

        Raises:
            UserError: an output format that would lose the other columns (2).
        """
        if self.form == "lines" or output in (None, self.form):
            return self.form != "lines"
        if self.form in WITH_COLUMNS:
            raise usage_error(
                f"--format {output}: {self.form} stays {self.form}, with the prediction in each row",
                hint="Leave it out.",
            )
        return False

    def table(self, added: Sequence[str] = ()) -> Table[Any]:
        """The table, to be read once, with what follows the name of the added column in that of each of them."""
        from seqcli.data.tables import TABLES, TableOptions

        column, into = self.options.column, self.options.into
        number = column is not None and re.fullmatch(r"-?\d{1,9}", column)
        options = TableOptions(
            int(column) if column is not None and number else column,
            [f"{into}{end}" for end in added],
            self.reading.invalid,
            self.reading.max_line,
        )
        return TABLES[self.form](self.file, options)

    def media_blocks(self) -> Iterable[list[tuple[str, Any]]]:
        """The frames of media files, each with its name, some at a time."""
        from seqcli.pipeline.frames import media_batches

        return media_batches(self.model, self.media, self.skipped)

    def blocks(self) -> Iterable[list[Any]]:
        """What to predict, as much as there is now: lines, lists of tokens, or sequences of frames."""
        if self.media:
            return ([frames for _, frames in block] for block in self.media_blocks())
        invalid, max_line = self.reading.invalid, self.reading.max_line
        if self.model.task.source.unit == "frames":
            from seqcli.pipeline.frames import frame_batches

            return frame_batches(self.model, self.file, on_invalid=invalid, max_line=max_line)
        if self.form == "lines":
            return read_batches(self.file, on_invalid=invalid, max_line=max_line)
        return (list(rows.items) for rows in self.table().rows() if rows.items)


def open_input(
    model: Trained[Any],
    files: Sequence[str],
    options: TableInput,
    reading: Reading,
    skipped: Callable[[UserError], None] | None = None,
) -> Input:
    """The input in the format that the options say, else the file's name; else it is lines.

    Raises:
        UserError: several files, where they are no media files, a table without a column, a column without a table, what the model does not read (2).
    """
    if not options.into:
        raise usage_error("--into: a column needs a name")
    file = files[0] if files else None
    task, name, column = model.task, source_name(file), options.column
    said = None if options.input_ is None else choice("--input", options.input_, INPUTS)
    if task.source.unit == "frames":
        for option, value in (("--input", said), ("--column", column)):
            if value is not None:
                raise usage_error(f"{option} is for text; {model.name} reads frames")
        from seqcli.pipeline.frames import takes_media

        if takes_media(model, files):
            return Input(model, file, "lines", options, reading, files or ("-",), skipped)
    if len(files) > 1:
        raise usage_error(
            f"{model.name} reads one file at a time", hint="Join them: cat FILE... | seqcli predict MODEL."
        )
    if skipped is not None:
        raise usage_error("--skip-bad is for models of recordings, clips or pictures")
    if task.source.unit == "frames":
        return Input(model, file, "lines", options, reading)
    known = INPUTS if task.kind == "tagging" else ("lines", *WITH_COLUMNS)
    form = said or _by_name(file, known) or "lines"
    if form not in known:
        raise usage_error(f"--input {form} is for taggers; {model.name} is a classifier")
    if form == "lines" and column is not None:
        raise usage_error(
            f"--column is of a table, and {name} is read as plain lines", hint="Say what it is: --input csv."
        )
    if form in WITH_COLUMNS and column is None:
        raise usage_error(
            f"{name} is {form}: which column holds the text?",
            hint="Add --column NAME, or its number from 0; --input lines reads it as plain lines.",
        )
    return Input(model, file, form, options, reading)


def _by_name(file: str | None, known: Sequence[str]) -> str | None:
    from seqcli.data.formats import format_by_name

    if is_stdin(file):
        return None
    suffix = Path(str(file).lower().removesuffix(".gz")).suffix
    form = "tsv" if suffix == ".tsv" else format_by_name(str(file))
    return form if form in known else None


class ConllLook:
    """Tells by the first lines whether what is read as plain lines is CoNLL: as many columns, and a known tag in one.

    Three lines are enough, or one with a tag such as ``B-PER``; ``.`` is a word as well as a tag, and proves nothing.
    """

    _ENOUGH = 3

    def __init__(self, tags: Iterable[str]) -> None:
        self.tags = frozenset(tag for tag in tags if any(map(str.isalpha, tag)))
        self.width = 0
        self.columns: frozenset[int] = frozenset()
        self.evidence = 0
        self.is_over = False

    def sees(self, lines: Iterable[str]) -> bool:
        """Whether these lines, the next ones, make it clear; true once."""
        from seqcli.data.formats.conll import split_row

        for line in lines:
            if self.is_over:
                break
            cells = split_row(line)
            if not any(cells) or line.startswith(("# ", "-DOCSTART-")):
                continue
            tagged = frozenset(place for place, cell in enumerate(cells) if place and cell in self.tags)
            self.columns = self.columns & tagged if self.width == len(cells) else frozenset()
            if self.width == 0:
                self.width, self.columns = len(cells), tagged
            self.evidence += self._ENOUGH if any("-" in cells[place] for place in self.columns) else 1
            self.is_over = not self.columns or self.evidence >= self._ENOUGH
            if self.is_over and self.columns:
                return True
        return False
