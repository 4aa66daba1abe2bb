"""What is odd about the labels of a training split: signs that a column or the first line is not what it is taken for.

`data lint` and `train` say the same, each from what it has counted.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from seqcli.data.formats.looking import is_column_name

_FEWEST = 10
"""Examples without which nothing is odd yet."""


@dataclass(frozen=True)
class Labelled:
    """What is known of a split whose examples have a label each, or a tag for each token.

    Attributes:
        counts: of each label; ``examples``: how many there are of them in all.
        first: place, source and label of the very first; ``texts``: different sources, None where each is a token.
        label_words, text_words: of a label and of a source, on average.
    """

    counts: Mapping[str, int]
    first_at: str
    first_source: str
    first_label: str
    texts: int | None = None
    label_words: float = 1.0
    text_words: float = 1.0

    @property
    def examples(self) -> int:
        return sum(self.counts.values())


class Oddity(NamedTuple):
    at: str
    kind: str
    message: str


def are_texts(counts: Mapping[str, int], texts: int, label_words: float, text_words: float) -> bool:
    """Whether what stands in the place of labels are texts of about the same length, most of them different."""
    half = sum(counts.values()) / 2
    return texts > half < len(counts) and label_words > 1.5 and 1 / 3 < label_words / max(text_words, 1.0) < 3


def oddities(data: Labelled) -> Iterator[Oddity]:
    """Yield what is odd, with the remedy."""
    total, different = data.examples, len(data.counts)
    if total < _FEWEST or (
        data.texts is not None and are_texts(data.counts, data.texts, data.label_words, data.text_words)
    ):
        return
    if (
        data.texts is not None
        and different > total / 2
        and (data.texts <= total / 2 or data.label_words > data.text_words)
    ):
        remedy = "swap the columns, such as data.columns={text: 1, label: 0}"
        message = f"the labels look like texts ({different:,} different ones) and the texts like labels: {remedy}"
        yield Oddity(data.first_at, "swapped", message)
    elif different > total / 2:
        what = "examples" if data.texts is not None else "tokens"
        message = (
            f"{different:,} different labels for {total:,} {what}: is that the column of the label? Set data.columns"
        )
        yield Oddity(data.first_at, "many", message)
    elif data.counts.get(data.first_label) == 1 and _in_line_one(data.first_at):
        rare = sum(count == 1 for count in data.counts.values())
        if rare == 1 or is_column_name(data.first_label) or is_column_name(data.first_source):
            if data.texts is None:
                remedy = "take the line out"
            else:
                remedy = f"say data.columns={{text: {data.first_source[:30]}, label: {data.first_label[:30]}}}"
            message = f"the label '{data.first_label[:40]}' occurs here only, in line 1: if that is a header, {remedy}"
            yield Oddity(data.first_at, "header", message)


def _in_line_one(at: str) -> bool:
    return at.rpartition(":")[2] == "1"
