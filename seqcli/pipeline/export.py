"""Writing a trained network as a graph, and choosing how exact its numbers are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from seqcli.data.batch import Side
from seqcli.decode.stepper import Stepper
from seqcli.engines.onnx_engine import onnx_engine
from seqcli.errors import UserError, usage_error
from seqcli.fields.base import Progress
from seqcli.files import sha256_file
from seqcli.metrics.metric import METRICS
from seqcli.pipeline.model import stored_recipe
from seqcli.pipeline.prepare import open_columns
from seqcli.store.runs import DECODER_FILE, ENGINE_FILE, Run, report_text
from seqcli.tasks.base import Data, Engine, Task, new_task
from seqcli.tasks.language_model import LanguageModelTask
from seqcli.tasks.translation import TranslationData, TranslationTask

if TYPE_CHECKING:
    from onnx import ModelProto

    from seqcli.models.network import Network

Precision = Literal["auto", "fp32", "int8"]

MOST_DIFFERENCE = 1e-4
"""A graph whose outputs differ more than this from the network's is refused."""

MOST_LOST = 0.1
"""Points of the dev score that int8 may lose and still be the default."""

_CHECKED_ROWS = 64


@dataclass(frozen=True)
class Exported:
    """The engine that will be used, what the report says of it, and the files that it needs, by name."""

    engine: Engine
    report: dict[str, Any]
    files: dict[str, bytes]


def export(
    task: Task[Any], network: Network, weights: Path, data: Mapping[str, Data], precision: Precision = "auto"
) -> Exported:
    """Make ``engine.onnx``: int8 where that costs next to nothing on dev, or as asked.

    ``difference`` in the report is the greatest between the outputs of the network and of the fp32 graph, on dev
    examples where there are some; an encoder-decoder must also write the ``same_tokens``. Language models stay fp32
    unless int8 is asked for, and so does what has no dev split; a small network has nothing to round.

    Args:
        weights: the file that the network's weights stand in.
    """
    from seqcli.engines.onnx_write import graphs_of, quantize
    from seqcli.engines.torch_engine import torch_engine

    torch = torch_engine(task, network)
    report: dict[str, Any] = {"kind": "onnx", "precision": "fp32"}
    try:
        graphs = graphs_of(network, sha256_file(weights))
    except NotImplementedError as error:  # a layer of another package
        return Exported(torch, {**report, "kind": "torch", "refused": f"no graph can be made of {error}"}, {})
    exact, files = _engine(task, graphs)
    dev = data.get("dev")
    if (checked := dev or data.get("train")) is not None:
        report["difference"] = difference(task, torch, exact, checked)
        refused = None
        if not report["difference"] <= MOST_DIFFERENCE:
            refused = f"the graph differs from the network by {report['difference']:.2g}"
        elif isinstance(task, TranslationTask):
            report["same_tokens"] = same = _same_tokens(task, torch, exact, checked)
            refused = None if same == 100 else f"the graph writes the same as the network for {same:.1f}% of sentences"
        if refused is not None:
            return Exported(torch, {**report, "kind": "torch", "refused": refused}, {})
    engine, wanted = exact, precision == "int8"
    by_default = precision == "auto" and dev is not None and (not task.generates or isinstance(task, TranslationTask))
    small = [quantize(graph) for graph in graphs] if wanted or by_default else graphs
    if any(one is not graph for one, graph in zip(small, graphs, strict=True)):
        rounded, rounded_files = _engine(task, small)
        if dev is not None:
            scores = {name: _score(task, one, dev) for name, one in (("fp32", exact), ("int8", rounded))}
            report["dev"] = {"score": task.select_by, **scores}
            better = 1 if METRICS[task.select_by].better == "higher" else -1
            loss = better * (scores["fp32"] - scores["int8"])
            by_default = by_default and loss <= (MOST_LOST if better > 0 else 0.005 * abs(scores["fp32"]))
        if wanted or by_default:
            engine, files, report["precision"] = rounded, rounded_files, "int8"
    return Exported(engine, report, files)


def _engine(task: Task[Any], graphs: Sequence[ModelProto]) -> tuple[Engine, dict[str, bytes]]:
    """The engine of some graphs, and the files that it needs."""
    files = {name: graph.SerializeToString() for name, graph in zip((ENGINE_FILE, DECODER_FILE), graphs, strict=False)}
    return onnx_engine(task, files[ENGINE_FILE], decoder=files.get(DECODER_FILE)), files


