"""What ``predict`` prints of a classifier: a line for each line of text or sequence of frames."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from seqcli.cli import console
from seqcli.errors import usage_error
from seqcli.lines import OnInvalid, read_blocks

if TYPE_CHECKING:
    from seqcli.pipeline.classify import Classifier, Explained, Numbers
    from seqcli.store.runs import Run


def print_classes(
    run: Run,
    file: str | None,
    *,
    form: str,
    scores: bool,
    top: int | None,
    attribution: bool,
    tokens: bool,
    on_invalid: OnInvalid,
    max_line: int,
    device: str,
) -> None:
    """Print the labels that a classifier gives, in the order of the input."""
    from seqcli.pipeline.classify import load_classifier

    model = load_classifier(run, device, tokens=tokens)
    if not model.text and tokens:
        raise usage_error(f"--tokens is for text; {run} reads frames")
    write = _writer(model, form, scores, top)
    explained = _explained_writer(model, form, top) if attribution else None
    if not model.text:
        _print_frames(model, file, write, explained, on_invalid, max_line)
        return
    told = _Told(model)
    for _, lines in read_blocks(file, on_invalid=on_invalid, max_line=max_line):
        if explained is not None:
            for line in lines:
                found = model.explain(line)
                console.write(explained(found), flush=True)
                told.about(found.length, found.length)
            continue
        probs_NK, lengths_N = model.lines(lines)
        console.write(write(probs_NK), flush=True)
        if len(lengths_N):
            told.about(int(lengths_N.min()), int(lengths_N.max()))


class _Told:
    """What is odd about the input, said once."""

    def __init__(self, model: Classifier) -> None:
        self.model, self.empty, self.cut = model, False, False

    def about(self, shortest: int, longest: int) -> None:
        """Say it of sequences with these lengths."""
        if shortest == 0 and not self.empty:
            self.empty = True
            what = "an empty text has no tokens" if self.model.text else "a sequence has no frames"
            console.warn(f"{what}: it is given what the model says of nothing at all")
        if longest > self.model.max_length and not self.cut:
            self.cut = True
            unit = "tokens" if self.model.text else "frames"
            console.warn(f"of more than {self.model.max_length} {unit} only the first {self.model.max_length} count")


def _print_frames(
    model: Classifier,
    file: str | None,
    write: Callable[[Numbers], str],
    explained: Callable[[Explained], str] | None,
    on_invalid: OnInvalid,
    max_line: int,
) -> None:
    from seqcli.pipeline.frames import frame_batches

    told = _Told(model)
    for sequences in frame_batches(model, file, on_invalid=on_invalid, max_line=max_line):
        if explained is None:
            console.write(write(model.sequences(sequences)), flush=True)
        else:
            for frames in sequences:
                console.write(explained(model.explain(frames)), flush=True)
        lengths = [len(frames) for frames in sequences]
        told.about(min(lengths), max(lengths))


def _writer(model: Classifier, form: str, scores: bool, top: int | None) -> Callable[[Numbers], str]:
    """What turns probabilities [N, K] into the lines to print."""
    if form == "jsonl":
        return lambda probs_NK: "".join(
            json.dumps(_document(model, probs_K, scores, top), ensure_ascii=False) + "\n" for probs_K in probs_NK
        )
    if top is not None:
        return lambda probs_NK: "".join(_ranked(model, probs_K, top) for probs_K in probs_NK)
    if scores:
        return lambda probs_NK: "".join(_scored(model, probs_K) for probs_K in probs_NK)
    if model.separator is None:
        names = [label + "\n" for label in model.labels]
        return lambda probs_NK: "".join([names[number] for number in probs_NK.argmax(1).tolist()])
    return lambda probs_NK: "".join(_joined(model, model.given(probs_K)) + "\n" for probs_K in probs_NK)


def _ranked(model: Classifier, probs_K: Numbers, top: int) -> str:
    return "\t".join(f"{label}\t{chance:.4f}" for label, chance in model.ranked(probs_K, top)) + "\n"


def _scored(model: Classifier, probs_K: Numbers) -> str:
    if model.separator is None:
        return _ranked(model, probs_K, 1)
    given = model.given(probs_K)
    chances = dict(model.ranked(probs_K))
    return "\t".join(f"{label}\t{chances[label]:.4f}" for label in given) + "\n"


def _joined(model: Classifier, labels: list[str]) -> str:
    return str(model.separator).join(labels)


def _document(model: Classifier, probs_K: Numbers, scores: bool, top: int | None) -> dict[str, Any]:
    """The labels of one sequence with the probabilities asked for, as JSON."""
    given = model.given(probs_K)
    found: dict[str, Any] = {"labels": given} if model.separator is not None else {"label": given[0]}
    if scores or top is not None:
        found["scores"] = {label: round(chance, 6) for label, chance in model.ranked(probs_K, top)}
    return found


def _explained_writer(model: Classifier, form: str, top: int | None) -> Callable[[Explained], str]:
    """What turns an explained sequence into the line to print."""
    if form == "jsonl":
        return lambda one: (
            json.dumps(
                {
                    **_document(model, one.probs_K, True, top),
                    "explains": model.ranked(one.probs_K, 1)[0][0],
                    "tokens" if model.text else "frames": one.positions
                    if model.text
                    else [int(at) for at in one.positions],
                    "attribution": [round(share, 6) for share in one.shares],
                },
                ensure_ascii=False,
            )
            + "\n"
        )
    paint = _coloured if _colours() else _signed

    return lambda one: (
        "\t".join([*(f"{label}\t{chance:.4f}" for label, chance in model.ranked(one.probs_K, top or 1)), paint(one)])
        + "\n"
    )


def _colours() -> bool:
    """Whether stdout is a terminal that shows colours and nobody said no."""
    if os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb":
        return False
    return sys.stdout.isatty() or bool(os.environ.get("FORCE_COLOR"))


def _signed(one: Explained) -> str:
    return " ".join(f"{position}({share:+.2f})" for position, share in zip(one.positions, one.shares, strict=True))


def _coloured(one: Explained) -> str:
    """Green speaks for the label, red against it, stronger where the share is larger."""
    largest = max(map(abs, one.shares), default=0.0) or 1.0
    return " ".join(
        _painted(position, share / largest) for position, share in zip(one.positions, one.shares, strict=True)
    )


def _painted(position: str, strength: float) -> str:
    """Text on green or red of five strengths (the 256-colour cube), plain where the share is next to nothing."""
    level = min(5, int(abs(strength) * 6))
    if level == 0:
        return position
    colour = 16 + 6 * level if strength > 0 else 16 + 36 * level
    return f"\x1b[48;5;{colour};38;5;{16 if level > 2 else 231}m{position}\x1b[0m"
