"""A trained classifier, ready for lines of text or for frames. Baselines are loaded without torch.

Shapes: N sequences, K labels, T positions.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, cast

import numpy as np
from numpy.typing import NDArray

from seqcli.data import catalogue
from seqcli.lines import read_lines
from seqcli.pipeline.stored import stored_recipe
from seqcli.store.runs import Run
from seqcli.tasks.labelled import read_channels
from seqcli.text.tokenizers import split_tokens, tokenizer_of

if TYPE_CHECKING:
    from seqcli.recipe.schema import Recipe
    from seqcli.recipe.tasks import ClassificationConfig

Numbers = NDArray[np.floating[Any]]


class Engine(Protocol):
    """The model behind a classifier, for lists of tokens or for frames [T, channels]."""

    def probabilities(self, sources: Sequence[Any]) -> Numbers:
        """Probability of each label [N, K]."""

    def attribution(self, source: Any) -> tuple[Numbers, Numbers]:
        """``(probabilities [K], share [T] of each position in the logit of the most probable label)``."""


class Explained(NamedTuple):
    """One sequence and what carried its most probable label: ``shares`` [T] belong to ``positions``.

    ``length``: positions that the sequence has; those past the model's ``max_length`` are not among ``positions``.
    """

    probs_K: Numbers
    positions: list[str]
    shares: list[float]
    length: int


@dataclass(frozen=True)
class Classifier:
    """A model of labels with what reads its input.

    Attributes:
        text: whether it reads text; else frames.
        separator: what stands between several labels; None where there is always one.
        threshold: from which probability on a label is given, where there may be several.
        max_length: positions that are looked at.
        channels: values a frame, 0 for text; ``missing``: whether some may be missing.
        data_format: format of the data it was trained on, None where that was guessed.
        at_once: a faster way from lines to ``(probabilities [N, K], tokens of each line [N])``, where there is one.
    """

    run: str
    engine: Engine
    labels: list[str]
    text: bool
    separator: str | None
    threshold: float
    max_length: int
    tokenize: Callable[[str], list[str]]
    channels: int
    missing: bool
    data_format: str | None
    at_once: Callable[[Sequence[str]], tuple[Numbers, NDArray[np.int64]]] | None

    def lines(self, lines: Sequence[str]) -> tuple[Numbers, NDArray[np.int64]]:
        """``(probabilities [N, K], tokens of each line [N])``; of more than ``max_length`` the first ones count."""
        if self.at_once is not None:
            return self.at_once(lines)
        sources = [self.tokenize(line) for line in lines]
        lengths = np.array([len(source) for source in sources], np.int64)
        return self.sequences(sources), lengths

    def sequences(self, sources: Sequence[Any]) -> Numbers:
        """Probabilities [N, K] of lists of tokens, or of frames."""
        return self.engine.probabilities([source[: self.max_length] for source in sources])

    def explain(self, source: Any) -> Explained:
        """What carried the decision about a line or about frames."""
        whole = self.tokenize(source) if self.text else source
        kept = whole[: self.max_length]
        probs_K, shares_T = self.engine.attribution(kept)
        positions = kept if self.text else [str(frame) for frame in range(len(kept))]
        return Explained(probs_K, positions, shares_T.tolist(), len(whole))

    def given(self, probs_K: Numbers) -> list[str]:
        """The labels given to one sequence."""
        if self.separator is None:
            return [self.labels[int(probs_K.argmax())]]
        return [self.labels[number] for number in np.flatnonzero(probs_K >= self.threshold).tolist()]

    def ranked(self, probs_K: Numbers, most: int | None = None) -> list[tuple[str, float]]:
        """``(label, probability)``, the most probable first; of equal ones the one more frequent in training."""
        order = np.argsort(-probs_K, kind="stable")[:most]
        return [(self.labels[number], float(probs_K[number])) for number in order.tolist()]


def load_classifier(run: Run, device: str = "auto", *, tokens: bool = False) -> Classifier:
    """The classifier of a finished run, on a device.

    Args:
        tokens: lines come in tokens, spaces between.

    Raises:
        UserError: a damaged or foreign file (65), a device that is not there (2).
    """
    recipe = stored_recipe(run)
    task = cast("ClassificationConfig", recipe.task)
    labels = [line for _, line in read_lines(run.labels_path)]
    tokenize: Callable[[str], list[str]] = split_tokens
    if recipe.text is not None and not tokens:
        tokenize = tokenizer_of(recipe.text.tokenizer, run.inside("tokenizer.model")).tokenize
    engine: Engine
    at_once = None
    if recipe.model.pooling is None:
        from seqcli.pipeline.fitted import FittedEngine

        engine = FittedEngine(run, recipe, labels)
        at_once = None if tokens or recipe.text is None else engine.at_once
    else:
        from seqcli.engines.classification import ClassificationEngine
        from seqcli.pipeline.load import load_run
        from seqcli.training.precision import choose_device

        engine = ClassificationEngine(*load_run(run), choose_device(device))
    part = recipe.model.embedder or recipe.model.encoder
    return Classifier(
        str(run),
        engine,
        labels,
        recipe.text is not None,
        task.separator,
        getattr(recipe.model.head, "threshold", 0.5),
        recipe.data.max_length,
        tokenize,
        read_channels(run.path) if recipe.text is None else 0,
        getattr(part, "missing", "refuse") == "mask",
        _format_of(recipe),
        at_once,
    )


def _format_of(recipe: Recipe) -> str | None:
    if recipe.data.format is None and recipe.data.corpus is not None:
        entry = catalogue.data_sets().get(recipe.data.corpus)
        return entry.format if entry else None
    return recipe.data.format
