"""Tags: one for each token of the source, in a scheme where they mark spans. Shapes: B sequences, T positions, K labels."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from seqcli.data.arrays import Column
from seqcli.data.batch import LabelSpace, Side, pad_ids
from seqcli.errors import ExitCode, UserError, data_error
from seqcli.fields.labels import NumberedField, NumberedView
from seqcli.metrics.schemes import OUTSIDE, Span, convert, is_tag, legal_step, spans, split_tag, violations, write_tags
from seqcli.recipe.fields import TagFieldConfig

ENTITY = "ENTITY"
"""The one label of ``labels: binary``."""


class SchemeFault(UserError):
    """A tag that breaks the scheme of the data; ``is_step``: by where it stands, not by how it is written."""

    is_step = True


class TagField(NumberedField):
    """Tags that come in the data's scheme, are learned in ``model_scheme`` and go out in the data's again.

    Attributes:
        scheme: of the tags that come in and go out; ``model_scheme``: of `labels`.
    """

    unit = "tags"

    def __init__(self, config: TagFieldConfig) -> None:
        self.config = config
        self.scheme: str | None = config.scheme
        self.model_scheme: str | None = config.model_scheme or config.scheme
        self.labels: list[str] = []

    @property
    def kinds(self) -> list[str]:
        """What spans are called, or without a scheme tokens: the labels without their letters."""
        tags = (tag for tag in self.labels if self.scheme is None or tag != OUTSIDE)
        return [*dict.fromkeys(split_tag(tag)[1] if self.scheme else tag for tag in tags)]

    def read(self, value: Any, at: str, tokens: Sequence[str] = ()) -> list[str]:
        """Tags in the scheme the model learns; ``tokens`` are named in messages.

        Raises:
            UserError: no tags, an empty one, one that holds a line break or that breaks the scheme (65).
        """
        if not isinstance(value, list):
            raise data_error(
                "tagging needs tokens with a tag each", file=at, hint="Check data.format and data.columns."
            )
        if "" in value:
            raise data_error(f"tag {value.index('') + 1} is empty", file=at)
        joined = "".join(value)
        if "\n" in joined or "\r" in joined:
            raise data_error("a tag holds a line break", file=at)
        if self.scheme is None or self.model_scheme is None:
            tags: list[str] = value
            return [self.config.merge.get(tag, tag) for tag in tags] if self.config.merge else tags
        if faults := violations(value, self.scheme):
            file, _, line = at.rpartition(":")
            position, reason = faults[0]
            word = f" ('{tokens[position]}')" if tokens else ""
            scheme = "" if self.scheme in reason else f" ({self.scheme})"
            fault = SchemeFault(
                f"token {position + 1}{word} of the sentence from this line: {reason}{scheme}",
                file=file,
                line=int(line or 0),
                hint="'seqcli data lint' lists all faults, 'seqcli data convert' changes schemes.",
                code=ExitCode.DATA,
            )
            fault.is_step = is_tag(value[position], self.scheme)
            raise fault
        if self.config.merge:
            value = [self._merged(tag) for tag in value]
        if self.config.labels == "binary":
            value = [tag if tag == OUTSIDE else f"{tag[0]}-{ENTITY}" for tag in value]
        if self.scheme == self.model_scheme:
            return value
        return convert(value, self.scheme, self.model_scheme, repair=self.model_scheme == "io")

    def _merged(self, tag: str) -> str:
        letter, label = split_tag(tag)
        merged = self.config.merge.get(label, label)
        return tag if tag == OUTSIDE else OUTSIDE if merged == OUTSIDE else f"{letter}-{merged}"

    def pieces(self, tags: list[str], max_length: int) -> list[slice]:
        """Where a long sequence is cut: between spans; within one only where it is longer than a piece itself."""
        pieces, start = [], 0
        while len(tags) - start > max_length:
            cut = self._cut(self.whole(tags[start : start + max_length + 1]), max_length)
            pieces.append(slice(start, start + cut))
            start += cut
        return [*pieces, slice(start, len(tags))]

    def _cut(self, tags: Sequence[str], max_length: int) -> int:
        """The last place at or before ``max_length`` that no span runs over; ``max_length`` where there is none."""
        if self.model_scheme is None:
            return max_length
        within = {place for span in spans(tags, self.model_scheme) for place in range(span.start + 1, span.end)}
        return next((cut for cut in range(max_length, 0, -1) if cut not in within), max_length)

    def whole(self, tags: list[str]) -> list[str]:
        """A piece whose first or last span was cut through, as a sequence of its own."""
        return tags if self.model_scheme is None else convert(tags, self.model_scheme, self.model_scheme, repair=True)

    def fit(self, column: Column, files: Sequence[str]) -> None:
        # most frequent first, so that the ids do not depend on the order of the file
        order = sorted(range(len(column.symbols)), key=lambda row: (-int(column.counts[row]), column.symbols[row]))
        seen = [column.symbols[row] for row in order]
        self.labels = seen + [tag for tag in all_tags(seen, self.model_scheme) if tag not in seen]

    def over(self, column: Column, files: Sequence[str]) -> TagView:
        return TagView(self, column)

    def decode(self, ids: Sequence[int]) -> list[str]:
        """Label ids of one sentence as tags of the data's own scheme.

        A softmax head may give a sequence its scheme forbids; it is then read as conlleval reads it.
        """
        return self.own([self.labels[number] for number in ids], repair=True)

    def own(self, tags: list[str], *, repair: bool = False) -> list[str]:
        """Tags of the model's scheme in the data's."""
        if self.scheme is None or self.model_scheme is None or self.scheme == self.model_scheme:
            return tags
        return convert(tags, self.model_scheme, self.scheme, repair=repair)

    def space(self) -> LabelSpace:
        scheme = self.model_scheme
        if scheme is None:
            return LabelSpace(len(self.labels))
        steps = [[legal_step(before, after, scheme) for after in self.labels] for before in self.labels]
        return LabelSpace(
            len(self.labels),
            np.array(steps, bool),
            np.array([legal_step(None, tag, scheme) for tag in self.labels], bool),
            np.array([legal_step(tag, None, scheme) for tag in self.labels], bool),
        )

    def key(self) -> list[Any]:
        merge = [sorted(self.config.merge.items())] if self.config.merge else []
        return ["tags", self.scheme, self.model_scheme, self.config.labels, *merge]


class TagView(NumberedView):
    def __init__(self, field: TagField, column: Column) -> None:
        super().__init__(field.labels, column)
        self.field = field

    def side(self, rows: NDArray[np.int64]) -> Side:
        """``ids_BT``; -1 for a tag that the model does not know."""
        lengths_B = self.column.lengths_of(rows)
        return Side({"ids_BT": pad_ids(self.ids(rows), lengths_B)}, lengths_B)

    def gold(self, row: int) -> list[str]:
        """The tags of one example in the data's own scheme."""
        return self.field.own(super().gold(row))


def all_tags(seen: Sequence[str], scheme: str | None) -> list[str]:
    """Every tag that spans of the labels in ``seen`` can need, so that a length that training lacks can be written."""
    if scheme is None:
        return []
    needed = {"O": None}
    for label in sorted({split_tag(tag)[1] for tag in seen if tag != "O"}):
        for length in (1, 2, 3):
            touching = [Span(0, length, label), Span(length, 2 * length, label)]
            needed |= dict.fromkeys(write_tags(touching, 2 * length, scheme))
    return list(needed)
