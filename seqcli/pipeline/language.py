"""A trained language model, ready to be sampled from and scored with."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

from seqcli.decode.stepper import Stepper
from seqcli.models.counts.base import Sizes
from seqcli.pipeline.stored import stored_arrays, stored_recipe
from seqcli.store.runs import Run
from seqcli.text.tokenizers import Lowercased, Tokenizer, tokenizer_of
from seqcli.text.vocabulary import EOS, UNK, Vocabulary

if TYPE_CHECKING:
    from seqcli.recipe.encoders import NGramConfig
    from seqcli.recipe.schema import Recipe
    from seqcli.recipe.tasks import LanguageModelConfig


@dataclass(frozen=True)
class LanguageModel:
    """A model of the next token with what turns text into its tokens and back.

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


def load_language_model(run: Run, device: str = "auto") -> LanguageModel:
    """The language model of a finished run, on a device. A model of counts is loaded without torch.

    Raises:
        UserError: a damaged or foreign file (65), a device that is not there (2).
    """
    recipe = stored_recipe(run)
    assert recipe.text is not None
    assert recipe.model.encoder is not None
    task = cast("LanguageModelConfig", recipe.task)
    vocabulary = Vocabulary.load(run.vocabulary_path)
    tokenizer = tokenizer_of(recipe.text.tokenizer, run.inside("tokenizer.model"))
    if recipe.text.vocabulary.lowercase:
        tokenizer = Lowercased(tokenizer)
    eos, unk = vocabulary.id_of(EOS), vocabulary.id_of(UNK)
    engine: Stepper
    if recipe.model.encoder.kind == "ngram":
        engine = _counts(run, recipe, Sizes(words=len(vocabulary), bos=eos, unk=unk))
    else:
        from seqcli.engines.language import NetworkEngine
        from seqcli.pipeline.load import load_run
        from seqcli.training.precision import choose_device

        engine = NetworkEngine(*load_run(run), choose_device(device))
    return LanguageModel(str(run), engine, vocabulary, tokenizer, task.unit, eos, unk)


def _counts(run: Run, recipe: Recipe, sizes: Sizes) -> Stepper:
    from seqcli.models.counts.ngram import NGramModel

    config = cast("NGramConfig", recipe.model.encoder)
    return NGramModel.from_arrays(config, stored_arrays(run), sizes, run.weights_path)
