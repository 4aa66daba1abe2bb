"""Tab-separated values: one example a line, quotes are plain characters.

The key of a column says what it holds: ``source`` and ``target`` are text as it stands; ``token`` and ``tag`` are
lists, separated by spaces. A column is a number (from 0, negative from the end) or a name; one name makes the first
line of the file a header.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from seqcli.data.blocks import OnError, Part, Source, name_of, read_blocks, report
from seqcli.data.example import Example
from seqcli.errors import UserError, data_error, did_you_mean
from seqcli.lines import DEFAULT_MAX_LINE, OnInvalid

SOURCES = ("source", "token")
TARGETS = ("target", "tag")
DEFAULT_COLUMNS: dict[str, int | str] = {"source": 0, "target": 1}


def read(
    source: Source,
    *,
    columns: Mapping[str, int | str] | None = None,
    max_line: int = DEFAULT_MAX_LINE,
    on_invalid: OnInvalid = "strict",
    on_error: OnError | None = None,
    lone_source: bool = False,
) -> Iterator[Example]:
    """Yield one example a line; blank lines are skipped.

    Args:
        columns: ``source`` or ``token``, and ``target`` or ``tag`` (or neither: no target); default source 0, target 1.
        on_error: takes an error of a line instead of raising it; the line is then skipped.
        lone_source: without ``columns``, a file of one column has no target.

    Raises:
        UserError: a line with another number of columns than the first, a column that does not exist, as many tokens
            as tags not there (65, with file:line); and what `read_blocks` raises.
    """
    lone_source = lone_source and not columns
    columns = columns or DEFAULT_COLUMNS
    name = name_of(source)
    source_key = next(key for key in SOURCES if key in columns)
    target_key = next((key for key in TARGETS if key in columns), None)
    has_header = any(isinstance(columns[key], str) for key in columns)
    width = 0
    places: dict[str, int] = {}
    if isinstance(source, Part) and source.start:
        head_line, cells = _first_row(source.path, max_line)
        if lone_source and len(cells) == 1:
            columns, target_key = {source_key: 0}, None
        width, places = len(cells), _places(columns, cells, name, head_line)
    for first, lines in read_blocks(source, on_invalid=on_invalid, max_line=max_line):
        for number, line in enumerate(lines, first):
            if not line.strip(" \t"):
                continue
            cells = line.split("\t")
            if not places:
                if lone_source and len(cells) == 1:
                    columns, target_key = {source_key: 0}, None
                width, places = len(cells), _places(columns, cells, name, number)
                if has_header:
                    continue
            if len(cells) != width:
                report(
                    data_error(
                        f"{len(cells)} tab-separated columns where the file's first line has {width}",
                        file=name,
                        line=number,
                    ),
                    on_error,
                )
                continue
            value = _value(cells[places[source_key]], source_key)
            target = _value(cells[places[target_key]], target_key) if target_key else None
            if wrong := wrong_lengths(value, target, name, number):
                report(wrong, on_error)
                continue
            yield Example(value, target, f"{name}:{number}")


def wrong_lengths(source: object, target: object, name: str, line: int) -> UserError | None:
    """The error of a list of tokens and a list of tags of different lengths (exit code 65), or None."""
    if isinstance(source, list) and isinstance(target, list) and len(source) != len(target):
        return data_error(f"{len(source)} tokens but {len(target)} tags", file=name, line=line)
    return None


def _value(cell: str, key: str) -> str | list[str]:
    if key in ("token", "tag"):
        return [item for item in cell.split(" ") if item]
    return cell


def _first_row(path: object, max_line: int) -> tuple[int, list[str]]:
    for first, lines in read_blocks(str(path), on_invalid="replace", max_line=max_line):
        for number, line in enumerate(lines, first):
            if line.strip(" \t"):
                return number, line.split("\t")
    return 1, []


def _places(columns: Mapping[str, int | str], cells: list[str], name: str, line: int) -> dict[str, int]:
    places = {}
    for key, column in columns.items():
        if isinstance(column, str):
            if column not in cells:
                raise _no_name(column, cells, name, line)
            places[key] = cells.index(column)
        elif -len(cells) <= column < len(cells):
            places[key] = column
        else:
            raise data_error(
                f"there is no column {column} for the {key}; the line has {len(cells)} (tabs between them)",
                file=name,
                line=line,
                hint="Columns count from 0; set data.columns.",
            )
    return places


def _no_name(column: str, cells: list[str], name: str, line: int) -> UserError:
    hint = did_you_mean(column, cells) or f"The header has: {', '.join(cells)[:200]}."
    return data_error(f"the header has no column '{column}'", file=name, line=line, hint=hint)
