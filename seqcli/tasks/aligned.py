"""From a tagged sentence to the fields that are encoded. Imports no torch: the workers that encode run this."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from seqcli.data.example import Example
from seqcli.errors import data_error
from seqcli.metrics.schemes import OUTSIDE, convert, spans, violations
from seqcli.recipe.tasks import TaggingConfig

ENTITY = "ENTITY"
"""The one label of ``labels: binary``."""


@dataclass(frozen=True)
class TaggedPieces:
    """Fields ``token`` and ``tag`` of an example; tags checked, in the scheme the model learns.

    A sequence over ``max_length`` is cut between spans; a span that is itself longer becomes several, so that each
    piece is valid in the scheme.
    """

    task: TaggingConfig
    max_length: int

    @property
    def model_scheme(self) -> str | None:
        """The scheme the model learns in."""
        return self.task.model_scheme or self.task.scheme

    def __call__(self, example: Example) -> Iterator[dict[str, list[str]]]:
        """Yield one mapping of fields, several for a long sequence, none for one without tokens.

        Raises:
            UserError: no tags, an empty token or tag, or a tag that breaks the scheme (65), with file and line.
        """
        tokens, tags = example.source, example.target
        if not isinstance(tokens, list) or not isinstance(tags, list):
            raise data_error(
                "tagging needs tokens with a tag each", file=example.at, hint="Check data.format and data.columns."
            )
        _check_writable(example, tokens, tags)
        tags = self._learned(example, tags)
        start = 0
        while len(tokens) - start > self.max_length:
            window = self._valid(tags[start : start + self.max_length + 1])
            cut = self._cut(window)
            yield {"token": tokens[start : start + cut], "tag": self._valid(window[:cut])}
            start += cut
        if tokens:
            yield {"token": tokens[start:], "tag": self._valid(tags[start:]) if start else tags}

    def _learned(self, example: Example, tags: Sequence[str]) -> list[str]:
        scheme, model_scheme = self.task.scheme, self.model_scheme
        if scheme is None or model_scheme is None:
            return list(tags)
        if faults := violations(tags, scheme):
            file, _, line = example.at.rpartition(":")
            position, reason = faults[0]
            raise data_error(
                f"token {position + 1} ('{example.source[position]}') of the sentence from this line: {reason}",
                file=file,
                line=int(line or 0),
                hint="'seqcli data lint' lists all faults, 'seqcli data convert' changes schemes.",
            )
        if self.task.labels == "binary":
            tags = [tag if tag == OUTSIDE else f"{tag[0]}-{ENTITY}" for tag in tags]
        if scheme == model_scheme:
            return list(tags)
        return convert(tags, scheme, model_scheme, repair=model_scheme == "io")

    def _cut(self, tags: Sequence[str]) -> int:
        """The last place at or before ``max_length`` that no span runs over; ``max_length`` where there is none."""
        scheme = self.model_scheme
        if scheme is None:
            return self.max_length
        within = {place for span in spans(tags, scheme) for place in range(span.start + 1, span.end)}
        return next((cut for cut in range(self.max_length, 0, -1) if cut not in within), self.max_length)

    def _valid(self, tags: Sequence[str]) -> list[str]:
        """A piece whose first or last span was cut through, as a sequence of its own."""
        scheme = self.model_scheme
        return list(tags) if scheme is None else convert(tags, scheme, scheme, repair=True)


def _check_writable(example: Example, tokens: Sequence[str], tags: Sequence[str]) -> None:
    """Refuse what the files of a model (a token or a label a line) could not hold; JSON can bring it."""
    for what, values in (("token", tokens), ("tag", tags)):
        if "" in values:
            raise data_error(f"{what} {values.index('') + 1} is empty", file=example.at)
    joined = "".join(tags)
    if "\n" in joined or "\r" in joined:
        raise data_error("a tag holds a line break", file=example.at)
