"""Gold and predicted tags out of CoNLL files of any tool: two files side by side, or one with both columns."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import zip_longest

from seqcli.errors import UserError, data_error
from seqcli.lines import OnInvalid, read_lines, source_name

Source = str | os.PathLike[str] | None


@dataclass(frozen=True, slots=True)
class TaggedPair:
    """One sentence: its tokens (empty strings where no file has any), both tag sequences, and line numbers."""

    tokens: list[str]
    gold: list[str]
    predicted: list[str]
    gold_lines: list[int]
    predicted_lines: list[int]


@dataclass(frozen=True, slots=True)
class _Rows:
    """The lines of one sentence, each as its columns."""

    lines: list[int]
    columns: list[list[str]]


def read_pairs(gold: Source, predicted: Source, invalid: OnInvalid = "strict") -> Iterator[TaggedPair]:
    """Sentences of two files; the tag is the last column, the token the first when there are at least two.

    Raises:
        UserError: the files differ in a token, a sentence's length or the number of sentences (65, file:line).
    """
    gold_name, predicted_name = source_name(gold), source_name(predicted)
    for one, other in zip_longest(_sentences(gold, invalid), _sentences(predicted, invalid)):
        if one is None:
            raise _no_partner(gold_name, predicted_name, other)
        if other is None:
            raise _no_partner(predicted_name, gold_name, one)
        tokens = []
        for gold_line, gold_row, line, row in zip(one.lines, one.columns, other.lines, other.columns, strict=False):
            if len(gold_row) > 1 and len(row) > 1 and gold_row[0] != row[0]:
                raise data_error(
                    f"the token is '{row[0]}', but '{gold_row[0]}' in {gold_name}:{gold_line}",
                    file=predicted_name,
                    line=line,
                )
            tokens.append(gold_row[0] if len(gold_row) > 1 else row[0] if len(row) > 1 else "")
        if len(one.lines) != len(other.lines):
            raise data_error(
                f"the sentence has {len(other.lines)} tokens, but {len(one.lines)} in {gold_name}:{one.lines[0]}",
                file=predicted_name,
                line=other.lines[0],
            )
        yield TaggedPair(
            tokens, [row[-1] for row in one.columns], [row[-1] for row in other.columns], one.lines, other.lines
        )


def read_one(source: Source, invalid: OnInvalid = "strict") -> Iterator[TaggedPair]:
    """Sentences of one file whose last two columns are the gold and the predicted tag, as conlleval reads them.

    Raises:
        UserError: a line with a single column (exit code 65).
    """
    for rows in _sentences(source, invalid):
        for line, row in zip(rows.lines, rows.columns, strict=True):
            if len(row) < 2:
                raise data_error(
                    "one column, but the gold and the predicted tag are expected in the last two",
                    file=source_name(source),
                    line=line,
                    hint="Give two files (GOLD PREDICTED), or one with both columns.",
                )
        tokens = [row[0] if len(row) > 2 else "" for row in rows.columns]
        gold, predicted = [row[-2] for row in rows.columns], [row[-1] for row in rows.columns]
        yield TaggedPair(tokens, gold, predicted, rows.lines, rows.lines)


def _no_partner(missing: str, name: str, rows: _Rows) -> UserError:
    return data_error(
        f"{missing} has no sentence left to match the one that begins here", file=name, line=rows.lines[0]
    )


def _sentences(source: Source, invalid: OnInvalid) -> Iterator[_Rows]:
    """Runs of lines between blank lines and ``-DOCSTART-`` lines, cut at tabs where a line has one, else at spaces."""
    lines: list[int] = []
    columns: list[list[str]] = []
    for number, text in read_lines(source, on_invalid=invalid):
        cells = [cell.strip() for cell in text.rstrip().split("\t")] if "\t" in text.strip() else text.split()
        if cells and cells[0] != "-DOCSTART-":
            lines.append(number)
            columns.append(cells)
        elif lines:
            yield _Rows(lines, columns)
            lines, columns = [], []
    if lines:
        yield _Rows(lines, columns)
