"""Lines of text translated by one model, or by several together."""

from __future__ import annotations

from collections.abc import Sequence

from seqcli.data.batch import Side
from seqcli.decode.generate import GenerateOptions
from seqcli.errors import data_error
from seqcli.pipeline.model import Model
from seqcli.tasks.translation import TranslationTask
from seqcli.tasks.writing import Generated


class Translator:
    """Translates blocks of lines, in order.

    Args:
        prefix: what every translation begins with.
        attention: also tell where each token looked.
        scores: ln p and score are wanted too.
        refuse_long: a line longer than the model takes in one piece is an error, not cut where sentences end.
    """

    def __init__(
        self,
        model: Model[Generated],
        options: GenerateOptions,
        *,
        prefix: str = "",
        attention: bool = False,
        scores: bool = True,
        refuse_long: bool = False,
    ) -> None:
        self.model, self.task, self.options = model, _task(model), options
        self.attention, self.scores, self.refuse_long = attention, scores, refuse_long
        self.prefix = self.task.target.words.encode(self.task.target.read(prefix, "--prefix")) if prefix else []
        self.lines = 0
        self.cut: list[int] = []
        self.unknown: list[int] = []

    def block(self, lines: Sequence[str]) -> Sequence[Generated]:
        """Translations of some lines; a blank one has an empty translation.

        `cut` are the numbers of the lines that were cut, `unknown` of those of which no token is known.
        """
        if self.refuse_long:
            for number, line in enumerate(lines, self.lines + 1):
                if (length := len(self.task.source.read(line, ""))) > self.task.max_length:
                    raise data_error(
                        f"line {number} has {length:,} tokens; the model takes {self.task.max_length:,} in one piece",
                        hint="Leave out --long refuse to have it cut where sentences end.",
                    )
        found = self.model.predict_block(lines, ask=self._ask)
        for number, one in enumerate(found, self.lines + 1):
            if len(one.source) > self.task.max_length:
                self.cut.append(number)
            tokens = [token for token in one.source if token != "▁"]
            if tokens and not any(map(self.task.source.words.__contains__, tokens)):
                self.unknown.append(number)
        self.lines += len(lines)
        return found

    def _ask(self, side: Side, raws: Sequence[Sequence[str]], numbers: Sequence[int]) -> Sequence[Generated]:
        return self.task.generate(
            self.model.engine,
            side,
            raws,
            self.options,
            prefixes=[self.prefix] * len(raws) if self.prefix else None,
            attention=self.attention,
            scores=self.scores,
            numbers=[self.lines + number for number in numbers],
        )


def _task(model: Model[Generated]) -> TranslationTask:
    assert isinstance(model.task, TranslationTask)
    return model.task
