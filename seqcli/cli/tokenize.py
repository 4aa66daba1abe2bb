"""``seqcli tokenize``: lines of text in, lines of tokens out; and what the other text verbs share with it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Annotated, cast

import typer

from seqcli.cli import console
from seqcli.errors import UserError, usage_error
from seqcli.lines import DEFAULT_MAX_LINE, OnInvalid, is_stdin, read_lines, source_name
from seqcli.text.tokenizers import KINDS, build_tokenizer

EPILOG = """\b
Examples:
  echo "Angela's friend didn't pay." | seqcli tokenize
  seqcli tokenize --joiner notes.txt | seqcli detokenize --joiner | cmp - notes.txt"""

File = Annotated[str | None, typer.Argument(metavar="FILE", help="Text, one line at a time; - or none: stdin.")]
Kind = Annotated[str, typer.Option("--kind", "-k", metavar="KIND", help=f"One of: {', '.join(KINDS)}.")]
Model = Annotated[Path | None, typer.Option("--model", metavar="FILE", help="The model of kind sentencepiece.")]
Joiner = Annotated[bool, typer.Option("--joiner", help="Mark missing spaces with ￭ (words, whitespace): reversible.")]
Lowercase = Annotated[bool, typer.Option("--lowercase", help="Lower-case every token.")]
Errors = Annotated[
    str,
    typer.Option("--errors", metavar="strict|replace", help="Invalid UTF-8: stop with its place, or put U+FFFD there."),
]
MaxLine = Annotated[int, typer.Option("--max-line", min=1, metavar="BYTES", help="Longest line accepted.")]


def command(
    file: File = None,
    kind: Kind = "words",
    model: Model = None,
    joiner: Joiner = False,
    lowercase: Lowercase = False,
    errors: Errors = "strict",
    max_line: MaxLine = DEFAULT_MAX_LINE,
) -> None:
    """Cut lines of text into tokens.

    One line out for each line in, the tokens with one space between; blank stays blank.

    \b
    words         PTB and CoNLL style: did n't, Angela 's, U.S., 5,000.50
    whitespace    what white space separates
    characters    grapheme clusters; a space is the token ▁
    bytes         <0x00> ... <0xFF>
    sentencepiece pieces of a model that 'seqcli vocab train-pieces' made
    """
    tokenizer = build_tokenizer(kind, model, joiner=joiner, lowercase=lowercase)
    stream(file, lambda text: " ".join(tokenizer.tokenize(text)), errors, max_line)


def stream(file: str | None, transform: Callable[[str], str], errors: str, max_line: int) -> None:
    """Emit ``transform(line)`` for each line, at once where the lines come from a pipe; errors get their line."""
    flush = is_stdin(file)  # someone may be waiting at the other end of the pipe
    for number, text in read_lines(file, on_invalid=on_invalid(errors), max_line=max_line):
        try:
            result = transform(text)
        except UserError as error:
            if error.file is None:
                error.file, error.line = source_name(file), number
            raise
        console.emit(result, flush=flush)


def token_lines(
    files: list[str], kind: str, model: Path | None, joiner: bool, lowercase: bool, errors: str, max_line: int
) -> Iterator[list[str]]:
    """The tokens of each line of the files (none: standard input)."""
    tokenizer = build_tokenizer(kind, model, joiner=joiner, lowercase=lowercase)
    for file in files or ["-"]:
        for _, text in read_lines(file, on_invalid=on_invalid(errors), max_line=max_line):
            yield tokenizer.tokenize(text)


def on_invalid(errors: str) -> OnInvalid:
    """Check the value of ``--errors``."""
    if errors not in {"strict", "replace"}:
        raise usage_error(f"--errors is 'strict' or 'replace', not '{errors}'")
    return cast("OnInvalid", errors)
