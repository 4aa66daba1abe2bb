"""``seqcli vectors``: word vectors as files that other programs read."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from seqcli.cli import console
from seqcli.cli.options import Runs, choice
from seqcli.cli.word_arguments import choose_vectors

EPILOG = """Examples:

\b
  seqcli vectors export embedding -o embedding.txt
  seqcli vectors export --format tsv | sort | head"""

command = typer.Typer(rich_markup_mode=None, no_args_is_help=True, epilog=EPILOG)


@command.command("export", epilog=EPILOG)
def export(
    model: Annotated[
        str | None,
        typer.Argument(metavar="[MODEL]", help="A trained model; without one, the newest with word vectors."),
    ] = None,
    out: Annotated[Path | None, typer.Option("-o", "--out", metavar="FILE", help="The file; stdout without.")] = None,
    form: Annotated[
        str, typer.Option("--format", help="word2vec (first line: how many, how long), glove (none) or tsv (tabs).")
    ] = "word2vec",
    runs: Runs = None,
) -> None:
    """Write word vectors as text: a word and its values a line, most frequent word first; no special tokens."""
    from seqcli.files import atomic_write
    from seqcli.store.runs import Store
    from seqcli.text.vectors import FORMATS, vector_lines

    choice("--format", form, FORMATS)
    _, vectors = choose_vectors(Store(runs), model, None)
    lines = vector_lines(vectors.words, iter(vectors.matrix), vectors.dim, form)
    if out is None:
        console.emit_lines(lines)
        return
    with atomic_write(out) as handle:
        for line in lines:
            handle.write(f"{line}\n".encode())
    console.note(f"{len(vectors):,} vectors of {vectors.dim} values in {out}")
