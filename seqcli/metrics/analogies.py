"""Analogy questions (Mikolov et al. 2013): the file, and counting the right answers.

The file has sections: a line ``: name``, then questions of four words a line, ``Athens Greece Oslo Norway``: the first
is to the second as the third is to the fourth. Sections whose name begins with ``gram`` ask for word forms, the others
for knowledge.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from itertools import islice

from seqcli.errors import data_error
from seqcli.lines import read_lines
from seqcli.metrics.score import Score, percent, signature

Question = tuple[str, str, str, str]


@dataclass
class Section:
    name: str
    questions: list[Question] = field(default_factory=list)


def looks_like_questions(path: str | os.PathLike[str]) -> bool:
    """Whether the first line that is not blank is the name of a section.

    Raises:
        UserError: the file cannot be read (74).
    """
    filled = (line for _, line in read_lines(path, on_invalid="replace") if line.strip())
    first = next(islice(filled, 1), "")
    return first.startswith(":") and "\t" not in first


def read_questions(path: str | os.PathLike[str] | None) -> list[Section]:
    """The sections of a file, in its order; blank lines are passed over.

    Raises:
        UserError: the file cannot be read (74); a section without a name, a question before the first section or of
            other than four words, or no question at all (65, with the line).
    """
    sections: list[Section] = []
    for number, line in read_lines(path):
        words = line.split()
        if line.startswith(":"):
            name = line[1:].strip()
            if not name:
                raise data_error("a section without a name", file=path, line=number)
            sections.append(Section(name))
        elif words:
            if not sections:
                raise data_error(
                    "a question before the first section", file=path, line=number, hint="A line ': name' begins one."
                )
            if len(words) != 4:
                raise data_error(f"a question has four words, this has {len(words)}", file=path, line=number)
            sections[-1].questions.append((words[0], words[1], words[2], words[3]))
    if not any(section.questions for section in sections):
        raise data_error("no questions", file=path)
    return sections


@dataclass(frozen=True)
class AnalogyCount:
    """How often the answer was right. ``covered``: questions of which all four words have a vector."""

    name: str
    questions: int
    covered: int
    correct: int

    @property
    def accuracy(self) -> float:
        """Percent right of those covered; 0 where none is."""
        return percent(self.correct, self.covered)

    @property
    def coverage(self) -> float:
        """Percent of the questions that are covered."""
        return percent(self.covered, self.questions)

    def as_json(self) -> dict[str, object]:
        return {**asdict(self), "accuracy": self.accuracy, "coverage": self.coverage}


def total(name: str, counts: Sequence[AnalogyCount]) -> AnalogyCount:
    """Several sections as one."""
    return AnalogyCount(
        name,
        sum(one.questions for one in counts),
        sum(one.covered for one in counts),
        sum(one.correct for one in counts),
    )


def analogy_score(counts: list[AnalogyCount], method: str, words: int, lowercase: bool) -> Score:
    """Accuracy over all sections, in percent of the covered questions; ``words`` is how many have a vector.

    ``counts`` of the score: the totals (all, semantic, syntactic), each section, and ``random``, the accuracy in
    percent of a guess among the words that are not in the question.
    """
    syntactic = [one for one in counts if one.name.startswith("gram")]
    semantic = [one for one in counts if not one.name.startswith("gram")]
    sections = {"all": counts, "semantic": semantic, "syntactic": syntactic}
    parts = {name: total(name, of_part) for name, of_part in sections.items()}
    return Score(
        "analogy accuracy",
        parts["all"].accuracy,
        signature("analogies", method=method, case="lower" if lowercase else "as-is"),
        {
            **{name: part.as_json() for name, part in parts.items()},
            "sections": [one.as_json() for one in counts],
            "words": words,
            "random": percent(1, max(0, words - 3)),
        },
    )
