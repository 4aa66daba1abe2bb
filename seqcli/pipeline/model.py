"""A trained model: load, predict, evaluate. The verbs, the library and the tests all use it.

Imports no torch: networks run on ONNX Runtime or CTranslate2 unless another engine is asked for.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from seqcli.data.arrays import Columns
from seqcli.data.batch import Side
from seqcli.data.formats import format_class, guess_format
from seqcli.data.formats.base import Columns as FormatColumns
from seqcli.data.kept import keep_stream
from seqcli.data.order import sorted_batches
from seqcli.errors import UserError, data_error, usage_error
from seqcli.fields.base import Progress, SourceField
from seqcli.fields.text import TextField
from seqcli.lines import batches
from seqcli.machine import cores, installed
from seqcli.recipe.load import load_recipe
from seqcli.recipe.schema import Recipe
from seqcli.store.manifest import read_manifest
from seqcli.store.runs import CT2_ABOUT, CT2_FILE, DECODER_FILE, ENGINE_FILE, Run, Store
from seqcli.store.weights import load_arrays
from seqcli.tasks.base import Engine, Task, new_task
from seqcli.tasks.mixture import SHARES, Mixture

if TYPE_CHECKING:
    from seqcli.models.network import Network
    from seqcli.pipeline.evaluate import Evaluation

P = TypeVar("P")

Ask = Callable[[Side, Sequence[Any], Sequence[int]], Sequence[P]]
"""What says something of a batch: of a side, the values that it was made of, and their numbers."""

ENGINES = ("auto", "onnx", "ctranslate2", "torch")

HOW_TO_INSTALL = "pip install 'seqcli[fast]'"

_ITEMS = 1024


@dataclass
class Model(Generic[P]):
    """A task, fitted, and the engine that runs what was trained for it.

    Attributes:
        name: which run it is.
        notice: what whoever uses it should know: a faster engine is not installed.
    """

    name: str
    task: Task[P]
    engine: Engine
    run: Run | None = None
    notice: str | None = None

    def __post_init__(self) -> None:
        self._pool: ThreadPoolExecutor | None = None

    @cached_property
    def network(self) -> Network:
        """The network itself, for what needs its gradients: that of the engine, or one loaded for it."""
        from seqcli.engines.torch_engine import TorchEngine, load_network

        if isinstance(self.engine, TorchEngine):
            return self.engine.network
        assert self.run is not None
        return load_network(self.task, self.run.weights_path, "cpu")

    @property
    def report(self) -> dict[str, Any]:
        """What training said at its end; empty for a model that lies in no run."""
        return {} if self.run is None else self.run.report()

    @classmethod
    def load(
        cls, run: Run | str, *, runs: str | None = None, device: str = "auto", engine: str = "auto", steps: bool = False
    ) -> Model[Any]:
        """The model of a finished run, every file checked against the run's manifest first.

        Args:
            run: a run, or what names one: ``ner``, ``ner@2``, a folder.
            device: cuda or mps needs the engine torch, which is taken then; auto is the CPU.
            engine: one of `ENGINES`; auto is what the model was exported for, onnx or ctranslate2.
            steps: it will be asked token by token, so auto takes an engine that can be.

        Raises:
            UserError: no such run, engine or device (2); a damaged or foreign file, weights of another shape, a recipe
                that leaves its folder (65).
        """
        if isinstance(run, str):
            run = Store(runs).resolve(run)
        if engine not in ENGINES:
            raise usage_error(f"unknown engine '{engine}'", hint=f"Known: {', '.join(ENGINES)}.")
        task = new_task(stored_recipe(run))
        task.load(run.path)
        runs_it, notice = _engine(task, run, device, engine, steps=steps)
        if others := task.beside():
            runs_it = _mixed(runs_it, others, run)
        return cls(str(run), task, runs_it, run, notice)

    def predict(self, items: Iterable[Any], *, scores: bool = False, offsets: bool = False) -> Iterator[P]:
        """A prediction for each item, in order: lines of text, lists of tokens, or arrays of frames [T, channels].

        Args:
            scores: with the probabilities of tags.
            offsets: with the places of the tokens of lines.

        Raises:
            UserError: an item that the model does not read (65), once all before it are answered; a model that predicts
                nothing (2).
        """
        field = self.task.source
        readable = (item if _is_line(item, field) else field.read(item, "") for item in items)
        for block in batches(readable, _ITEMS):
            yield from self.predict_block(block, scores=scores, offsets=offsets)

    def predict_block(
        self, items: Sequence[Any], *, scores: bool = False, offsets: bool = False, ask: Ask[P] | None = None
    ) -> Sequence[P]:
        """Predictions of some items at once; batches of like length run side by side.

        Args:
            ask: what asks the engine, in place of the task's own way.
        """
        task, field = self.task, self.task.source
        if not task.output_formats:
            raise usage_error(f"{self.name} is a model for {task.kind}, which predicts nothing")
        if self.engine.flat and task.reads_lengths:
            if isinstance(field, TextField) and {*map(type, items)} == {str}:
                side = field.lines(items)
            else:
                side = field.side([field.read(item, "") for item in items])
            return task.predict(self.engine.outputs(side), [*map(range, side.lengths_B.tolist())], scores=scores)
        raws = [field.read(item, "") for item in items]
        pieces = [(owner, piece) for owner, raw in enumerate(raws) for piece in task.pieces(raw)]
        if ask is None:
            ask = lambda side, some, rows: task.ask(self.engine, side, some, scores=scores)  # noqa: E731
        parts = self._run([piece for _, piece in pieces], ask)
        parts_of: list[list[P]] = [[] for _ in raws]
        for (owner, _), part in zip(pieces, parts, strict=True):
            parts_of[owner].append(part)
        predictions = [task.join(raw, own) for raw, own in zip(raws, parts_of, strict=True)]
        return task.located(items, predictions) if offsets else predictions

    def _run(self, pieces: Sequence[Any], ask: Ask[P]) -> list[P]:
        """Predictions of pieces that each fit into the model, in their order."""
        task = self.task
        lengths = np.array([len(piece) for piece in pieces], np.int64)
        rows_of = [rows.tolist() for rows in sorted_batches(lengths, tokens=self.engine.positions)]

        def work(job: tuple[Side, list[Any], list[int]]) -> Sequence[P]:
            return ask(*job)

        chosen = [[pieces[row] for row in rows] for rows in rows_of]
        jobs = [(task.source.side(some), some, rows) for some, rows in zip(chosen, rows_of, strict=True)]
        results: list[P | None] = [None] * len(pieces)
        for rows, found in zip(rows_of, self._map(work, jobs), strict=True):
            for row, one in zip(rows, found, strict=True):
                results[row] = one
        return [one for one in results if one is not None]

    def _map(self, work: Any, jobs: Sequence[Any]) -> Iterable[Sequence[P]]:
        if len(jobs) < 2 or not self.engine.parallel:
            return map(work, jobs)
        if self._pool is None:
            self._pool = ThreadPoolExecutor(cores())
        return self._pool.map(work, jobs)

    def columns(
        self,
        data: list[str] | None,
        split: str,
        *,
        data_format: str | None = None,
        reader: Task[Any] | None = None,
        progress: Progress | None = None,
    ) -> Columns:
        """A split of the data that the model was trained with, or files in its place.

        Args:
            data_format: of the files, where it is another.
            reader: another task, which reads this model's data.

        Raises:
            UserError: there is no such split (2); bad data (65); an unreadable file (74).
        """
        from seqcli.pipeline.prepare import open_columns

        columns = open_columns(self.recipe(data, split, data_format), reader or self.task, (split,), progress)
        if split not in columns:
            raise usage_error(
                f"the data that the model was trained with has no {split} split",
                hint="Give a file, or another --split.",
            )
        return columns[split]

    def recipe(self, data: list[str] | None, split: str, data_format: str | None = None) -> Recipe:
        """The model's own recipe, or with files as its data."""
        recipe = self.task.recipe
        if data is None:
            return recipe
        data = [str(keep_stream(path) or path) for path in data]
        changes: dict[str, Any] = {split: data, "dev_share": None, **({"format": data_format} if data_format else {})}
        if not _takes_columns(data_format or recipe.data.format or guess_format(data[0]), recipe.data.columns):
            changes["columns"] = None  # those of the training data, which was of another format
        return recipe.model_copy(update={"data": recipe.data.model_copy(update=changes)})

    def evaluate(self, data: list[str] | None = None, *, split: str = "test") -> Evaluation:
        """Measure the model on files, or on a split of the data it was trained with; see `evaluate`."""
        from seqcli.pipeline.evaluate import evaluate_model

        return evaluate_model(self, data, split=split)


