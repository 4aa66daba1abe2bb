"""Forecasting: the next values of series. Shapes: B windows, L steps read, K steps predicted at once, H steps measured, C columns
read, M columns predicted, Q quantiles, T steps of a history, S steps read and to come."""

from __future__ import annotations

import json
import math
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
from seqcli.data.order import Batches, Lengths
from seqcli.data.series import Series, Steps, Times
from seqcli.errors import data_error, plural, usage_error
from seqcli.fields.series import Floats, History, Part, SeriesColumn, SeriesField, SeriesWindows, Window, as_series
from seqcli.metrics.metric import SERIES_METRICS
from seqcli.metrics.score import Score
from seqcli.metrics.series import SeriesScore
from seqcli.models.counts.series import SeriesForecaster, has_statsforecast
from seqcli.recipe import registry
from seqcli.recipe.fields import SeriesFieldConfig, SeriesTargetConfig
from seqcli.recipe.models import EncoderDecoderConfig, NetworkConfig
from seqcli.recipe.rule import Rule
from seqcli.recipe.schema import BatchConfig, Recipe
from seqcli.recipe.tasks import ForecastingConfig
from seqcli.tasks.base import Arrays, Count, CountsEngine, Data, Engine, Measured, Task
from seqcli.tasks.forecaster_rules import FORECASTER_RULES
from seqcli.tasks.rules import BY_TIME, needs, section, selects_by, sides, single, unless_network

if TYPE_CHECKING:
    from seqcli.models.network import Network

BASELINES = ("last-value", "seasonal-naive", "drift", "linear", "ets", "theta")
"""Models that are fitted in one go, on their own or to compare others with."""

FEW = 200
"""Forecasts of a column up to which ETS and theta, which are fitted for each anew, stand in a report unasked."""

MOST_FITTED = 2**18
"""Training windows that the linear model is fitted to; of more, so many evenly apart."""

_AT_ONCE = 2**18
"""Values of a history that models of counts are given together."""


class Forecast(NamedTuple):
    """What comes after a series.

    Attributes:
        times_K: None where the series has no times.
        quantiles_KMQ: the values below which each share of ``quantiles`` should lie; None where the model has none.
    """

    name: str
    columns: tuple[str, ...]
    values_KM: Floats
    times_K: Times | None = None
    quantiles: tuple[float, ...] = ()
    quantiles_KMQ: Floats | None = None

    def only(self, quantiles: Sequence[float]) -> Forecast:
        """With these of its quantiles."""
        places = [self.quantiles.index(share) for share in quantiles]
        values = None if self.quantiles_KMQ is None or not places else self.quantiles_KMQ[..., places]
        return self._replace(quantiles=tuple(quantiles), quantiles_KMQ=values)


def _config(recipe: Recipe) -> ForecastingConfig:
    return section(recipe.task, ForecastingConfig)


def _source(recipe: Recipe) -> SeriesFieldConfig:
    return section(recipe.source, SeriesFieldConfig)


def _predicted(recipe: Recipe) -> list[str] | None:
    return section(recipe.target, SeriesTargetConfig).columns


def horizon(recipe: Recipe) -> int:
    """H: steps of a forecast where nobody asks for more or fewer."""
    return _config(recipe).horizon or _config(recipe).steps


def _scores(recipe: Recipe) -> Sequence[str]:
    with_quantiles = bool(_config(recipe).quantiles)
    names = [metric.name for metric in SERIES_METRICS if with_quantiles or metric.name != "pinball"]
    return sorted(names, key=lambda name: name != "mse_standardised")


def _reads_more(recipe: Recipe) -> bool:
    """Whether columns are read that are not predicted, as far as the recipe tells."""
    read, predicted = _source(recipe).columns, _predicted(recipe)
    return predicted is not None and read is not None and bool({*read} - {*predicted})


