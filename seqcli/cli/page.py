"""Predictions as a page of HTML that needs no other file: marks in the text, and a legend of their kinds."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from html import escape
from itertools import accumulate, chain
from pathlib import Path
from typing import Any, NamedTuple

from seqcli.cli import console
from seqcli.cli.predict_input import Input
from seqcli.errors import plural
from seqcli.files import atomic_write
from seqcli.tasks.classification import ClassificationTask, Classified
from seqcli.tasks.tagging import Tagged, TaggingTask, marks

Write = Callable[[str], object]

# Paul Tol's "light" colours, made to stand under black text and to be told apart by the colour-blind
# (https://sronpersonalpages.nl/~pault/). Where they are used up, the border tells kinds apart; the name always does.
_COLOURS = ("#77aadd", "#ee8866", "#eedd88", "#ffaabb", "#99ddff", "#44bb99", "#bbcc33", "#aaaa00", "#dddddd")
_BORDERS = ("solid", "dashed", "dotted", "double")
_MOST = len(_COLOURS) * len(_BORDERS)

_STYLE = """\
:root { color-scheme: light; }
body { display: flex; flex-direction: column; max-width: 50rem; margin: 2rem auto; padding: 0 1rem;
  font: 1.05rem/2 system-ui, sans-serif; color: #111; background: #fff; }
h1 { font-size: 1.2rem; order: 1; overflow-wrap: anywhere; }
footer { order: 2; border-bottom: 1px solid #111; padding-bottom: .5rem; }
footer span { white-space: nowrap; margin-right: 1rem; }
main { order: 3; }
p { margin: .4rem 0; min-height: 1em; white-space: pre-wrap; overflow-wrap: anywhere; break-inside: avoid; }
mark { color: #111; padding: .15em .3em; border: 2px solid #555; border-radius: .35em;
  -webkit-box-decoration-break: clone; box-decoration-break: clone;
  -webkit-print-color-adjust: exact; print-color-adjust: exact; }
mark b { font-size: .75em; margin-left: .4em; white-space: nowrap; }
mark.name { margin-right: .5em; } mark.name b { margin-left: 0; }
@media print { body { margin: 0; max-width: none; } mark { border-color: #000; } }
"""


class Mark(NamedTuple):
    """Characters ``start`` to ``end`` of a text are of a kind; ``note`` is shown behind its name."""

    start: int
    end: int
    kind: str
    note: str = ""


class Marked(NamedTuple):
    """A line of text with marks, in order, that do not overlap."""

    text: str
    marks: Sequence[Mark]


class Page:
    """Writes a page as its lines come: `head`, `line` for each, `end`."""

    def __init__(self, write: Write, title: str, kinds: Sequence[str]) -> None:
        self.write, self.title = write, title
        self.number_of = {kind: number % _MOST for number, kind in enumerate(kinds)}
        self.counts: Counter[str] = Counter()
        self.total = 0

    def head(self) -> None:
        title = escape(self.title)
        used = range(min(len(self.number_of), _MOST))
        rules = "".join(
            f".k{number} {{ background: {_COLOURS[number % len(_COLOURS)]};"
            f" border-style: {_BORDERS[number // len(_COLOURS)]}; }}\n"
            for number in used
        )
        self.write(
            '<!DOCTYPE html>\n<html>\n<head>\n<meta charset="utf-8">\n'
            '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
            f"<title>{title}</title>\n<style>\n{_STYLE}{rules}</style>\n</head>\n<body>\n<h1>{title}</h1>\n<main>\n"
        )

    def line(self, line: Marked) -> None:
        self.total += 1
        self.counts.update(mark.kind for mark in line.marks)
        self.write(f'<p dir="auto">{"".join(self._parts(line))}</p>\n')

    def _parts(self, line: Marked) -> Iterator[str]:
        done = 0
        for mark in line.marks:
            yield escape(line.text[done : mark.start], quote=False)
            name = f"{mark.kind} {mark.note}" if mark.note else mark.kind
            yield self._mark(mark.kind, line.text[mark.start : mark.end], name)
            done = mark.end
        yield escape(line.text[done:], quote=False)

    def _mark(self, kind: str, text: str, name: str) -> str:
        inside = f"{escape(text, quote=False)}<b>{escape(name, quote=False)}</b>"
        return f'<mark class="k{self.number_of[kind]}{"" if text else " name"}">{inside}</mark>'

    def end(self) -> None:
        """The legend, with the most frequent kind first; it is shown above the lines."""
        legend = chain(
            (f"<span>{self._mark(kind, '', kind)} {count:,}</span>" for kind, count in self.counts.most_common()),
            [f"<span>{plural(self.total, 'line')}</span>"],
        )
        self.write(f"</main>\n<footer>{' '.join(legend)}</footer>\n</body>\n</html>\n")


def write_page(
    source: Input,
    target: str,
    notice: Callable[[Sequence[Any], Sequence[int]], None],
    *,
    scores: bool = False,
    top: int | None = None,
) -> None:
    """Write a page of predictions to a file, whole or not at all, or to stdout (``-``).

    Raises:
        UserError: what reading the input raises; a file that cannot be written (74).
    """
    task, model = source.model.task, source.model
    assert isinstance(task, TaggingTask | ClassificationTask)
    kinds = task.target.kinds if isinstance(task, TaggingTask) else task.target.labels
    with _open(target) as write:
        page = Page(write, f"{source.name} ({model.name})", kinds)
        page.head()
        for block in source.blocks():
            predictions = model.predict_block(block, scores=scores, offsets=True)
            for item, one in zip(block, predictions, strict=True):
                text = item if isinstance(item, str) else " ".join(item)
                if isinstance(task, TaggingTask):
                    found = _of_tags(one, task.target.scheme, scores)
                else:
                    found = _of_labels(one, scores, top)
                page.line(Marked(text, found))
            notice(block, task.lengths(predictions))
        page.end()
    if target != "-":
        console.note(f"{plural(page.total, 'line')} in {target}")


def _of_tags(one: Tagged, scheme: str | None, scores: bool) -> list[Mark]:
    """A span is as sure as its least sure tag."""
    ends = [*accumulate(len(token) + 1 for token in one.tokens)]
    places = one.offsets or [(end - 1 - len(token), end - 1) for token, end in zip(one.tokens, ends, strict=True)]
    return [
        Mark(places[start][0], places[end - 1][1], kind, f"{one.chances_T[start:end].min():.2f}" if scores else "")
        for start, end, kind in marks(one, scheme)
    ]


def _of_labels(one: Classified, scores: bool, top: int | None) -> list[Mark]:
    """Labels stand before the text."""
    chance_of = dict(one.ranked())
    labels = one.labels if top is None else [label for label, _ in one.ranked(top)]
    return [Mark(0, 0, label, f"{chance_of[label]:.2f}" if scores or top is not None else "") for label in labels]


@contextmanager
def _open(target: str) -> Iterator[Write]:
    if target == "-":
        yield console.write
        return
    with atomic_write(Path(target)) as handle:
        yield lambda text: handle.write(text.encode("utf-8"))
