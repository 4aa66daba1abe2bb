"""Tag schemes converted in a CoNLL file, everything else left as it stands."""

from __future__ import annotations

from collections.abc import Iterator

from seqcli.data.formats.base import Reading
from seqcli.data.formats.conll import Conll
from seqcli.errors import UserError, data_error
from seqcli.lines import DEFAULT_MAX_LINE, Input, OnInvalid
from seqcli.metrics import schemes


def convert_lines(
    source: Input,
    from_scheme: str,
    to_scheme: str,
    *,
    tag: int = -1,
    repair: bool = False,
    max_line: int = DEFAULT_MAX_LINE,
    on_invalid: OnInvalid = "strict",
) -> Iterator[str]:
    """Yield the lines of a CoNLL file with the column ``tag`` in another scheme; a sentence at a time, all lines kept.

    Comments, blank lines, the other columns and what separates them stay as they are; line ends become ``\\n``.
    ``repair``: tags that break ``from_scheme`` are read as conlleval does, instead of refused.

    Raises:
        UserError: a tag that breaks the scheme, a ragged line (65, with file:line), an unknown scheme (2).
    """
    from_scheme, to_scheme = schemes.scheme_name(from_scheme), schemes.scheme_name(to_scheme)

    def convert(tags: list[str], line: int) -> list[str]:
        if not repair:
            for position, reason in schemes.violations(tags, from_scheme):
                raise data_error(
                    f"{reason} ({from_scheme})",
                    line=line + position,
                    hint="'seqcli data lint' lists every such tag; --repair reads them as conlleval does.",
                )
        try:
            return schemes.convert(tags, from_scheme, to_scheme, repair=repair)
        except UserError as error:
            raise data_error(error.message, line=line, hint=error.hint) from error

    reading = Reading("conll", {"tag": tag}, max_line=max_line, on_invalid=on_invalid)
    yield from Conll(reading).replace_tags(source, convert)
