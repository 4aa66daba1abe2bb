"""Gold and predicted tags out of CoNLL files of any tool: two files side by side, or one with both columns."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import zip_longest

from seqcli.errors import UserError, data_error, plural
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


_Sentence = list[tuple[int, list[str]]]
"""The lines of one sentence: the number of each, and its columns."""


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
        for (gold_line, gold_row), (line, row) in zip(one, other, strict=False):
            if len(gold_row) > 1 and len(row) > 1 and gold_row[0] != row[0]:
                raise data_error(
                    f"the token is '{row[0]}', but '{gold_row[0]}' in {gold_name}:{gold_line}",
                    file=predicted_name,
                    line=line,
                )
            tokens.append(gold_row[0] if len(gold_row) > 1 else row[0] if len(row) > 1 else "")
        if len(one) != len(other):
            raise data_error(
                f"the sentence has {plural(len(other), 'token')}, but {len(one)} in {gold_name}:{one[0][0]}",
                file=predicted_name,
                line=other[0][0],
            )
        gold_tags, predicted_tags = [row[-1] for _, row in one], [row[-1] for _, row in other]
        yield TaggedPair(tokens, gold_tags, predicted_tags, [line for line, _ in one], [line for line, _ in other])


def read_one(source: Source, invalid: OnInvalid = "strict") -> Iterator[TaggedPair]:
    """Sentences of one file whose last two columns are the gold and the predicted tag, as conlleval reads them.

    Raises:
        UserError: a line with a single column (exit code 65).
    """
    for sentence in _sentences(source, invalid):
        for line, row in sentence:
            if len(row) < 2:
                raise data_error(
                    "one column, but the gold and the predicted tag are expected in the last two",
                    file=source_name(source),
                    line=line,
                    hint="Give two files (GOLD PREDICTED), or one with both columns.",
                )
        tokens = [row[0] if len(row) > 2 else "" for _, row in sentence]
        gold, predicted = [row[-2] for _, row in sentence], [row[-1] for _, row in sentence]
        lines = [line for line, _ in sentence]
        yield TaggedPair(tokens, gold, predicted, lines, lines)


def _no_partner(missing: str, name: str, sentence: _Sentence) -> UserError:
    line = sentence[0][0]
    return data_error(f"{missing} has no sentence left to match the one that begins here", file=name, line=line)


def _sentences(source: Source, invalid: OnInvalid) -> Iterator[_Sentence]:
    """Runs of lines between blank lines and ``-DOCSTART-`` lines, cut at tabs where a line has one, else at spaces."""
    lines: list[tuple[int, str]] = []
    for number, text in read_lines(source, on_invalid=invalid):
        if text.strip() and text.split(maxsplit=1)[0] != "-DOCSTART-":
            lines.append((number, text))
        elif lines:
            yield _without_comments(lines)
            lines = []
    if lines:
        yield _without_comments(lines)


def _without_comments(lines: list[tuple[int, str]]) -> _Sentence:
    """A sentence without the ``#`` lines at its head that have not the columns of its last line."""
    first = 0
    while (text := lines[first][1]) == "#" or text.startswith("# "):
        if ("\t" in text, len(_cells(text))) == ("\t" in lines[-1][1], len(_cells(lines[-1][1]))):
            break
        first += 1
    return [(number, _cells(text)) for number, text in lines[first:]]


def _cells(text: str) -> list[str]:
    return [cell.strip() for cell in text.rstrip().split("\t")] if "\t" in text.strip() else text.split()