class ForecastingTask(Task[Forecast]):
    """The next values of series: one step or many, one column or several, with quantiles where they are asked for."""

    rules = (
        *sides(("series",), ("series",)),
        unless_network("forecasting", "encoder-decoder", *BASELINES),
        *needs("embedder", "head"),
        *FORECASTER_RULES,
        *single("forecasting"),
        selects_by(_scores),
        Rule(
            "task.quantiles",
            lambda r: (shares := _config(r).quantiles) and (sorted({*shares}) != shares or 0.5 not in shares),
            "must rise, with 0.5 among them: the median is the forecast",
            "Such as [0.1, 0.5, 0.9].",
        ),
        Rule(
            "task.quantiles",
            lambda r: _config(r).quantiles and "difference" in _source(r).transform and horizon(r) > 1,
            "quantiles of changes do not add up to those of values",
            "Set source.transform: none or log, or predict one step.",
        ),
        Rule(
            "task.quantiles",
            lambda r: _config(r).quantiles and r.model.kind in BASELINES,
            lambda r: f"{r.model.kind} predicts values alone",
            "Set task.quantiles: [].",
        ),
        Rule(
            "task.horizon",
            lambda r: horizon(r) > _config(r).steps and _reads_more(r),
            "to go on from its own forecast a model must predict every column that it reads",
            "Set task.steps as high, leave target.columns out, or make columns whose future is known source.known.",
        ),
        Rule(
            "source.missing",
            lambda r: _source(r).missing == "mask" and "difference" in _source(r).transform,
            "a change over a gap is not that of one step",
            "Set source.missing: last, or source.transform: none.",
        ),
        *BY_TIME,
    )
    has_series = True
    exact = True
    output_formats = ("csv", "jsonl")
    source: SeriesField

    def __init__(self, recipe: Recipe) -> None:
        self.config = _config(recipe)
        self.window = Window(self.config.look_back, self.config.steps, self.config.season)
        self.source = SeriesField(
            _source(recipe), _predicted(recipe), self.window, plain=recipe.model.kind in BASELINES
        )
        self.target = None
        self.quantiles = tuple(self.config.quantiles)
        self.output = "values_BKCQ" if self.quantiles else "values_BKC"
        super().__init__(recipe)
        self.max_length = sys.maxsize
        self.horizon = 0
        self.look_ahead(horizon(recipe))

    def look_ahead(self, steps: int) -> None:
        """Forecast so many steps from now on; more than the model's are made of those before.

        Raises:
            UserError: the model does not predict every column that it reads (2).
        """
        self.horizon = self.source.ahead = steps
        if self.source.columns:
            self._check_recursion()

    def _check_recursion(self) -> None:
        field = self.source
        if self.goes_on and {*field.targets} != {*range(len(field.columns))}:
            others = [name for place, name in enumerate(field.columns) if place not in field.targets]
            raise usage_error(
                f"{self.horizon} steps are more than the {self.window.steps} of the model, and it cannot go on from its "
                f"own forecast: it reads {', '.join(others)} too, which it does not predict",
                hint=f"Ask for {self.window.steps} steps, or train with task.steps={self.horizon}.",
            )

    @property
    def goes_on(self) -> bool:
        """Whether a network's forecast is made of several, each from the one before."""
        return self.is_network and self.horizon > self.window.steps

    @property
    def score_names(self) -> Sequence[str]:
        return _scores(self.recipe)

    # -- from series to windows

    def read(self, example: Example) -> Iterator[Mapping[str, Any]]:
        return self._read("test", False, example)

    def reader(self, split: str, *, shared: bool = False) -> Pieces:
        return partial(self._read, split, shared)

    def _read(self, split: str, shared: bool, example: Example) -> Iterator[Mapping[str, Any]]:
        series = as_series(example.source, example.at)
        part = self._part(split, shared, series, example.at)
        yield self.source.encode(series, example.at, split, part)

    def _part(self, split: str, shared: bool, series: Series, at: str) -> Part:
        """The steps of a series that a split has; all of a file that is not shared with others."""
        steps = Steps.of(self.recipe.data)
        if not shared and split != "train":
            return Part(min(len(series), self.source.needed), 0, len(series))
        _, trained = steps.part("train", series, at)
        return Part(trained, *steps.part(split, series, at))

    def key(self) -> list[Any]:
        return [*super().key(), Steps.of(self.recipe.data), self.source.needed]

    def fit(self, train: Columns) -> None:
        """Raises UserError (2): a season or a horizon that does not go with the columns."""
        self.source.fit(SeriesColumn.of(train), train.files)
        self._check_recursion()

    def data(self, columns: Columns) -> ForecastData:
        """Raises UserError (65): no series is long enough for a window."""
        column = SeriesColumn.of(columns)
        windows = self.source.over(column, columns.files)
        if not len(windows):
            longest = int(np.diff(column.begin_S).max(initial=0))
            raise data_error(
                f"no series has a window: one takes {self.source.needed} steps that are read and {self.window.steps} that "
                f"are predicted, and the longest series has {longest:,}",
                file=", ".join(columns.files),
                hint="Lower task.look_back or task.steps.",
            )
        return ForecastData(columns, windows)

    def extent(self, data: Data) -> dict[str, int]:
        start_S, end_S = _windows(data).column.part_S2.T
        return {"examples": len(data.columns), "tokens": int((end_S - start_S).sum())}

    def notices(self, name: str, data: Data) -> list[str]:
        windows, field = _windows(data), self.source
        count = len(windows.column)
        if name == "train":
            every = f"steps of {field.frequency}, " if field.frequency else ""
            said = [f"{name}: {every}season {field.season}, {plural(len(windows), 'window')} to learn from"]
        else:
            measured = len(windows.ahead(self.horizon, self.config.stride))
            said = [f"{name}: {plural(measured, 'forecast')} of {plural(self.horizon, 'step')} to measure"]
        if windows.empty:
            said.append(f"{name}: {windows.empty:,} of them are too short for a window")
        if name == "train" and (still := windows.constant):
            said.append(f"{name}: {plural(still, 'column')} of {count:,} series never change: no MASE")
        if missing := windows.missing:
            what = "filled" if field.config.missing == "last" else "masked"
            said.append(f"{name}: {what} {plural(missing, 'missing value')}")
        return said

    def describe(self, data: Data, rows: Sequence[int]) -> list[str]:
        """The last values read and the first ones predicted, in the network's scale."""
        batch = data.batch(np.asarray(rows, np.int64))
        read_BLC, next_BKM = batch.source.arrays["values_BLC"], batch.target.arrays["values_BKC"]
        return [
            f"{place}: ... {_shown(read[-4:, 0])} -> {_shown(follow[:4, 0])} ..."
            for place, read, follow in zip(data.places(batch.rows), read_BLC, next_BKM, strict=True)
        ]

    # -- the model

    def sizes(self) -> SeriesSizes:
        return self.source.series_sizes(self.quantiles)

    @property
    def tables(self) -> dict[str, int]:
        return self.sizes().tables

    def network(self) -> Network:
        from seqcli.models.forecaster import new_forecaster

        assert isinstance(self.recipe.model, NetworkConfig | EncoderDecoderConfig)
        return new_forecaster(self.recipe.model, self.sizes())

    @property
    def _counts(self) -> type[SeriesForecaster]:
        model: type[SeriesForecaster] = registry.implementation("model", self.recipe.model.kind)
        return model

    def fit_counts(self, train: Data, progress: Count) -> Arrays:
        windows = _windows(train)
        rows = np.arange(len(windows))
        if len(rows) > MOST_FITTED:
            rows = np.linspace(0, len(windows) - 1, MOST_FITTED).astype(np.int64)
        size = max(1, _AT_ONCE // self.window.look_back)
        batches = (windows.whole(rows[start : start + size]) for start in range(0, len(rows), size))
        return self._counts.fit(self.recipe.model, batches, self.sizes(), progress).arrays()

    def counts_engine(self, arrays: Arrays, file: object = None) -> Engine:
        return SeriesCounts(self._counts.from_arrays(self.recipe.model, arrays, self.sizes(), file))

    # -- forecasts

    def pieces(self, raw: Any) -> list[Any]:
        return [raw]

    def lengths(self, predictions: Sequence[Forecast]) -> Sequence[int]:
        return [self.window.look_back] * len(predictions)

    def ask(self, engine: Engine, side: Side, raws: Sequence[Any], *, scores: bool = False) -> Sequence[Forecast]:
        if isinstance(engine, SeriesCounts):
            histories = [(raw.values_TC, raw.scale_2C[:, : raw.values_TC.shape[1]]) for raw in raws]
            values_BHM = engine.forecast(histories, self.horizon)[:, :, list(self.source.targets)]
            return [self._forecast(raw, values_HM) for raw, values_HM in zip(raws, values_BHM, strict=True)]
        return self.predict(self._unrolled(engine, side), raws)

    def predict(self, outputs: Outputs, raws: Sequence[Any], *, scores: bool = False) -> Sequence[Forecast]:
        histories: Sequence[History] = raws
        targets = list(self.source.targets)
        scale_B2M = np.stack([raw.scale_2C[:, targets] for raw in histories])
        last_BM = np.stack([raw.values_TC[-1, targets] for raw in histories])
        values_BHM, quantiles_BHMQ = self._values(outputs, scale_B2M, last_BM)
        return [
            self._forecast(raw, values_HM, None if quantiles_BHMQ is None else quantiles_BHMQ[row])
            for row, (raw, values_HM) in enumerate(zip(histories, values_BHM, strict=True))
        ]

    def _forecast(self, raw: History, values_HM: Floats, quantiles_HMQ: Floats | None = None) -> Forecast:
        times_H = None if raw.times_A is None else raw.times_A[: len(values_HM)]
        return Forecast(raw.name, self.source.target_names, values_HM, times_H, self.quantiles, quantiles_HMQ)

    def _values(self, outputs: Outputs, scale_B2M: Floats, last_BM: Floats) -> tuple[Floats, Floats | None]:
        """Values [B, H, M], and their quantiles in order [B, H, M, Q] where there are any, in their own unit."""
        values = self.source.unscaled(outputs[self.output].astype(np.float64), scale_B2M, last_BM)
        if not self.quantiles:
            return values, None
        values = np.sort(values, -1)
        return values[..., self.quantiles.index(0.5)], values

    def _unrolled(self, engine: Engine, side: Side) -> Outputs:
        """The outputs for all steps ahead; those beyond the model's are made of the forecast before them."""
        steps, look_back = self.window.steps, self.window.look_back
        values_BLC, features_BSF = side.arrays["values_BLC"], side.arrays["features_BSF"]
        blocks = math.ceil(self.horizon / steps)
        lack = look_back + blocks * steps - features_BSF.shape[1]
        if lack > 0:  # of steps that are predicted only to be left out
            features_BSF = np.concatenate([features_BSF, np.repeat(features_BSF[:, -1:], lack, 1)], 1)
        made: list[NDArray[Any]] = []
        for block in range(blocks):
            begin = block * steps
            window = np.ascontiguousarray(features_BSF[:, begin : begin + look_back + steps])
            outputs = engine.outputs(Side({"values_BLC": values_BLC, "features_BSF": window}, side.lengths_B))
            made.append(outputs[self.output])
            if block + 1 < blocks:
                next_BKM = made[-1][..., self.quantiles.index(0.5)] if self.quantiles else made[-1]
                next_BKC = np.empty((*next_BKM.shape[:2], values_BLC.shape[2]), np.float32)
                next_BKC[:, :, list(self.source.targets)] = next_BKM
                values_BLC = np.ascontiguousarray(np.concatenate([values_BLC, next_BKC], 1)[:, -look_back:])
        return {self.output: np.concatenate(made, 1)[:, : self.horizon]}

    # -- scores

    def scorer(self) -> ForecastScorer:
        choices = {
            "look-back": self.window.look_back,
            "steps": self.horizon,
            "stride": self.config.stride,
            "season": self.source.season,
        }
        score = SeriesScore(self.horizon, self.source.target_names, quantiles=self.quantiles, choices=choices)
        return ForecastScorer(score, self.select_by)

    def measure(self, engine: Engine, data: Data, *, mistakes: bool = False, quick: bool = False) -> Measured[Forecast]:
        """Forecasts from every step of the split that has as many behind it, ``stride`` apart (rolling origin)."""
        windows = _windows(data).ahead(self.horizon, self.config.stride)
        if not len(windows):
            raise data_error(
                f"no forecast of {self.horizon} steps ends within the split", hint="Lower task.horizon or task.steps."
            )
        scorer, size = self.scorer(), max(1, engine.positions // self.window.look_back)
        for start in range(0, len(windows), size):
            rows = np.arange(start, min(start + size, len(windows)))
            gold_BHM, last_BM = windows.original(rows)
            values_BHM, quantiles_BHMQ = self._of_windows(engine, windows, rows, last_BM)
            deviation_BM, naive_BM = windows.yardsticks(rows)
            scorer.counted.add(
                gold_BHM, values_BHM, scale_BC=deviation_BM, naive_BC=naive_BM, quantiles_BKCQ=quantiles_BHMQ
            )
        return Measured(scorer, np.zeros(0, bool), [])

    def _of_windows(
        self, engine: Engine, windows: SeriesWindows, rows: Ints, last_BM: Floats
    ) -> tuple[Floats, Floats | None]:
        targets = list(self.source.targets)
        if isinstance(engine, SeriesCounts):
            return engine.forecast(windows.histories(rows), self.horizon)[:, :, targets], None
        series_B, _ = windows.places(rows)
        return self._values(
            self._unrolled(engine, windows.side(rows)), windows.scale_S2C[series_B][:, :, targets], last_BM
        )

    def differences(self, other: Task[Any], name: str) -> list[str]:
        """Models of other columns or steps are refused; one that reads more or less is said."""
        assert isinstance(other, ForecastingTask)
        mine, theirs = ((one.source.target_names, one.horizon, one.config.stride) for one in (self, other))
        if mine != theirs:
            raise usage_error(f"{name} predicts other columns or steps, so the two cannot be compared")
        if self.source.needed == other.source.needed:
            return []
        return [f"{name} reads {other.source.needed} steps, not {self.source.needed}: the first forecasts may differ"]

    def baselines(self, data: Mapping[str, Data]) -> list[tuple[str, Task[Forecast]]]:
        """Those that the recipe asks for, without the kind that it trains itself."""
        kinds: Sequence[str] = self.config.baselines or ()
        if self.config.baselines is None:
            forecasts = sum(
                len(_windows(one).ahead(self.horizon, self.config.stride)) * len(self.source.targets)
                for name, one in data.items()
                if name != "train"
            )
            is_few = has_statsforecast() and forecasts <= FEW
            left_out = {*(() if self.source.season > 1 else ("seasonal-naive",)), *(() if is_few else ("ets", "theta"))}
            kinds = [kind for kind in BASELINES if kind not in left_out]
        others: list[tuple[str, Task[Forecast]]] = []
        for kind in dict.fromkeys(kinds):
            if kind == self.recipe.model.kind:
                continue
            model = registry.config_class("model", kind)()
            config = self.config.model_copy(update={"quantiles": []})
            task = ForecastingTask(self.recipe.model_copy(update={"model": model, "task": config}))
            others.append((task._counts.title(model), task))
        return others

    # -- output

    def writer(self, form: str, *, scores: bool = False, top: int | None = None) -> Callable[[Sequence[Forecast]], str]:
        """JSON lines: an object for each series."""
        return lambda forecasts: "".join(f"{json.dumps(document(one), ensure_ascii=False)}\n" for one in forecasts)


def document(one: Forecast) -> dict[str, Any]:
    """A forecast as JSON; times are ISO 8601, in UTC where the series has offsets."""
    values: dict[str, Any] = {"name": one.name} if one.name else {}
    if one.times_K is not None:
        values["times"] = np.datetime_as_string(one.times_K, "s").tolist()
    values |= {name: one.values_KM[:, place].tolist() for place, name in enumerate(one.columns)}
    if one.quantiles_KMQ is not None:
        values["quantiles"] = {
            f"{share:g}": {name: one.quantiles_KMQ[:, place, row].tolist() for place, name in enumerate(one.columns)}
            for row, share in enumerate(one.quantiles)
        }
    return values


class ForecastData:
    """The windows of a split; a row is the number of one."""

    def __init__(self, columns: Columns, windows: SeriesWindows) -> None:
        self.columns, self.windows = columns, windows
        look_back = np.int32(windows.field.window.look_back)
        self.lengths: Lengths = np.broadcast_to(look_back, (len(windows),))

    def batch(self, rows: NDArray[np.int64]) -> Batch:
        return Batch(*self.windows.sides(rows), rows)

    def widths(self, rows: NDArray[np.int64]) -> Lengths:
        return self.lengths[rows]

    def training_order(self, batch: BatchConfig, *, seed: int, epoch: int) -> Sequence[NDArray[np.int64]]:
        """All windows in random order; a batch has as many as have ``tokens`` steps to read."""
        count = len(self.windows)
        order = np.arange(count, dtype=np.int32)
        np.random.default_rng([seed, epoch]).shuffle(order)
        size = min(max(1, batch.tokens // self.windows.field.window.look_back), batch.sequences or count)
        return Batches(order, np.minimum(np.arange(size, count + size, size), count))

    def places(self, rows: NDArray[np.int64]) -> list[str]:
        series_B, start_B = self.windows.places(rows)
        return [
            f"{self.columns.place(series)}, step {step + 1}"
            for series, step in zip(series_B.tolist(), start_B.tolist(), strict=True)
        ]


class ForecastScorer:
    """The errors of forecasts."""

    def __init__(self, counted: SeriesScore, name: str) -> None:
        self.counted, self.name = counted, name

    def add(self, gold: Sequence[Any], predictions: Sequence[Forecast]) -> Sequence[bool]:
        raise usage_error("forecasts are measured by the windows of a split")

    def scores(self) -> dict[str, float]:
        return self.counted.scores()

    def sums(self) -> None:
        return None

    def score(self) -> Score:
        return self.counted.score(self.name)


class SeriesCounts(CountsEngine):
    """A model of series that is no network."""

    flat = False

    def __init__(self, model: SeriesForecaster) -> None:
        self.model = model

    def forecast(self, histories: Sequence[tuple[Floats, Floats]], steps: int) -> Floats:
        """The next values [B, K, C] of histories, each its values [T, C] and their mean and deviation [2, C]."""
        model, sizes = self.model, self.model.sizes
        most = {"window": sizes.look_back, "season": max(sizes.look_back, sizes.season)}.get(model.history)
        read = [values_TC if most is None else values_TC[-most:] for values_TC, _ in histories]
        scale_B2C = np.stack([scale_2C for _, scale_2C in histories])
        if not model.original:
            read = [(one - scale_2C[0]) / scale_2C[1] for one, scale_2C in zip(read, scale_B2C, strict=True)]
        same = len({*map(len, read)}) == 1
        groups = [np.stack(read)] if same else [one[None] for one in read]
        values_BKC = np.concatenate([model.forecast(values_BLC, steps) for values_BLC in groups])
        return values_BKC if model.original else values_BKC * scale_B2C[:, None, 1] + scale_B2C[:, None, 0]


def _windows(data: Data) -> SeriesWindows:
    assert isinstance(data, ForecastData)
    return data.windows


def _shown(values: NDArray[Any]) -> str:
    return " ".join(f"{value:.3g}" for value in values.tolist())
