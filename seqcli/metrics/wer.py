"""Word and character error rate: jiwer's alignment, exact counts, the normalisation in the signature."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Literal

from seqcli.errors import data_error
from seqcli.metrics.score import Score, percent, signature

NormalForm = Literal["NFC", "NFKC", "NFD", "NFKD"]


@dataclass(frozen=True)
class Normalisation:
    """What is done to both texts before they are aligned.

    Attributes:
        lowercase: fold case by ``str.lower``.
        remove_punctuation: drop every character of a Unicode category P; what it joined stays one word.
        unicode_form: bring both to one Unicode normal form, so that composed and decomposed letters match.
    """

    lowercase: bool = False
    remove_punctuation: bool = False
    unicode_form: NormalForm | None = None

    def __call__(self, text: str) -> str:
        if self.unicode_form:
            text = unicodedata.normalize(self.unicode_form, text)
        if self.lowercase:
            text = text.lower()
        if self.remove_punctuation:
            text = "".join(character for character in text if not _is_punctuation(character))
        return text


def error_rate(
    hypotheses: Sequence[str],
    references: Sequence[str],
    *,
    characters: bool = False,
    normalisation: Normalisation = Normalisation(),
) -> Score:
    """Substitutions, deletions and insertions in percent of the reference's words (characters).

    Words are what white space separates; characters are code points, the spaces between words among them.

    Raises:
        ValueError: different numbers of lines.
        UserError: the references have no word at all, so a rate is undefined (exit code 65).
    """
    import jiwer

    if len(hypotheses) != len(references):
        raise ValueError(f"{len(hypotheses)} hypotheses against {len(references)} references")

    def split(lines: list[str]) -> list[list[str]]:
        if characters:
            return [list(normalisation(line).strip()) for line in lines]
        return [normalisation(line).split() for line in lines]

    transform: Any = split  # any callable will do
    result = jiwer.process_words(
        list(references), list(hypotheses), reference_transform=transform, hypothesis_transform=transform
    )
    edits = result.substitutions + result.deletions + result.insertions
    length = result.hits + result.substitutions + result.deletions
    if length == 0:
        raise data_error("the reference has no words, so an error rate is undefined")
    counts = {
        "substitutions": result.substitutions,
        "deletions": result.deletions,
        "insertions": result.insertions,
        "hits": result.hits,
        "ref_len": length,
        "hyp_len": result.hits + result.substitutions + result.insertions,
        "lines": len(references),
        "correct_lines": sum(all(chunk.type == "equal" for chunk in line) for line in result.alignments),
    }
    return Score("CER" if characters else "WER", percent(edits, length), _signature(characters, normalisation), counts)


def _signature(characters: bool, normalisation: Normalisation) -> str:
    from importlib.metadata import version

    return signature(
        "cer" if characters else "wer",
        case="lc" if normalisation.lowercase else "mixed",
        punct=not normalisation.remove_punctuation,
        norm=(normalisation.unicode_form or "none").lower(),
        jiwer=version("jiwer"),
    )


@lru_cache(maxsize=4096)
def _is_punctuation(character: str) -> bool:
    return unicodedata.category(character).startswith("P")
