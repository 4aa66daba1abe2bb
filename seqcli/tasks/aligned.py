"""From a tagged sentence to the fields that are encoded. Imports no torch: the workers that encode run this."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from seqcli.corpora.example import Example
from seqcli.errors import data_error
from seqcli.metrics.schemes import OUTSIDE, convert, legal_step, violations
from seqcli.recipe.tasks import TaggingConfig

ENTITY = "ENTITY"
"""The one label of ``labels: binary``."""


@dataclass(frozen=True)
class TaggedPieces:
    """Fields ``token`` and ``tag`` of an example; tags checked, in the scheme the model learns.

    A sequence over ``max_length`` is cut, between spans where there are any.
    """

    task: TaggingConfig
    max_length: int

    @property
    def model_scheme(self) -> str | None:
        """The scheme the model learns in."""
        return self.task.model_scheme or self.task.scheme

    def __call__(self, example: Example) -> Iterator[dict[str, list[str]]]:
        """Yield one mapping of fields, or several for a long sequence.

        Raises:
            UserError: no tags, or a tag that breaks the scheme (65), with file and line.
        """
        tokens, tags = example.source, example.target
        if not isinstance(tokens, list) or not isinstance(tags, list):
            raise data_error("tagging needs tokens with a tag each", file=example.at,
                             hint="Check data.format and data.columns.")
        tags = self._learned(example, tags)
        while len(tokens) > self.max_length:
            cut = self._cut(tags)
            yield {"token": tokens[:cut], "tag": tags[:cut]}
            tokens, tags = tokens[cut:], tags[cut:]
        yield {"token": tokens, "tag": tags}

    def _learned(self, example: Example, tags: Sequence[str]) -> list[str]:
        scheme, model_scheme = self.task.scheme, self.model_scheme
        if scheme is None or model_scheme is None:
            return list(tags)
        if faults := violations(tags, scheme):
            file, _, line = example.at.rpartition(":")
            position, reason = faults[0]
            raise data_error(
                f"token {position + 1} ('{example.source[position]}') of the sentence from this line: {reason}",
                file=file, line=int(line or 0),
                hint="'seqcli data lint' lists all faults, 'seqcli data convert' changes schemes.",
            )
        if self.task.labels == "binary":
            tags = [tag if tag == OUTSIDE else f"{tag[0]}-{ENTITY}" for tag in tags]
        if scheme == model_scheme:
            return list(tags)
        return convert(tags, scheme, model_scheme, repair=model_scheme == "io")

    def _cut(self, tags: Sequence[str]) -> int:
        scheme = self.model_scheme
        if scheme is None:
            return self.max_length
        for cut in range(self.max_length, 0, -1):
            if legal_step(tags[cut - 1], None, scheme) and legal_step(None, tags[cut], scheme):
                return cut
        return self.max_length
