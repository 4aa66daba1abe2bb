"""The verb ``vocab``: build a vocabulary, look at it, put it to use."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Annotated, Any

import typer

from seqcli.cli import console, show
from seqcli.cli.options import File, Json, Reading, examples, grouped, verb_of_verbs
from seqcli.cli.tokenize import Lowercase, TokenizerOptions, stream, token_lines
from seqcli.errors import data_error, plural
from seqcli.text.pieces import train_sentencepiece
from seqcli.text.vocabulary import DEFAULT_SPECIALS, Vocabulary, count_tokens

command = verb_of_verbs(
    'seqcli vocab build corpus.txt --max-size 10000 --specials "<UNK>,<EOS>" -o vocab.txt',
    "seqcli vocab stats vocab.txt test.txt",
)

Corpus = Annotated[list[str] | None, typer.Argument(metavar="CORPUS", help="Text files; - or none: stdin.")]
VocabFile = Annotated[Path, typer.Argument(metavar="VOCAB", help="A file that 'vocab build' wrote.")]


@command.command(
    "build",
    epilog=examples(
        "seqcli vocab build train.txt --max-size 10000 -o vocab.txt",
        'seqcli vocab build train.txt --specials "<UNK>,<EOS>" --min-count 2 -o vocab.txt',
    ),
)
@grouped
def build(
    *,
    out: Annotated[Path, typer.Option("-o", "--out", metavar="FILE", help="Where the vocabulary goes.")],
    corpus: Corpus = None,
    max_size: Annotated[int | None, typer.Option(min=0, help="Most rows, special tokens not counted.")] = None,
    min_count: Annotated[int, typer.Option(min=1, help="Fewest occurrences that earn a row.")] = 1,
    specials: Annotated[str, typer.Option(help="Special tokens in the order of their ids, or none.")] = ",".join(
        DEFAULT_SPECIALS
    ),
    tokenizer: TokenizerOptions,
    lowercase: Lowercase = False,
    reading: Reading,
    as_json: Json = False,
) -> None:
    """Build a vocabulary from text files: the training text, and no other."""
    counts = count_tokens(token_lines(corpus, tokenizer.build(lowercase), reading))
    if not counts:
        raise data_error("no tokens: every line is blank", file=", ".join(corpus or ["<stdin>"]))
    names = [] if specials == "none" else [name.strip() for name in specials.split(",")]
    vocabulary = Vocabulary.build(counts, max_size, min_count, names)
    vocabulary.save(out)
    covered = _coverage(vocabulary, counts)
    _report({"rows": len(vocabulary), "specials": len(names), **covered, "file": str(out)}, as_json)


@command.command(
    "show", epilog=examples("seqcli vocab show vocab.txt -n 50", "seqcli vocab show vocab.txt --json | jq .rows")
)
def show_rows(
    vocab: VocabFile,
    number: Annotated[int, typer.Option("-n", "--number", min=0, help="How many rows, from the first.")] = 20,
    as_json: Json = False,
) -> None:
    """Show the first rows of a vocabulary: id, token, count."""
    vocabulary = Vocabulary.load(vocab)
    rows = list(zip(range(number), vocabulary.counts, vocabulary.tokens, strict=False))
    if as_json:
        console.emit_json(
            {
                "rows": len(vocabulary),
                "specials": list(vocabulary.specials),
                "sha256": vocabulary.content_hash(),
                "tokens": [{"id": row, "token": token, "count": count} for row, count, token in rows],
            }
        )
        return
    console.emit_lines(show.table(rows, ("id", "count", "token"), right=(0, 1)))
    if len(rows) < len(vocabulary):
        console.note(f"{plural(len(vocabulary) - len(rows), 'more row')}; -n shows more")


@command.command(
    "stats", epilog=examples("seqcli vocab stats vocab.txt test.txt", "seqcli vocab stats vocab.txt test.txt --json")
)
@grouped
def stats(
    *,
    vocab: VocabFile,
    text: Corpus = None,
    tokenizer: TokenizerOptions,
    lowercase: Lowercase = False,
    reading: Reading,
    as_json: Json = False,
) -> None:
    """Measure how much of a text a vocabulary covers."""
    vocabulary = Vocabulary.load(vocab)
    counts = count_tokens(token_lines(text, tokenizer.build(lowercase), reading))
    unknown = sorted(vocabulary.unknown(counts).items(), key=lambda item: (-item[1], item[0]))[:10]
    values = {"rows": len(vocabulary), **_coverage(vocabulary, counts)}
    if as_json:
        console.emit_json({**values, "most_frequent_unknown": dict(unknown)})
        return
    _report(values, as_json)
    if unknown:
        console.emit("most frequent unknown: " + ", ".join(f"{token} ({count:,})" for token, count in unknown))


@command.command(
    "encode",
    epilog=examples(
        'echo "the cat sat" | seqcli vocab encode vocab.txt',
        'echo "the cat sat" | seqcli vocab encode vocab.txt --one-hot',
    ),
)
@grouped
def encode(
    *,
    vocab: VocabFile,
    file: File = None,
    one_hot: Annotated[
        bool, typer.Option("--one-hot", help="Show each token's vector: a line a token, for teaching.")
    ] = False,
    tokenizer: TokenizerOptions,
    lowercase: Lowercase = False,
    reading: Reading,
) -> None:
    """Turn lines of text into lines of ids."""
    vocabulary = Vocabulary.load(vocab)
    built = tokenizer.build(lowercase)

    def ids_of(text: str) -> str:
        tokens = built.tokenize(text)
        ids = vocabulary.encode(tokens)
        if one_hot:
            return "".join(line + "\n" for line in _one_hot(tokens, ids, vocabulary))
        return " ".join(map(str, ids))

    stream(file, ids_of, reading)


@command.command(
    "decode",
    epilog=examples(
        'echo "5 9 12" | seqcli vocab decode vocab.txt',
        "seqcli vocab encode -k bytes v.txt a.txt | seqcli vocab decode v.txt | seqcli detokenize -k bytes",
    ),
)
@grouped
def decode(*, vocab: VocabFile, file: File = None, reading: Reading) -> None:
    """Turn lines of ids into lines of tokens."""
    vocabulary = Vocabulary.load(vocab)
    stream(file, lambda text: " ".join(vocabulary.decode(map(_id, text.split()))), reading)


@command.command(
    "train-pieces",
    epilog=examples(
        "seqcli vocab train-pieces train.txt --size 8000 -o sp.model",
        "seqcli tokenize --kind sentencepiece --model sp.model notes.txt",
    ),
)
@grouped
def train_pieces(
    *,
    out: Annotated[Path, typer.Option("-o", "--out", metavar="FILE", help="Where the model goes.")],
    corpus: Corpus = None,
    size: Annotated[int, typer.Option(min=1, max=10**7, help="Pieces, with <unk> <s> </s>.")] = 8000,
    model_type: Annotated[
        str, typer.Option("--type", metavar="unigram|bpe", help="How pieces are chosen.")
    ] = "unigram",
    coverage: Annotated[float, typer.Option(min=0.98, max=1.0, help="Share of the characters that get a piece.")] = 1.0,
    lowercase: Annotated[bool, typer.Option("--lowercase", help="Train on lower-cased text.")] = False,
    reading: Reading,
    as_json: Json = False,
) -> None:
    """Train a sentencepiece model on text files."""
    report = train_sentencepiece(
        corpus or [None],
        size,
        out,
        model_type,
        character_coverage=coverage,
        lowercase=lowercase,
        on_invalid=reading.invalid,
        max_line=reading.max_line,
    )
    if report.left_out:
        console.warn(f"left out, for they are over 1 MiB: {plural(report.left_out, 'line')}")
    _report({"pieces": report.pieces, "lines": report.lines, "file": str(out)}, as_json)


def _coverage(vocabulary: Vocabulary, counts: Counter[str]) -> dict[str, Any]:
    """Tokens and types of a text, and how many of them have no row."""
    unknown = vocabulary.unknown(counts)
    tokens, types = counts.total(), len(counts)
    return {
        "tokens": tokens,
        "types": types,
        "unknown_tokens": unknown.total(),
        "unknown_types": len(unknown),
        "token_coverage": round(1 - unknown.total() / tokens, 6) if tokens else None,
        "type_coverage": round(1 - len(unknown) / types, 6) if types else None,
    }


def _report(values: dict[str, Any], as_json: bool) -> None:
    if as_json:
        console.emit_json(values)
        return
    for name, value in values.items():
        if isinstance(value, float):
            value = f"{value:.2%}"  # noqa: PLW2901
        elif isinstance(value, int):
            value = f"{value:,}"  # noqa: PLW2901
        console.emit(f"{name.replace('_', ' '):<15} {'-' if value is None else value}")


_WIDEST_VECTOR = 32


def _one_hot(tokens: list[str], ids: list[int], vocabulary: Vocabulary) -> list[str]:
    """A line a token: the token, its id, and its one-hot vector (cut short when it is wider than a screen)."""
    size = len(vocabulary)
    lines = []
    for token, number in zip(tokens, ids, strict=True):
        if size <= _WIDEST_VECTOR:
            vector = " ".join("1" if column == number else "0" for column in range(size))
        else:
            vector = f"0 ... 1 ... 0, the 1 at {number} of 0 to {size - 1}"
        name = token if vocabulary.tokens[number] == token else f"{token} as {vocabulary.tokens[number]}"
        lines.append((name, number, vector))
    return show.table(lines, right=(1,))


def _id(word: str) -> int:
    if not (word.isascii() and word.isdigit() and len(word) < 19):
        raise data_error(f"'{word}' is not an id", hint="An id is a number from 0.")
    return int(word)
