"""What every task offers to the pipeline. A task kind is one file beside this one and a line in the registry.

Imports no torch: prediction runs without it, and so do the workers that encode.
"""

from __future__ import annotations

import sys
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from copy import copy
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Generic, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from seqcli.data.arrays import Columns
from seqcli.data.batch import Batch, Ints, Outputs, Side
from seqcli.data.encode import Cut, Pieces
from seqcli.data.example import Example
from seqcli.data.oddities import Labelled
from seqcli.data.order import ByLength, Lengths
from seqcli.decode.generate import GenerateOptions, Hypothesis
from seqcli.decode.stepper import Stepper
from seqcli.errors import usage_error
from seqcli.fields.base import Field, Progress, SourceField
from seqcli.metrics.paired import Sums, compare_right, compare_sums
from seqcli.metrics.score import Score
from seqcli.recipe import registry
from seqcli.recipe.models import CountsConfig, GradientsConfig, NetworkConfig
from seqcli.recipe.rule import Rule
from seqcli.recipe.schema import BatchConfig, Recipe

if TYPE_CHECKING:
    from seqcli.models.network import Network

P = TypeVar("P")
C_contra = TypeVar("C_contra", contravariant=True)
Arrays = dict[str, NDArray[Any]]
Count = Callable[[int, int], None]
"""Told (done, total) for a progress bar; may raise to stop."""


class Data(Protocol):
    """A split of a task as batches."""

    columns: Columns
    lengths: Lengths

    def batch(self, rows: NDArray[np.int64]) -> Batch:
        """The examples of these rows; any part of a batch's rows is a batch too."""

    def widths(self, rows: NDArray[np.int64]) -> Lengths:
        """Positions of each sequence in the batch of these rows."""

    def training_order(self, batch: BatchConfig, *, seed: int, epoch: int) -> Sequence[NDArray[np.int64]]:
        """The rows of each batch of an epoch, decided by (seed, epoch) alone."""

    def places(self, rows: NDArray[np.int64]) -> list[str]:
        """``file:line`` of the examples in these rows."""


class Engine(Protocol):
    """Runs a trained model.

    Attributes:
        flat: it wants the positions of all examples joined, not padded.
        parallel: batches may run side by side in threads, and gain by it.
        positions: a batch of so many, padding counted, runs fastest.
    """

    flat: bool
    parallel: bool
    positions: int

    def outputs(self, source: Side) -> Outputs:
        """What the model says of some examples."""

    def stepper(self, source: Side | None = None, outputs: Outputs | None = None) -> Stepper:
        """A language model, or an encoder-decoder that has read these sources, one token after the other.

        ``outputs``: what `outputs` said of them, where that is known already.
        """

    def generate(
        self,
        source: Side,
        options: GenerateOptions,
        *,
        eos: int,
        forbidden: Sequence[int] = (),
        prefixes: Sequence[Sequence[int]] | None = None,
        limits: Sequence[int] | None = None,
        attention: bool = False,
        numbers: Sequence[int] | None = None,
        scores: bool = True,
    ) -> list[list[Hypothesis]]:
        """What an encoder-decoder writes for some sources; see `seqcli.decode.generate.generate`.

        Without ``scores`` an engine may leave out what it does not know anyway: `Hypothesis.score` and ``log_prob`` are
        then NaN, and there are no ``log_probs``.
        """

    def score(self, source: Side, targets: Sequence[Ints]) -> list[NDArray[np.float64]]:
        """ln p of each token of a target for each source, by an encoder-decoder; <EOS> is a token like any other."""


class CountsEngine:
    """What the engines of counts share; each answers in one of the two ways, and refuses the other."""

    flat = True
    parallel = False
    positions = 2**16

    def outputs(self, source: Side) -> Outputs:
        raise usage_error("a language model is asked token by token")

    def stepper(self, source: Side | None = None, outputs: Outputs | None = None) -> Stepper:
        raise usage_error("only a language model has a next token")

    def generate(self, source: Side, options: GenerateOptions, **how: Any) -> list[list[Hypothesis]]:
        raise usage_error("only an encoder-decoder writes something for a source")

    def score(self, source: Side, targets: Sequence[Ints]) -> list[NDArray[np.float64]]:
        raise usage_error("only an encoder-decoder writes something for a source")


