"""The verb ``start``: from a user's own files to a recipe that fits them."""

from __future__ import annotations

import re
import shlex
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from seqcli.cli import console
from seqcli.cli.options import Columns, Format, Json, examples, parse_columns
from seqcli.errors import plural, usage_error

if TYPE_CHECKING:
    from seqcli.pipeline.look import Look, Seen

EPILOG = examples("seqcli start reviews.csv", "seqcli start train.conll dev.conll test.conll --name mine")

_SHOWN = 8


def command(
    files: Annotated[
        list[str],
        typer.Argument(
            metavar="TRAIN [DEV] [TEST]", help="One to three files; a name with 'dev' or 'test' says which."
        ),
    ],
    output: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="FILE", help="The recipe to write (default: NAME.yaml).")
    ] = None,
    name: Annotated[
        str | None, typer.Option("--name", help="What the model will be called (default: after the files).")
    ] = None,
    task: Annotated[
        str | None,
        typer.Option("--task", help="tagging, classification, language-model or word-vectors (default: by the files)."),
    ] = None,
    data_format: Format = None,
    columns: Columns = None,
    force: Annotated[bool, typer.Option("--force", "-f", help="Overwrite the recipe if it exists.")] = False,
    as_json: Json = False,
) -> None:
    """Look at your own files and write a recipe that fits them."""
    from seqcli.data.formats import Reading, format_class
    from seqcli.files import atomic_write_text
    from seqcli.pipeline.draft import draft, remarks
    from seqcli.pipeline.look import look
    from seqcli.recipe.copy import file_name
    from seqcli.recipe.load import recipe_from_text
    from seqcli.store.runs import check_name

    if name is not None:
        check_name(name)
    if data_format is not None:
        format_class(data_format)
    chosen = name or (file_name(output) if output else "") or _name_after(files[0])
    target = output or Path(f"{chosen}.yaml")
    if target.exists() and not force:
        raise usage_error(
            "exists already", file=target, hint="Name another with -o FILE or --name, or overwrite it with --force."
        )
    found = look(files, Reading(data_format, parse_columns(columns)), task)
    text = draft(found, chosen, target.parent)
    recipe_from_text(text, name=str(target))  # what is written is what trains
    atomic_write_text(target, text)
    following = [*_next(found, chosen, target, data_format, columns)]
    if as_json:
        console.emit_json(
            {
                "recipe": str(target),
                "name": chosen,
                "task": found.task,
                "format": found.reading.format,
                "columns": dict(found.reading.columns) if found.reading.columns else None,
                "scheme": found.scheme,
                "splits": {split: _counts(seen) for split, seen in found.seen.items()},
                "next": following,
            }
        )
        return
    for line in (*_seen(found), *remarks(found)):
        console.note(line)
    for warning in _warnings(found):
        console.warn(warning)
    console.emit(str(target))
    console.note("Next:")
    for line in following:
        console.note(f"  {line}")


def _name_after(file: str) -> str:
    """A name for the model after its training file: ``reviews.train.csv`` is ``reviews``; never one of our recipes."""
    from seqcli.recipe.copy import file_name
    from seqcli.recipe.folder import recipe_names

    stem = file_name(Path(file.removesuffix(".gz")))
    parts = [part for part in re.split(r"[._-]+", stem) if part and part not in ("train", "training", "data")]
    name = "-".join(parts) or "mine"
    return f"my-{name}" if name in recipe_names() else name


def _seen(found: Look) -> Iterator[str]:
    """What the files hold, in a line or two each."""
    for split, seen in found.seen.items():
        file = found.splits[split].files[0]
        lengths = seen.percentiles
        what = {"tagging": "sentence", "classification": "text", "translation": "pair"}.get(found.task, "line")
        words = " to ".join(dict.fromkeys((f"{lengths['min']:,}", f"{lengths['max']:,}")))
        size = f"{plural(seen.examples, what)} of {words} word{'' if words == '1' else 's'}, {seen.words:,} in all"
        if found.task == "language-model":
            size = f"{plural(seen.examples, what)}, {seen.words:,} words, {seen.characters:,} characters"
        first = "" if seen.is_all else "the first "
        yield f"{file}: {split}, {found.splits[split].describe()}; {first}{size}"
    seen = found.train
    if found.task == "tagging" and found.scheme:
        yield f"tag scheme {found.scheme}, recognised; spans: {_most(seen.spans)}"
    elif found.task not in ("language-model", "translation") and seen.labels:
        yield f"{len(seen.labels)} {'tags' if found.task == 'tagging' else 'labels'}: {_most(seen.labels)}"
    yield f"task: {found.task}{_why(found)}"


