"""A trained language model with what turns text into its tokens and back."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from seqcli.decode.stepper import Stepper
from seqcli.pipeline.model import Model
from seqcli.store.runs import Run
from seqcli.tasks.language_model import LanguageModelTask
from seqcli.text.tokenizers import Tokenizer
from seqcli.text.vocabulary import Vocabulary


@dataclass(frozen=True)
class LanguageModel:
    """A model of the next token, ready to be sampled from and scored with.

    Attributes:
        run: which run it is.
        engine: the model; it starts from <EOS>.
        unit: ``sentences``: each line from a fresh state, ends in <EOS>; ``stream``: lines of one running text, <EOS>
            stands for the line break.
        eos, unk: ids of <EOS> and <UNK>.
    """

    run: str
    engine: Stepper
    vocabulary: Vocabulary
    tokenizer: Tokenizer
    unit: str
    eos: int
    unk: int

    def encode(self, text: str) -> list[int]:
        """Ids of a line of text without <EOS>; in a stream a line break inside the text becomes <EOS>."""
        if self.unit != "stream":
            return self.vocabulary.encode(self.tokenizer.tokenize(text))
        first, *others = (self.vocabulary.encode(self.tokenizer.tokenize(line)) for line in text.split("\n"))
        return [*first, *(number for line in others for number in (self.eos, *line))]

    def decode(self, ids: Iterable[int]) -> str:
        """The text of ids; in a stream <EOS> becomes a line break, else it has no text."""
        lines: list[list[int]] = [[]]
        for number in ids:
            if number != self.eos:
                lines[-1].append(number)
            elif self.unit == "stream":
                lines.append([])
        return "\n".join(self.tokenizer.detokenize(self.vocabulary.decode(line)) for line in lines)


def load_language_model(run: Run, device: str = "auto", engine: str = "auto") -> LanguageModel:
    """The language model of a finished run; see `Model.load`."""
    return language_model(Model.load(run, device=device, engine=engine))


def language_model(model: Model[float]) -> LanguageModel:
    task = model.task
    assert isinstance(task, LanguageModelTask)
    field = task.source
    stepper = model.engine.stepper()
    return LanguageModel(model.name, stepper, field.words, field.tokenizer, task.config.unit, field.eos, field.unk)