class Scorer(Protocol[C_contra]):
    """Counts predictions, and scores them at any time."""

    def add(self, gold: Sequence[Any], predictions: Sequence[C_contra]) -> Sequence[bool]:
        """Count some examples; returns which are right throughout."""

    def scores(self) -> dict[str, float]:
        """Everything a recipe can select by, by the names of `seqcli.metrics.metric.METRICS`."""

    def score(self) -> Score:
        """The score with its signature and counts."""

    def sums(self) -> Sums | None:
        """What two models are compared by: what each example adds, in the order in which they were counted.

        None where an example is right or wrong and nothing between, or where nothing can be compared.
        """


@dataclass(frozen=True)
class Mistake(Generic[P]):
    """An example that a model got wrong: where it stands, in words, what it should be and what came out."""

    at: str
    row: int
    source: str
    gold: Any
    prediction: P


@dataclass
class Measured(Generic[P]):
    """A split measured: the scorer, which examples [N] are right, and the mistakes where they were asked for.

    ``order``: the examples as they were counted, where that is not their own order.
    """

    scorer: Scorer[P]
    right: NDArray[np.bool_]
    mistakes: list[Mistake[P]]
    order: NDArray[np.int64] | None = None

    def paired(self, other: Measured[P]) -> dict[str, Any]:
        """How it compares with another model's example by example, for JSON; empty where it cannot."""
        mine, theirs = self.sums(), other.sums()
        if mine is not None and theirs is not None:
            return compare_sums(mine, theirs)
        return compare_right(self.right, other.right) if len(self.right) else {}

    def sums(self) -> Sums | None:
        """What the scorer compares by, the examples in their own order."""
        found = self.scorer.sums()
        return found if found is None or self.order is None else found.of_rows(np.argsort(self.order))


class PairData(ByLength):
    """Examples of a source and a target, batched by length."""

    def __init__(self, task: Task[Any], columns: Columns) -> None:
        assert task.target is not None
        self.columns = columns
        self.source = task.source.over(columns["source"], columns.files)
        self.target = task.target.over(columns["target"], columns.files)
        self.lengths = columns["source"].lengths

    def batch(self, rows: NDArray[np.int64]) -> Batch:
        return Batch(self.source.side(rows), self.target.side(rows), rows)


@dataclass(frozen=True)
class Addition(Generic[P]):
    """What predictions add to the rows of a table.

    Attributes:
        names: what follows the name of the added column in those of each value.
        values: of a prediction, one for each name: cells of text, or in JSON any value; in CoNLL one for each token.
    """

    names: Sequence[str]
    values: Callable[[P], Sequence[Any]]


