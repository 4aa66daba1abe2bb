"""Options that take one of a few words."""

from __future__ import annotations

from collections.abc import Sequence

from seqcli.errors import did_you_mean, usage_error


def choice(option: str, value: str, known: Sequence[str]) -> str:
    """``value`` if it is one of ``known``.

    Raises:
        UserError: it is not (exit code 2), with the nearest.
    """
    if value not in known:
        raise usage_error(
            f"{option}: unknown value '{value}'", hint=did_you_mean(value, known) or f"Known: {', '.join(known)}."
        )
    return value
