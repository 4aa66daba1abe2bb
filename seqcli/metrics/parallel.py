"""What can be wrong between a hypothesis and its references, said in sentences: errors that stop, warnings that do not.

sacrebleu scores several of these without a word: transposed references give 100.0, an identical pair of three words
gives 0.0.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from seqcli.errors import data_error, plural

# A full stop or comma that stands alone, the joiner of Moses and subword-nmt, escapes of the Moses tokenizer.
_TOKENISED = re.compile(r" [.,](?=\s|$)|@-@|@@ |&apos;|&quot;")
_PUNCTUATED = re.compile(r"[.,](?=\s|$)|@-@|@@ |&apos;|&quot;")


def check_lines(hypothesis: tuple[str, int], references: Sequence[tuple[str, int]], columns: int = 1) -> None:
    """Refuse a hypothesis and references that do not have the same number of lines, or have none.

    Args:
        hypothesis: its name and number of lines.
        references: the same for each reference.
        columns: references a line of each, separated by tabs.

    Raises:
        UserError: they do not fit together (65).
    """
    name, lines = hypothesis
    if lines == 0 and not any(count for _, count in references):
        raise data_error("is empty, so there is nothing to score", file=name)
    different = [(other, count) for other, count in references if count != lines]
    if not different:
        return
    if lines > 1 and columns > 1 and references[0][1] == 1:
        raise data_error(_transposed(lines, columns), file=name, hint="Put the references of line N into line N.")
    if lines > 1 and len(references) > 1 and all(count == 1 for _, count in references):
        hint = "Give each reference as many lines as the hypothesis has."
        raise data_error(_transposed(lines, len(references)), file=name, hint=hint)
    other, count = different[0]
    raise data_error(
        f"the hypothesis has {plural(lines, 'line')}, but the reference {other} has {plural(count, 'line')}",
        file=name,
        hint="Line N is scored against line N: look for a line that was lost, added or cut in two.",
    )


def _transposed(lines: int, references: int) -> str:
    return (
        f"{references} references of one line each against a hypothesis of {plural(lines, 'line')}: the references look "
        "transposed (read so, only the first line would be scored, and it would match anything)"
    )


def looks_tokenised(lines: Sequence[str]) -> tuple[int, int]:
    """How many lines have a detached full stop or comma (or a joiner of a tokenizer), and how many have any."""
    # The plain searches spare the regular expression nearly every line.
    tokenised = sum(
        1 for line in lines if (" ." in line or " ," in line or "@" in line or "&" in line) and _TOKENISED.search(line)
    )
    return tokenised, sum(1 for line in lines if _PUNCTUATED.search(line)) if tokenised else 0


def tokenised_warning(name: str, lines: Sequence[str], advice: str) -> str | None:
    """The warning for a text of which most punctuated lines look tokenised, None otherwise."""
    tokenised, punctuated = looks_tokenised(lines)
    if 2 * tokenised <= punctuated or not tokenised:
        return None
    return (
        f"{name}: looks tokenised: {tokenised:,} of {plural(punctuated, 'line')} with a full stop or a comma have it apart "
        f"from the word. {advice}"
    )


def empty_lines_warning(name: str, numbers: Sequence[int], what: str, effect: str) -> str:
    """The warning for blank lines: the first of ``numbers`` (from 1), how many more there are, and what it does."""
    more = f" (and {len(numbers) - 1:,} more)" if len(numbers) > 1 else ""
    return f"{name}:{numbers[0]}: the {what} is empty{more}: {effect}"