@dataclass(frozen=True)
class Remade:
    """What the report of a run now says of its engine, its file, the size of all its files, and why nothing was
    measured where that is so."""

    report: dict[str, Any]
    file: Path
    bytes: int
    unmeasured: str | None


def export_run(run: Run, precision: Precision = "auto", progress: Progress | None = None) -> Remade:
    """Make the graph of a finished run again from its weights, and seal the run with it.

    What training measured it by is measured again, where the data can still be read.

    Raises:
        UserError: the run has no network (2); a damaged file (65); a graph that is not equal to the network, and the
            run stays as it is (1); a file that cannot be written (74).
    """
    task = new_task(stored_recipe(run))
    if not task.is_network:
        raise usage_error(f"{run} has no network: its model is {task.recipe.model.kind}, which runs as it is")
    from seqcli.engines.torch_engine import load_network

    with run.lock():
        task.load(run.path)
        network = load_network(task, run.weights_path, "cpu")
        data, unmeasured = _data(task, progress)
        exported = export(task, network, run.weights_path, data, precision)
        if not exported.files:
            raise UserError(
                f"{run} gets no graph: {exported.report['refused']}", hint="'--engine torch' runs the network itself."
            )
        report = {**run.report(), "engine": exported.report}
        run.replace({**exported.files, run.report_path.name: report_text(report).encode()})
    size = sum(map(len, exported.files.values()))
    return Remade(exported.report, run.path / next(iter(exported.files)), size, unmeasured)


def _data(task: Task[Any], progress: Progress | None) -> tuple[dict[str, Data], str | None]:
    """The dev split, else the training split, as far as they can be read; and why not."""
    try:
        for split in ("dev", "train"):
            if columns := open_columns(task.recipe, task, (split,), progress):
                return {split: task.data(columns[split])}, None
    except UserError as error:
        return {}, str(error)
    return {}, "there is no data"


def _score(task: Task[Any], engine: Engine, dev: Data) -> float:
    quick = isinstance(task, TranslationTask)  # as training chose the weights by
    return task.measure(engine, dev, quick=quick).scorer.scores()[task.select_by]


def difference(task: Task[Any], one: Engine, other: Engine, data: Data) -> float:
    """The greatest difference between what two engines say of the first batches of a split."""
    if isinstance(task, LanguageModelTask):
        rows = data.training_order(task.recipe.training.batch, seed=0, epoch=0)[0][:8]
        return _scores_apart(one.stepper(), other.stepper(), _sequences(data.batch(rows).source, "words_BT"))
    batch = data.batch(_checked(data))
    if task.generates:
        assert batch.target is not None
        targets = _sequences(batch.target, "ids_BT")
        return _scores_apart(one.stepper(batch.source), other.stepper(batch.source), targets)
    source = batch.source
    here, there = one.outputs(source), other.outputs(source)
    real_BT = np.arange(source.lengths_B.max(initial=1)) < source.lengths_B[:, None]
    worst = 0.0
    for name, values in here.items():
        gap = np.abs(values - there[name])
        worst = max(worst, float(gap[real_BT].max(initial=0) if name.endswith("_BTK") else gap.max(initial=0)))
    return worst


def _checked(data: Data) -> NDArray[np.int64]:
    return np.arange(min(_CHECKED_ROWS, len(data.columns)))


def _sequences(side: Side, name: str) -> list[NDArray[np.int64]]:
    return [row[:length] for row, length in zip(side.arrays[name], side.lengths_B.tolist(), strict=True)]


def _scores_apart(one: Stepper, other: Stepper, sequences: Sequence[NDArray[np.int64]]) -> float:
    pairs = zip(one.score(sequences), other.score(sequences), strict=True)
    return max((float(np.abs(a - b).max(initial=0)) for a, b in pairs), default=0.0)


def _same_tokens(task: TranslationTask, one: Engine, other: Engine, data: Data) -> float:
    """Percent of the rows that are checked for which two engines write the same, greedily."""
    assert isinstance(data, TranslationData)
    rows = _checked(data)
    side, raws = data.source.side(rows), [data.tokens(row) for row in rows.tolist()]
    options = replace(task.options, beam=1, best=1)
    here, there = (task.translate(engine, side, raws, options) for engine in (one, other))
    alike = [a.hypotheses[0].tokens == b.hypotheses[0].tokens for a, b in zip(here, there, strict=True)]
    return 100 * sum(alike) / len(alike)
