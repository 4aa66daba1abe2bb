"""The verb ``tokenize``; and what the other text verbs share with it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from seqcli.cli import console
from seqcli.cli.options import File, Reading, examples, grouped
from seqcli.errors import UserError
from seqcli.lines import is_stdin, read_lines, source_name
from seqcli.text.tokenizers import KINDS, Tokenizer, build_tokenizer

EPILOG = examples(
    """echo "Angela's friend didn't pay." | seqcli tokenize""",
    "seqcli tokenize --joiner notes.txt | seqcli detokenize --joiner | cmp - notes.txt",
)

Lowercase = Annotated[bool, typer.Option("--lowercase", help="Lower-case every token.")]


@dataclass(frozen=True, kw_only=True)
class TokenizerOptions:
    """Which tokenizer."""

    kind: Annotated[str, typer.Option("--kind", "-k", metavar="KIND", help=f"One of: {', '.join(KINDS)}.")] = "words"
    model: Annotated[Path | None, typer.Option(metavar="FILE", help="The model of kind sentencepiece.")] = None
    joiner: Annotated[
        bool, typer.Option("--joiner", help="Mark missing spaces with ￭ (words, whitespace): reversible.")
    ] = False

    def build(self, lowercase: bool = False) -> Tokenizer:
        return build_tokenizer(self.kind, self.model, joiner=self.joiner, lowercase=lowercase)


@grouped
def command(*, file: File = None, tokenizer: TokenizerOptions, lowercase: Lowercase = False, reading: Reading) -> None:
    """Cut lines of text into tokens.

    One line out for each line in, the tokens with one space between; blank stays blank.

    \b
    words         PTB and CoNLL style: did n't, Angela 's, U.S., 5,000.50
    whitespace    what white space separates
    characters    grapheme clusters; a space is the token ▁
    bytes         <0x00> ... <0xFF>
    sentencepiece pieces of a model that 'seqcli vocab train-pieces' made
    """
    built = tokenizer.build(lowercase)
    stream(file, lambda text: " ".join(built.tokenize(text)), reading)


def stream(file: str | None, transform: Callable[[str], str], reading: Reading) -> None:
    """Emit ``transform(line)`` for each line, at once where the lines come from a pipe; errors get their line."""
    flush = is_stdin(file)  # someone may be waiting at the other end of the pipe
    for number, text in read_lines(file, on_invalid=reading.invalid, max_line=reading.max_line):
        try:
            result = transform(text)
        except UserError as error:
            if error.file is None:
                error.file, error.line = source_name(file), number
            raise
        console.emit(result, flush=flush)


def token_lines(files: list[str] | None, tokenizer: Tokenizer, reading: Reading) -> Iterator[list[str]]:
    """The tokens of each line of the files (none: standard input)."""
    for file in files or ["-"]:
        for _, text in read_lines(file, on_invalid=reading.invalid, max_line=reading.max_line):
            yield tokenizer.tokenize(text)
