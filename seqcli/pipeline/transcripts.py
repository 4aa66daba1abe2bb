"""Transcripts as files: plain text, subtitles (SubRip, WebVTT), JSON, a table of words."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import zip_longest

from seqcli.pipeline.transcribe import Transcript
from seqcli.tasks.transcription import Spoken

MAX_WORDS = 10
"""Words of a subtitle."""

_PAUSE = 1.0
"""Seconds without a word that end a subtitle."""

_LEAST = 1.0
"""Seconds for which a subtitle is shown at least: CTC is sure of a word for a moment only."""

_LETTERS = 84
"""Letters of a subtitle: two lines of 42."""


def cues(words: Sequence[Spoken], max_words: int = MAX_WORDS) -> Iterator[tuple[float, float, str]]:
    """``(begin, end, text)`` of subtitles: so many words at most, none over a pause, none longer than two lines.

    Each stands for `_LEAST` seconds, if the next one does not begin before.
    """
    groups = [*_groups(words, max_words)]
    for group, after in zip_longest(groups, groups[1:]):
        begin, end = group[0].start, max(group[-1].end, group[0].start + _LEAST)
        yield (
            begin,
            end if after is None else max(group[-1].end, min(end, after[0].start)),
            " ".join(word.word for word in group),
        )


def _groups(words: Sequence[Spoken], max_words: int) -> Iterator[list[Spoken]]:
    group: list[Spoken] = []
    for word in words:
        letters = sum(len(one.word) + 1 for one in group) + len(word.word)
        if group and (len(group) >= max_words or letters > _LETTERS or word.start - group[-1].end > _PAUSE):
            yield group
            group = []
        group.append(word)
    if group:
        yield group


def clock(seconds: float, point: str) -> str:
    """``01:02:03.456`` with a comma or a point before the milliseconds."""
    milliseconds = round(seconds * 1000)
    minutes, milliseconds = divmod(milliseconds, 60_000)
    hours, minutes = divmod(minutes, 60)
    seconds, milliseconds = divmod(milliseconds, 1000)
    return f"{hours:02}:{minutes:02}:{seconds:02}{point}{milliseconds:03}"


def txt(one: Transcript, max_words: int = MAX_WORDS) -> str:
    return f"{one.text}\n"


def srt(one: Transcript, max_words: int = MAX_WORDS) -> str:
    return "\n".join(
        f"{number}\n{clock(begin, ',')} --> {clock(end, ',')}\n{text}\n"
        for number, (begin, end, text) in enumerate(cues(one.words, max_words), 1)
    )


def vtt(one: Transcript, max_words: int = MAX_WORDS) -> str:
    escape = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;"})
    return "WEBVTT\n" + "".join(
        f"\n{clock(begin, '.')} --> {clock(end, '.')}\n{text.translate(escape)}\n"
        for begin, end, text in cues(one.words, max_words)
    )


def as_json(one: Transcript, max_words: int = MAX_WORDS) -> str:
    words = [
        {
            "word": word.word,
            "start": round(word.start, 3),
            "end": round(word.end, 3),
            "confidence": round(word.confidence, 4),
        }
        for word in one.words
    ]
    document = {"file": one.name, "seconds": round(one.seconds, 3), "text": one.text, "words": words}
    return json.dumps(document, ensure_ascii=False) + "\n"


def table(one: Transcript, max_words: int = MAX_WORDS) -> str:
    out = io.StringIO()
    rows = csv.writer(out, lineterminator="\n")
    rows.writerow(("file", "start", "end", "word", "confidence"))
    for word in one.words:
        rows.writerow((one.name, f"{word.start:.3f}", f"{word.end:.3f}", word.word, f"{word.confidence:.4f}"))
    return out.getvalue()


FORMATS: Mapping[str, Callable[[Transcript, int], str]] = {
    "txt": txt,
    "srt": srt,
    "vtt": vtt,
    "json": as_json,
    "csv": table,
}