def _takes_columns(form: str, columns: FormatColumns | None) -> bool:
    """Whether files of this format can have these columns; JSON has keys, not numbers."""
    if columns is None or (form == "jsonl" and int in {*map(type, columns.values())}):
        return columns is None
    try:
        return bool(format_class(form).check_columns(columns))
    except UserError:
        return False


def _engine(task: Task[Any], run: Run, device: str, engine: str, *, steps: bool) -> tuple[Engine, str | None]:
    """What runs a model, and what its user should know of that."""
    on_cpu = device in ("auto", "cpu")
    if not task.is_network:
        if engine != "auto" or not on_cpu:
            option = f"--engine {engine}" if engine != "auto" else f"--device {device}"
            raise usage_error(
                f"{run} is a model of kind {task.recipe.model.kind}, not a network: {option} has no effect on it",
                hint="Leave it out.",
            )
        return task.counts_engine(load_arrays(run.weights_path), run.weights_path), None
    files = read_manifest(run.path).files
    exported = "onnx" if ENGINE_FILE in files else "ctranslate2" if CT2_FILE in files else None
    if engine in ("onnx", "ctranslate2"):
        _check_asked(run, device, engine, exported)
    notice = None
    if exported == "ctranslate2" and engine == "auto" and on_cpu and (steps or not installed(exported)):
        exported = None
        notice = None if steps else f"CTranslate2, which runs {run} faster, is not installed: {HOW_TO_INSTALL}"
    if engine == "torch" or not on_cpu or exported is None:
        from seqcli.engines.torch_engine import load_network, torch_engine

        return torch_engine(task, load_network(task, run.weights_path, device)), notice
    if exported == "onnx":
        from seqcli.engines.onnx_engine import onnx_engine

        decoder = run.decoder_path if DECODER_FILE in files else None
        return onnx_engine(task, run.engine_path, files[run.weights_path.name].sha256, decoder=decoder), None
    from seqcli.engines.ctranslate2_engine import ctranslate2_engine

    sums = (files[run.weights_path.name].sha256, files[CT2_FILE].sha256)
    return ctranslate2_engine(task, run.path / CT2_FILE, run.path / CT2_ABOUT, *sums), None


