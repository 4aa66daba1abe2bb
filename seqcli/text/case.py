"""Lower case, the same for every word that is looked up in a vocabulary."""

from __future__ import annotations


def lower(text: str) -> str:
    """Lower case of the same length: İ is the one letter whose lower case is longer."""
    return text.replace("İ", "i").lower()