class Task(ABC, Generic[P]):
    """One kind of task, fitted to data: from examples to batches, from a model's outputs to predictions and scores.

    Attributes:
        rules: what cannot stand together in a recipe of this task.
        select_by: the dev score that the best step is chosen by.
        max_length: longest source in one piece; of no limit where the model needs none.
        error_columns: what the rows of `error_rows` hold; empty where errors cannot be listed.
    """

    rules: ClassVar[tuple[Rule, ...]] = ()
    error_columns: ClassVar[tuple[str, ...]] = ()
    output_formats: ClassVar[tuple[str, ...]] = ()
    reads_lengths: ClassVar[bool] = False
    """Its predictions are made of outputs and of how long each source is: what stands in a source is not needed."""
    generates: bool = False
    """Its model is asked token by token; it has no outputs of a whole batch, but what an encoder says beside."""
    output: str = ""
    """The output of a network that `predict` reads; of an encoder-decoder, that of its decoder."""
    encoder_outputs: Sequence[str] = ()
    """Of an encoder-decoder: what its encoder says of the source, beside what the decoder keeps of it."""
    plain_text: ClassVar[bool] = False
    """Its data is text and nothing beside it: a file of which nobody said the format is lines."""
    exact: ClassVar[bool] = False
    """Its networks run in fp32 unless another precision is asked for."""
    has_series: ClassVar[bool] = False
    """Its data is series: a file of which nobody said the format is one of series."""

    source: SourceField
    target: Field | None

    def __init__(self, recipe: Recipe) -> None:
        self.recipe = recipe
        self.max_length = sys.maxsize if isinstance(recipe.model, CountsConfig) else recipe.data.max_length
        self.select_by = recipe.training.select_by or next(iter(self.score_names), "")

    @property
    def kind(self) -> str:
        return self.recipe.task.kind

    @property
    def is_network(self) -> bool:
        """Whether the model is a network, trained by gradients; else it is counted or fitted in one go."""
        return isinstance(self.recipe.model, GradientsConfig)

    @property
    @abstractmethod
    def score_names(self) -> Sequence[str]:
        """The dev scores there are, the task's own choice first."""

    @property
    def fields(self) -> dict[str, Field]:
        return {"source": self.source, **({"target": self.target} if self.target is not None else {})}

    # -- from examples to batches

    @abstractmethod
    def read(self, example: Example) -> Iterator[Mapping[str, Any]]:
        """The columns of one example: one mapping, several where a long sequence is cut, `Cut` where it is shortened."""

    def prepare(self, examples: Callable[[], Iterator[Example]], key: str, progress: Progress | None) -> None:
        """Learn of the training examples what must be known before anything is read; ``key`` tells which they are."""
        self.source.prepare(lambda: ((example.source, example.at) for example in examples()), key, progress)

    def reader(self, split: str, *, shared: bool = False) -> Pieces:
        """What reads the examples of a split; ``shared``: its files are those of the training split too."""
        return self.read

    def key(self) -> list[Any]:
        """Everything that decides what `read` makes of an example."""
        return [self.kind, self.max_length, *(part for field in self.fields.values() for part in field.key())]

    def fit(self, train: Columns) -> None:
        """Learn vocabularies, labels and scaling of the training split."""
        for name, field in self.fields.items():
            field.fit(train[name], train.files)

    def start_from(self, trained: Task[Any]) -> None:
        """Let `fit` start from what the fields of a trained model know.

        Raises:
            UserError: a field reads other values, or reads them in another way (2).
        """
        for name, field in self.fields.items():
            other = trained.fields[name]
            if type(other) is not type(field):
                raise usage_error(f"the {name} is {field.unit} in the recipe and {other.unit} in the model")
            field.start_from(other)

    def known_rows(self) -> dict[str, Ints]:
        """For each of `tables` that the model started from has too: the row of each entry there, -1 for a new one."""
        return {name: rows for field in self.fields.values() for name, rows in field.known_rows().items()}

    def save(self, folder: Path) -> list[str]:
        """Write what `fit` learned; returns the names of the files."""
        return [name for field in self.fields.values() for name in field.save(folder)]

    def load(self, folder: Path) -> None:
        for field in self.fields.values():
            field.load(folder)

    def data(self, columns: Columns) -> Data:
        return PairData(self, columns)

    def extent(self, data: Data) -> dict[str, int]:
        """How much a split holds, to be shown: examples, and positions of their sources."""
        return {"examples": len(data.columns), "tokens": int(data.lengths.sum())}

    def unseen(self, data: Data) -> list[str]:
        """Labels of a split that the model does not know."""
        return []

    def notices(self, name: str, data: Data) -> list[str]:
        """What else there is to say of a split before training."""
        return []

    def labelled(self, data: Data) -> Labelled | None:
        """What is known of the labels of a split; None where it has not one an example, or one a token."""
        columns = data.columns
        if not isinstance(data, PairData) or not len(columns["target"].symbols):
            return None
        source, target = columns["source"], columns["target"]
        counts = dict(zip(target.symbols, target.counts.tolist(), strict=True))
        total, tokens = sum(counts.values()), int(data.lengths.sum())
        whole = total == len(columns)
        if not whole and total != tokens:
            return None
        texts = None
        if whole:
            few = len(counts) <= total / 2  # else who asks wants to know whether the texts are few
            texts = total if few else len({source.sequence(row).tobytes() for row in range(total)})
        first = self.source.readable(source, 0)
        return Labelled(
            counts,
            columns.place(0),
            first if whole else first.split(" ")[0],
            target.symbols[int(target.sequence(0)[0])],
            texts,
            sum(count * len(label.split()) for label, count in counts.items()) / total,
            tokens / total,
        )

    # -- the model

    @property
    def eos(self) -> int:
        """Of a model that is asked token by token, the token that its sequences start from."""
        return 0

    @property
    def context(self) -> int | None:
        """How far such a model looks back; None: without limit."""
        return None

    def network(self) -> Network:
        """A new network, initialised by torch's current seed."""
        raise self._refusal("has no network")

    def fit_counts(self, train: Data, progress: Count) -> Arrays:
        """The model of a kind that is no network, fitted to the training split, as named arrays."""
        raise self._refusal("is trained by gradients")

    def counts_engine(self, arrays: Arrays, file: object = None) -> Engine:
        """The model of such arrays, which may come from anywhere.

        Raises:
            UserError: they are no such model (65, naming ``file``).
        """
        raise self._refusal("is trained by gradients")

    def beside(self) -> list[Task[P]]:
        """The tasks of the models that a network has beside it, with the fields of this one as they are fitted."""
        model, training = self.recipe.model, self.recipe.training.model_copy(update={"select_by": None})
        others: list[Task[P]] = []
        for config in model.beside if isinstance(model, NetworkConfig) else ():
            other = type(self)(self.recipe.model_copy(update={"model": config, "training": training}))
            other.source, other.target = copy(self.source), self.target
            other.source.flat = True
            others.append(other)
        return others

    def target_log_probs(self, engine: Engine, data: Data) -> NDArray[np.float64]:
        """ln p of each target of a split, in an order of its own that is the same for every engine."""
        raise self._refusal("is mixed with nothing")

    def _refusal(self, what: str) -> Exception:
        return usage_error(f"model.kind: {self.recipe.model.kind} {what} in the task {self.kind}")

    @property
    def tables(self) -> dict[str, int]:
        """Sizes that a network must have for the fields as they are fitted."""
        return {name: size for field in self.fields.values() for name, size in field.tables().items()}

    # -- from outputs to predictions and scores

    def pieces(self, raw: Any) -> list[Any]:
        """A raw source as what goes through the model: itself, its first part, or several parts."""
        return [raw[: self.max_length]]

    def predict(self, outputs: Outputs, raws: Sequence[Any], *, scores: bool = False) -> Sequence[P]:
        """What the outputs of a model for some sources mean; with ``scores`` how sure it is, where that is extra work."""
        raise usage_error(f"a model for {self.kind} predicts nothing")

    def ask(self, engine: Engine, side: Side, raws: Sequence[Any], *, scores: bool = False) -> Sequence[P]:
        """What a model says of some sources, given as ``side`` too."""
        return self.predict(engine.outputs(side), raws, scores=scores)

    def lengths(self, predictions: Sequence[P]) -> Sequence[int]:
        """Positions of the source that each prediction is for."""
        return [1] * len(predictions)

    @property
    def empty_input(self) -> str:
        """What a prediction for nothing means, for a warning; nothing where it is nothing."""
        return ""

    @property
    def too_long(self) -> tuple[str, str]:
        """What became of sources longer than `max_length` in training and in measuring, for messages."""
        return "cut", "measured in pieces"

    @property
    def long_input(self) -> str:
        """What became of a source longer than `max_length` in a prediction, for a warning."""
        return f"of more than {self.max_length} {self.source.unit} only the first {self.max_length} count"

    def join(self, raw: Any, parts: Sequence[P]) -> P:
        """The prediction of a source out of those of its pieces."""
        return parts[0]

    def located(self, items: Sequence[Any], predictions: Sequence[P]) -> Sequence[P]:
        """Predictions for lines with the places of their tokens, where predictions have any."""
        return predictions

    def scorer(self) -> Scorer[P]:
        raise usage_error(f"a model for {self.kind} has no score on a split")

    def writer(self, form: str, *, scores: bool = False, top: int | None = None) -> Callable[[Sequence[P]], str]:
        """What turns predictions into the lines to print, in one of `output_formats`."""
        raise usage_error(f"a model for {self.kind} predicts nothing")

    def addition(self, form: str, *, scores: bool = False, top: int | None = None) -> Addition[P]:
        """What predictions add to the rows of a table of one of the formats of `seqcli.data.tables`."""
        raise usage_error(f"a model for {self.kind} predicts nothing")

    def measure(self, engine: Engine, data: Data, *, mistakes: bool = False, quick: bool = False) -> Measured[P]:
        """Run a model over a split and count; ``quick``: as training does on its way, where less may do."""
        assert isinstance(data, PairData)
        scorer = self.scorer()
        right = np.zeros(len(data.columns), bool)
        wrong: list[Mistake[P]] = []
        order: list[NDArray[np.int64]] = []
        for rows in data.measuring_order(engine.positions):
            order.append(rows)
            batch = data.batch(rows)
            predictions = self.ask_batch(engine, batch)
            gold = self.gold(data, rows)
            right[rows] = scorer.add(gold, predictions)
            if mistakes:
                wrong += [
                    Mistake(data.columns.place(row), row, self.source.readable(data.columns["source"], row), *pair)
                    for row, pair in zip(rows.tolist(), zip(gold, predictions, strict=True), strict=True)
                    if not right[row]
                ]
        return Measured(scorer, right, wrong, np.concatenate(order or [np.zeros(0, np.int64)]))

    def ask_batch(self, engine: Engine, batch: Batch) -> Sequence[P]:
        """`ask` where the target is known."""
        return self.predict_batch(engine.outputs(batch.source), batch)

    def predict_batch(self, outputs: Outputs, batch: Batch) -> Sequence[P]:
        """`predict` where the target is known, with what the scores need of it (a loss)."""
        raise usage_error(f"a model for {self.kind} has no score on a split")

    def gold(self, data: PairData, rows: NDArray[np.int64]) -> list[Any]:
        """What the predictions of these rows should be."""
        raise usage_error(f"a model for {self.kind} has no score on a split")

    def error_rows(self, mistakes: Sequence[Mistake[P]]) -> Iterator[tuple[str, ...]]:
        """Rows of `error_columns`, in the order they are worth reading."""
        return iter(())

    def differences(self, other: Task[Any], name: str) -> list[str]:
        """What makes a comparison with another model of the same task less than fair, for notices.

        Raises:
            UserError: the two cannot be compared (2).
        """
        return []

    def baselines(self, data: Mapping[str, Data]) -> list[tuple[str, Task[P]]]:
        """``(title, task)`` of the models that a report compares with, fitted in seconds on the same data."""
        return []

    @property
    def learned(self) -> str:
        """How the labels that the model learns differ from those of the data, for messages."""
        return ""

    def describe(self, data: Data, rows: Sequence[int]) -> list[str]:
        """Encoded examples turned back into readable lines, as a check of the encoding."""
        return [self.source.readable(data.columns["source"], row, as_seen=True) for row in rows]

    def summary(self) -> dict[str, int]:
        """Sizes worth showing: words, labels."""
        return {name: size for field in self.fields.values() for name, size in field.summary().items()}


def new_task(recipe: Recipe) -> Task[Any]:
    """The task that a recipe names, not yet fitted."""
    task: Task[Any] = registry.implementation("task", recipe.task.kind)(recipe)
    return task


def shortened(columns: dict[str, Any], max_length: int) -> Mapping[str, Any]:
    """The columns of an example of whose source the first positions count, marked where there were more."""
    source = columns["source"]
    return columns if len(source) <= max_length else Cut({**columns, "source": source[:max_length]})
