"""Imputation: the gaps of series filled. Shapes: B windows, L steps of one, C columns read, M columns filled, T steps of a series."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from seqcli.data.arrays import Columns
from seqcli.data.batch import Batch, Ints, Outputs, SeriesSizes, Side
from seqcli.data.encode import Pieces
from seqcli.data.example import Example
from seqcli.data.gaps import Hiding
from seqcli.data.order import Lengths, epoch_batches
from seqcli.data.series import Steps
from seqcli.errors import data_error, plural, usage_error
from seqcli.fields.gaps import FIXED_SEED, GapField, Gappy, GapWindows, Piece, windows_over
from seqcli.fields.series import Floats, Part, SeriesColumn, as_series
from seqcli.metrics.metric import IMPUTATION_METRICS
from seqcli.metrics.score import Score
from seqcli.metrics.series import SeriesScore
from seqcli.models.counts.gaps import SeriesImputer
from seqcli.recipe import registry
from seqcli.recipe.fields import SeriesFieldConfig, SeriesTargetConfig
from seqcli.recipe.models import NetworkConfig
from seqcli.recipe.rule import Rule
from seqcli.recipe.schema import BatchConfig, Recipe
from seqcli.recipe.tasks import ImputationConfig
from seqcli.tasks.base import Arrays, Count, CountsEngine, Data, Engine, Measured, Task
from seqcli.tasks.rules import BY_TIME, head_kind, needs, network, section, selects_by, sides, single, unless_network

if TYPE_CHECKING:
    from seqcli.models.network import Network

BASELINES = ("last-value", "interpolation", "median")
"""Models that are fitted in one go, on their own or to compare others with."""

_AT_ONCE = 256
"""Series that are measured together."""


class Filled(NamedTuple):
    """A series whose gaps are filled: its values, and which of them were gaps."""

    name: str
    columns: tuple[str, ...]
    values_TM: Floats
    gaps_TM: NDArray[np.bool_]


def _config(recipe: Recipe) -> ImputationConfig:
    return section(recipe.task, ImputationConfig)


def _source(recipe: Recipe) -> SeriesFieldConfig:
    return section(recipe.source, SeriesFieldConfig)


SCORES = [metric.name for metric in IMPUTATION_METRICS]


class ImputationTask(Task[Filled]):
    """The gaps of series: a network learns to fill those made on purpose, and is measured by others that it never saw."""

    rules = (
        *sides(("series",), ("series",)),
        unless_network("imputation", *BASELINES),
        *needs("embedder", "encoder", "head"),
        Rule(
            "model.embedder",
            lambda r: (embedder := network(r).embedder) is not None and embedder.kind != "gaps",
            "does not say where the gaps are",
            "Set embedder: {kind: gaps}.",
        ),
        Rule("model.head", lambda r: head_kind(r) not in ("", "fill"), "fills no gaps", "Set head: {kind: fill}."),
        *single("imputation"),
        selects_by(lambda recipe: SCORES),
        Rule(
            "source.known",
            lambda r: _source(r).known,
            "a gap is filled, not foreseen: every column is read",
            "Leave it out.",
        ),
        Rule("source.missing", lambda r: _source(r).missing == "last", "leaves no gaps to fill", "Leave it out."),
        Rule(
            "source.transform",
            lambda r: _source(r).transform != "none",
            "gaps are filled in the values themselves",
            "Leave it out.",
        ),
        Rule(
            "task.block",
            lambda r: _config(r).pattern == "blocks" and _config(r).block >= _config(r).steps,
            lambda r: f"a stretch of {_config(r).block} steps leaves nothing of a window of {_config(r).steps}",
            "Raise task.steps.",
        ),
        *BY_TIME,
    )
    has_series = True
    exact = True
    output_formats = ("csv", "jsonl")
    output = "values_BLM"
    source: GapField

    def __init__(self, recipe: Recipe) -> None:
        self.config = _config(recipe)
        filled = section(recipe.target, SeriesTargetConfig).columns
        self.source = GapField(_source(recipe), filled, self.config.steps)
        self.target = None
        self.hiding = Hiding(self.config.hide, self.config.pattern, self.config.block)
        super().__init__(recipe)
        self.max_length = sys.maxsize

    @property
    def score_names(self) -> Sequence[str]:
        return SCORES

    # -- from series to windows

    def read(self, example: Example) -> Iterator[Mapping[str, Any]]:
        return self._read("test", False, example)

    def reader(self, split: str, *, shared: bool = False) -> Pieces:
        return partial(self._read, split, shared)

    def _read(self, split: str, shared: bool, example: Example) -> Iterator[Mapping[str, Any]]:
        series, at = as_series(example.source, example.at), example.at
        steps = Steps.of(self.recipe.data)
        if shared or split == "train":
            part = Part(steps.part("train", series, at)[1], *steps.part(split, series, at))
        else:
            part = Part(len(series), 0, len(series))
        yield self.source.encode(series, at, split, part)

    def key(self) -> list[Any]:
        return [*super().key(), Steps.of(self.recipe.data)]

    def fit(self, train: Columns) -> None:
        """Raises UserError (65): a column that is filled has no value for training."""
        column = SeriesColumn.of(train)
        self.source.fit(column, train.files)
        there_C = np.zeros(len(self.source.columns), bool)
        for values_TC in GapWindows(self.source, column).on_scale():
            there_C |= ~np.isnan(values_TC).all(0)
        if empty := [self.source.columns[place] for place in self.source.targets if not there_C[place]]:
            raise data_error(
                f"all values of '{empty[0]}' for training are missing",
                file=", ".join(train.files),
                hint="Leave the column out: source.columns.",
            )

    def data(self, columns: Columns) -> GapData:
        windows = self.source.over(SeriesColumn.of(columns), columns.files)
        return GapData(columns, windows, self.hiding, self.recipe.training.seed, self.config.vary)

    def extent(self, data: Data) -> dict[str, int]:
        windows = _windows(data)
        return {"examples": len(data.columns), "tokens": int((windows.end_S - windows.start_S).sum())}

    def notices(self, name: str, data: Data) -> list[str]:
        windows = _windows(data)
        if name == "train":
            return [f"{name}: {plural(len(windows), 'window')} an epoch to learn from, {self.hiding.name} hidden"]
        return [
            f"{name}: {self.hiding.name} hidden to measure" + f", {self.config.rounds} times" * (self.config.rounds > 1)
        ]

    def describe(self, data: Data, rows: Sequence[int]) -> list[str]:
        """The first column of some windows on the network's scale, ``?`` where a value is hidden, - where none was."""
        batch = data.batch(np.asarray(rows, np.int64))
        since_BLC, before_BLC = (batch.source.arrays[f"{name}_BLC"] for name in ("since", "before"))
        place = self.source.targets[0]
        shown = []
        for row, at in enumerate(data.places(batch.rows)):
            cells = [
                "?" if not np.isnan(hidden) else "-" if since else f"{value:.3g}"
                for hidden, since, value in zip(
                    batch.target.arrays["values_BLM"][row, :12, 0],
                    since_BLC[row, :12, place],
                    before_BLC[row, :12, place],
                    strict=True,
                )
            ]
            shown.append(f"{at}: {' '.join(cells)} ...")
        return shown

    # -- the model

    def sizes(self) -> SeriesSizes:
        return self.source.series_sizes()

    @property
    def tables(self) -> dict[str, int]:
        return self.sizes().tables

    def network(self) -> Network:
        from seqcli.models.imputer import Imputer

        assert isinstance(self.recipe.model, NetworkConfig)
        return Imputer(self.recipe.model, self.sizes())

    @property
    def _counts(self) -> type[SeriesImputer]:
        model: type[SeriesImputer] = registry.implementation("model", self.recipe.model.kind)
        return model

    def fit_counts(self, train: Data, progress: Count) -> Arrays:
        return self._counts.fit(self.recipe.model, _windows(train).on_scale(), self.sizes(), progress).arrays()

    def counts_engine(self, arrays: Arrays, file: object = None) -> Engine:
        return GapCounts(self._counts.from_arrays(self.recipe.model, arrays, self.sizes(), file))

    # -- filling

    def pieces(self, raw: Any) -> list[Any]:
        """Windows of a network; a model of counts reads a series whole."""
        return windows_over(raw, self.config.steps if self.is_network else max(2, len(raw)))

    def lengths(self, predictions: Sequence[Filled]) -> Sequence[int]:
        return [len(one.values_TM) for one in predictions]

    def ask(self, engine: Engine, side: Side, raws: Sequence[Any], *, scores: bool = False) -> Sequence[Filled]:
        if isinstance(engine, GapCounts):
            return [
                self._filled(engine.model.impute(self.source.on_scale(piece.of))[:, [*self.source.targets]], piece)
                for piece in raws
            ]
        return self.predict(engine.outputs(side), raws)

    def predict(self, outputs: Outputs, raws: Sequence[Any], *, scores: bool = False) -> Sequence[Filled]:
        return [
            self._filled(values_LM[piece.own], piece)
            for piece, values_LM in zip(raws, outputs[self.output], strict=True)
        ]

    def _filled(self, values_TM: NDArray[Any], piece: Piece) -> Filled:
        """The steps that a piece decides: its values where they are there, elsewhere those of the model."""
        known_TM = piece.of.values_TC[piece.first : piece.last, [*self.source.targets]]
        gaps_TM = np.isnan(known_TM)
        made_TM = self.source.off_scale(values_TM, piece.of)
        return Filled(piece.of.name, self.source.target_names, np.where(gaps_TM, made_TM, known_TM), gaps_TM)

    def join(self, raw: Any, parts: Sequence[Filled]) -> Filled:
        values_TM, gaps_TM = (np.concatenate(one) for one in zip(*(part[2:] for part in parts), strict=True))
        return Filled(raw.name, self.source.target_names, values_TM, gaps_TM)

    def _fill(self, engine: Engine, raws: Sequence[Gappy]) -> list[Filled]:
        """As `seqcli.pipeline.model.Model.predict_block` does."""
        pieces = [(owner, piece) for owner, raw in enumerate(raws) for piece in self.pieces(raw)]
        parts: list[list[Filled]] = [[] for _ in raws]
        size = max(1, engine.positions // self.config.steps)
        for start in range(0, len(pieces), size):
            owners, some = zip(*pieces[start : start + size], strict=True)
            for owner, part in zip(owners, self.ask(engine, self.source.side(some), some), strict=True):
                parts[owner].append(part)
        return [self.join(raw, own) for raw, own in zip(raws, parts, strict=True)]

    # -- scores

    def scorer(self) -> GapScorer:
        return self._scorer(self.hiding)

    def _scorer(self, hiding: Hiding) -> GapScorer:
        by = {
            "series": "deviation-of-each-series",
            "common": "deviation-over-all-series",
            "none": "deviation-of-each-series",
        }
        choices = {
            "hidden": hiding.name.replace(" ", "-"),
            "draws": f"pcg64-{FIXED_SEED}-series-number",
            "rounds": self.config.rounds,
            "by": f"training-{by[self.source.scaling]}",
            "window": self.config.steps if self.is_network else "all",
        }
        return GapScorer(SeriesScore(1, self.source.target_names, unit="steps", choices=choices), self.select_by)

    def measure(self, engine: Engine, data: Data, *, mistakes: bool = False, quick: bool = False) -> Measured[Filled]:
        """Hide values of the split, fill them, compare; unless ``quick`` also single values, 10% and 50%, and stretches."""
        scorer = self._measured(engine, data, self.hiding)
        if not scorer.counted.values:
            files = ", ".join(data.columns.files)
            hint = "Set task.rounds: 10, or keep more steps (data.dev_steps, data.test_steps)."
            raise data_error(f"{self.hiding.name} hide nothing: too few values are there", file=files, hint=hint)
        if not quick:
            for other in (Hiding(0.1), Hiding(0.5), Hiding(0.1, "blocks", self.config.block)):
                is_own = other.name == self.hiding.name
                scorer.add_other(other.name, scorer if is_own else self._measured(engine, data, other))
        return Measured(scorer, np.zeros(0, bool), [])

    def _measured(self, engine: Engine, data: Data, hiding: Hiding) -> GapScorer:
        windows, scorer = _windows(data), self._scorer(hiding)
        targets = [*self.source.targets]
        jobs = [(number, turn) for number in range(len(windows.column)) for turn in range(self.config.rounds)]
        for start in range(0, len(jobs), _AT_ONCE):
            golds: list[Floats] = []
            raws: list[Gappy] = []
            for number, turn in jobs[start : start + _AT_ONCE]:
                values_TC, features_TF, begin = windows.series(number, whole=not self.is_network)
                gold_TM = np.full((len(values_TC), len(targets)), np.nan)
                seen_TM = values_TC[begin:, targets]
                random = np.random.default_rng([FIXED_SEED, number])
                hidden_TM = hiding.hidden(~np.isnan(seen_TM), random, turn)
                gold_TM[begin:][hidden_TM] = seen_TM[hidden_TM]
                seen_TM[hidden_TM] = np.nan
                values_TC[begin:, targets] = seen_TM
                golds.append(gold_TM)
                raws.append(self.source.gappy(windows.column.names[number], values_TC, features_TF))
            found = [one.values_TM for one in self._fill(engine, raws)]
            scale = [np.tile(self.source.deviation_of(raw), (len(raw), 1)) for raw in raws]
            scorer.count(*map(np.concatenate, (golds, found, scale)))
        return scorer

    def differences(self, other: Task[Any], name: str) -> list[str]:
        """Models that fill other columns, or are measured otherwise, are refused."""
        assert isinstance(other, ImputationTask)
        mine, theirs = (
            (one.source.target_names, one.source.scaling, one.hiding, one.config.rounds) for one in (self, other)
        )
        if mine != theirs:
            raise usage_error(f"{name} fills other columns, or other values are hidden, so the two cannot be compared")
        return []

    def baselines(self, data: Mapping[str, Data]) -> list[tuple[str, Task[Filled]]]:
        """Those that the recipe asks for, without the kind that it trains itself."""
        others: list[tuple[str, Task[Filled]]] = []
        for kind in dict.fromkeys(BASELINES if self.config.baselines is None else self.config.baselines):
            if kind != self.recipe.model.kind:
                model = registry.config_class("model", kind)()
                task = ImputationTask(self.recipe.model_copy(update={"model": model}))
                others.append((task._counts.title(model), task))
        return others

    # -- output

    def writer(self, form: str, *, scores: bool = False, top: int | None = None) -> Callable[[Sequence[Filled]], str]:
        """JSON lines: an object for each series."""
        return lambda found: "".join(f"{json.dumps(document(one), ensure_ascii=False)}\n" for one in found)


def document(one: Filled) -> dict[str, Any]:
    """A series without gaps as JSON, and how many of each column were filled."""
    return {
        **({"name": one.name} if one.name else {}),
        **{name: one.values_TM[:, place].tolist() for place, name in enumerate(one.columns)},
        "filled": {name: int(one.gaps_TM[:, place].sum()) for place, name in enumerate(one.columns)},
    }


class GapData:
    """The windows of a split; a row is the number of one, counted on from epoch to epoch."""

    def __init__(self, columns: Columns, windows: GapWindows, hiding: Hiding, seed: int, vary: float) -> None:
        self.columns, self.windows = columns, windows
        self.hiding, self.seed, self.vary = hiding, seed, vary
        self.lengths: Lengths = windows.lengths

    def batch(self, rows: NDArray[np.int64]) -> Batch:
        return Batch(*self.windows.hidden_sides(rows, self.hiding, self.seed, self.vary), rows)

    def widths(self, rows: NDArray[np.int64]) -> Lengths:
        return self.lengths[rows % len(self.lengths)]

    def training_order(self, batch: BatchConfig, *, seed: int, epoch: int) -> Sequence[Ints]:
        order = epoch_batches(self.lengths, tokens=batch.tokens, sequences=batch.sequences, seed=seed, epoch=epoch)
        first = epoch * len(self.lengths)
        return [rows + first for rows in order]

    def places(self, rows: NDArray[np.int64]) -> list[str]:
        series_B = np.searchsorted(self.windows.first_S, rows % max(1, len(self.lengths)), side="right") - 1
        return [self.columns.place(series) for series in series_B.tolist()]


class GapScorer:
    """The errors of filled values; ``others``: the scores where values are hidden in other ways."""

    def __init__(self, counted: SeriesScore, name: str) -> None:
        self.counted, self.name = counted, name
        self.others: dict[str, dict[str, float]] = {}

    def count(self, gold_TM: Floats, filled_TM: Floats, deviation_TM: Floats) -> None:
        """Of some steps; what was not hidden is NaN."""
        steps = np.flatnonzero(~np.isnan(gold_TM).all(1))
        self.counted.add(gold_TM[steps, None], filled_TM[steps, None], scale_BC=deviation_TM[steps])

    def add_other(self, name: str, scorer: GapScorer) -> None:
        if scorer.counted.values:
            self.others[name] = scorer.scores()

    def add(self, gold: Sequence[Any], predictions: Sequence[Filled]) -> Sequence[bool]:
        raise usage_error("what is filled is measured by the values that are hidden in a split")

    def scores(self) -> dict[str, float]:
        return _only(self.counted.scores())

    def sums(self) -> None:
        return None

    def score(self) -> Score:
        """The score that the recipe selects by; ``hidden`` among its counts are the scores of other ways to hide."""
        found = self.counted.score(self.name)
        counts = {
            **found.counts,
            "scores": self.scores(),
            "steps": [],
            "columns": {name: _only(scores) for name, scores in self.counted.by_column().items()},
            "hidden": self.others,
        }
        del counts["left_out"]
        return Score(found.name, found.value, found.signature, counts)


def _only(scores: Mapping[str, float]) -> dict[str, float]:
    return {name: scores[name] for name in SCORES}


class GapCounts(CountsEngine):
    """A model that fills gaps and is no network."""

    flat = False

    def __init__(self, model: SeriesImputer) -> None:
        self.model = model


def _windows(data: Data) -> GapWindows:
    assert isinstance(data, GapData)
    return data.windows