def _mixed(network: Engine, others: Sequence[Task[Any]], run: Run) -> Engine:
    """A network with the models that its run has beside it."""
    arrays = load_arrays(run.beside_path)
    shares = arrays.pop(SHARES, np.zeros(0))
    if shares.shape != (len(others) + 1,) or not (shares >= 0).all() or not abs(shares.sum() - 1) < 1e-6:
        raise data_error(f"the shares of {len(others) + 1} models are {shares.tolist()}", file=run.beside_path)
    own: list[dict[str, NDArray[Any]]] = [{} for _ in others]
    for name, array in arrays.items():
        number, _, rest = name.partition(".")
        if not number.isdecimal() or int(number) >= len(others):
            raise data_error(f"'{name}' belongs to no model of the recipe", file=run.beside_path)
        own[int(number)][rest] = array
    counts = [task.counts_engine(one, run.beside_path) for task, one in zip(others, own, strict=True)]
    return Mixture(network, counts, shares.tolist())


def _check_asked(run: Run, device: str, engine: str, exported: str | None) -> None:
    """Refuse an engine that was asked for by name and cannot run the model."""
    if device not in ("auto", "cpu"):
        raise usage_error(f"the engine {engine} runs on the CPU, not {device}", hint="Leave out --engine.")
    if engine == "ctranslate2" and not installed(engine):
        raise usage_error("CTranslate2 is not installed", hint=f"Say {HOW_TO_INSTALL}, or leave out --engine.")
    if engine != exported:
        what = "graph to run" if engine == "onnx" else "export for CTranslate2"
        hint = f"'seqcli models export {run}' makes one; or leave out --engine."
        raise usage_error(f"{run} has no {what}", hint="Leave out --engine." if exported else hint)


def stored_recipe(run: Run) -> Recipe:
    """The recipe of a finished run, every file checked against the run's manifest first.

    Raises:
        UserError: a damaged or foreign file, a recipe that leaves its folder (65).
    """
    run.verify()
    try:
        recipe = load_recipe(run.recipe_path).recipe
        load_recipe(run.recipe_path, _records(recipe), confine_to=run.path)
    except UserError as error:
        raise data_error(f"the model's recipe cannot be used: {error}") from error
    return recipe


def _records(recipe: Recipe) -> list[str]:
    """Overrides that take out of a recipe what only tells where the training read: a model opens none of it."""
    return ["data={corpus: none}", *without_vectors(recipe)]


def without_vectors(recipe: Recipe) -> list[str]:
    """The override that takes a file of pretrained vectors out of a recipe, where it names one."""
    embedder = dict(dict(recipe.model).get("embedder") or ())
    return ["model.embedder.vectors=null"] if embedder.get("vectors") is not None else []


def _is_line(item: Any, field: SourceField) -> bool:
    """Whether it is text for a field of text, which takes every line and cuts many of them faster than one."""
    return isinstance(item, str) and isinstance(field, TextField)
