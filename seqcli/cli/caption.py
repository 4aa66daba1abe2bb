"""The verb ``caption``."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from seqcli.cli import console
from seqcli.cli.options import Knobs, Running, Searching, grouped
from seqcli.cli.writing import open_writer, writing_options
from seqcli.errors import UserError, usage_error
from seqcli.lines import read_lines

if TYPE_CHECKING:
    from seqcli.pipeline.caption import Captioned, Captioner, Picture
    from seqcli.tasks.writing import WritingTask

EPILOG = """Examples:

\b
  seqcli caption photo.jpg
  seqcli caption caption-flickr8k photos/ --beam 3 --skip-bad > captions.tsv
  find photos -name '*.jpg' | seqcli caption -
  seqcli caption caption-flickr8k-attention grids.npy --jsonl
  seqcli caption my-model photo.jpg --attention looked.png"""


@grouped
def command(
    *,
    images: Annotated[
        list[str],
        typer.Argument(
            metavar="[MODEL] IMAGE...",
            help="A trained captioner (NAME, NAME@VERSION or a run folder; the newest one by default), then files, "
            "folders, .npy files of features (a caption for each row); - reads paths from stdin, a line each.",
        ),
    ],
    attention: Annotated[
        str | None,
        typer.Option("--attention", metavar="PNG", help="Draw where each word of one caption looked (matplotlib)."),
    ] = None,
    skip_bad: Annotated[
        bool, typer.Option("--skip-bad", help="Go on after an image that cannot be read, which is said on stderr.")
    ] = False,
    searching: Searching,
    knobs: Knobs,
    running: Running,
) -> None:
    """Write a caption for each image.

    Of several images each line begins with the image's name and a tab.
    """
    from seqcli.store.runs import Store

    name = None
    if Store(running.runs).knows(images[0]):
        name, *images = images
    if not images:
        raise usage_error(
            "no image is given", hint="Name files, folders or a .npy of features; - reads paths from stdin."
        )
    trained = open_writer("captioning", name, running, searching, knobs)
    from seqcli.pipeline.caption import Captioner, pictures

    if trained.notice is not None:
        console.warn(trained.notice)
    options = writing_options(trained, searching, knobs)
    captioner = Captioner(trained, options, attention=attention is not None, scores=searching.scores or searching.jsonl)
    several = len(images) > 1 or images[0] == "-" or Path(images[0]).is_dir() or images[0].lower().endswith(".npy")
    if attention is not None:
        _draw(captioner, pictures(_places(images)), attention)
        return
    for one in captioner.captions(pictures(_places(images))):
        if isinstance(one.found, UserError):
            if not skip_bad:
                one.found.hint = one.found.hint or ("Leave it out, or add --skip-bad." if several else None)
                raise one.found
            console.warn(f"skipped: {one.found}")
            continue
        console.write(_lines(captioner.task, one, searching, several=several), flush=True)


def _places(images: Sequence[str]) -> Iterator[str]:
    """The arguments, and for ``-`` the lines of standard input."""
    for image in images:
        if image == "-":
            yield from (line for _, line in read_lines(None) if line)
        else:
            yield image


def _lines(task: WritingTask, one: Captioned, searching: Searching, *, several: bool) -> str:
    assert not isinstance(one.found, UserError)
    if searching.jsonl:
        return console.json_text({"image": one.name, **task.document(one.found)}) + "\n"
    rows = []
    for best in one.found.hypotheses:
        cells = [one.name] * several + [f"{best.score:.4f}"] * searching.scores + [best.text]
        rows.append("\t".join(cells) + "\n")
    return "".join(rows)


def _draw(captioner: Captioner, images: Iterator[Picture], picture: str) -> None:
    """Write the picture of one image, and print its caption."""
    from seqcli.cli.attention import draw_places
    from seqcli.pipeline.caption import pixels_of

    given = list(images)
    if len(given) != 1:
        raise usage_error(f"--attention draws one image, and {len(given):,} are given", hint="Give it one.")
    (one,) = captioner.captions(given)
    if isinstance(one.found, UserError):
        raise one.found
    draw_places(one.found, Path(picture), pixels_of(given[0]))
    console.emit(one.found.text)