def _why(found: Look) -> str:
    from seqcli.pipeline.draft import MANY_WORDS, is_running, unit

    if found.task != "language-model":
        return ""
    lines = "the lines are one running text" if is_running(found) else "each line stands for itself"
    few = f", since {found.train.words:,} words are less than {MANY_WORDS:,}" if is_running(found) else ""
    return f", by {unit(found)}{few if unit(found) == 'characters' else ''}; {lines}"


def _most(counts: Counter[str]) -> str:
    shown = ", ".join(f"{label[:40]} {count:,}" for label, count in counts.most_common(_SHOWN))
    return shown + (f" and {len(counts) - _SHOWN} more" if len(counts) > _SHOWN else "")


def _warnings(found: Look) -> Iterator[str]:
    """What would stop the training, or make it poor, and what to do."""
    table = found.splits["train"].table
    if found.task == "classification" and table is not None and not table.is_sure:
        yield "which column is the label was guessed by their order: if it is wrong, say --columns text=0,label=1"
    for split, seen in found.seen.items():
        file = found.splits[split].files[0]
        if seen.faults:
            mended = f"{file.stem}.bio{file.suffix}"
            yield (
                f"{file} has {plural(seen.faults, 'tag')} that cannot stand there in the scheme {found.scheme}, the first "
                f"in the sentence at {seen.first_fault}. Mend the file: seqcli data convert {shlex.quote(str(file))} "
                f"--from {found.scheme} --to bio --repair > {shlex.quote(mended)}"
            )
        unseen = sorted(seen.labels.keys() - found.train.labels.keys()) if found.train.labels else []
        if unseen and found.task != "translation":
            yield f"{file} has labels that are not in {found.file}: {', '.join(unseen[:_SHOWN])}"
    if found.task == "classification" and (once := [one for one, count in found.train.labels.items() if count == 1]):
        yield f"labels that occur once, which is too little to learn them: {', '.join(sorted(once)[:_SHOWN])}"


def _next(found: Look, name: str, target: Path, data_format: str | None, columns: str | None) -> Iterator[str]:
    """The command lines that follow, to be pasted."""
    from seqcli.pipeline.draft import is_running

    files = [str(split.files[0]) for split in found.splits.values()]
    said = [*(["--format", data_format] if data_format else []), *(["--columns", columns] if columns else [])]
    yield _line("data", "lint", *files, *said)
    is_path = target.suffix or target.parent != Path()
    yield _line("train", str(target) if is_path else f"./{target}")
    if found.task != "word-vectors":
        yield _line("evaluate", name, *([] if "test" in found.splits else ["--split", "dev"]))
    if found.task == "word-vectors":
        yield _line("neighbors", name, max(found.train.vocabulary, key=len).lower())
    elif found.task == "language-model":
        yield _line("sample", name, *(["--prompt", "The"] if is_running(found) else ["-n", "5"]))
    else:
        yield "echo 'some text' | " + _line("translate" if found.task == "translation" else "predict", name)


def _line(*words: str) -> str:
    return shlex.join(["seqcli", *words])


def _counts(seen: Seen) -> dict[str, Any]:
    return {
        "examples": seen.examples,
        "is_all": seen.is_all,
        "words": seen.words,
        "characters": seen.characters or None,
        "lengths": seen.percentiles,
        "labels": dict(seen.labels.most_common()),
        "spans": dict(seen.spans.most_common()),
        "faults": seen.faults,
    }
