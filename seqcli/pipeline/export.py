"""Writing a trained network for the engine that runs it fastest, and choosing how exact its numbers are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from seqcli.data.batch import Side
from seqcli.data.order import sorted_batches
from seqcli.decode.stepper import Stepper
from seqcli.engines.onnx_engine import onnx_engine
from seqcli.errors import UserError, usage_error
from seqcli.fields.base import Progress
from seqcli.files import sha256_file
from seqcli.machine import installed
from seqcli.metrics.metric import METRICS
from seqcli.pipeline.model import HOW_TO_INSTALL, stored_recipe
from seqcli.pipeline.prepare import open_columns
from seqcli.store.runs import CT2_ABOUT, CT2_FILE, DECODER_FILE, ENGINE_FILE, ENGINE_FILES, Run, report_text
from seqcli.tasks.base import Data, Engine, Task, new_task
from seqcli.tasks.language_model import LanguageModelTask
from seqcli.tasks.translation import TranslationTask
from seqcli.tasks.writing import WritingData, WritingTask, model

if TYPE_CHECKING:
    from onnx import ModelProto

    from seqcli.models.network import Network

Precision = Literal["auto", "fp32", "int8"]

MOST_DIFFERENCE = 1e-4
"""A graph whose outputs differ more than this from the network's is refused."""

MOST_LOST = 0.1
"""Points of the dev score that int8 may lose and still be the default."""

LEAST_SAME = 99.5
"""Percent of dev sentences that an engine must translate as the network does, or it is refused ..."""

MOST_DIFFERENT_SCORES = 1e-3
"""... and so it is where ln p of one of those differs by more."""

_CHECKED_ROWS = 64
_CHECKED_SENTENCES = 200


@dataclass(frozen=True)
class Exported:
    """The engine that will be used, what the report says of it, and the files that it needs, by name."""

    engine: Engine
    report: dict[str, Any]
    files: dict[str, bytes]


def export(
    task: Task[Any], network: Network, weights: Path, data: Mapping[str, Data], precision: Precision = "auto"
) -> Exported:
    """What runs a trained network fastest: int8 where that costs next to nothing on dev, or as asked.

    That is CTranslate2 for a Transformer that translates, where it is installed, and ONNX Runtime for all others.
    ``difference`` in the report is the greatest between the network and the fp32 engine on dev examples: of outputs,
    or of ln p; ``same_tokens`` the share of sentences, in percent, for which both write the same, greedily.

    Args:
        weights: the file that the network's weights stand in.
    """
    faster: dict[str, str] = {}
    if isinstance(task, TranslationTask) and _is_transformer(task):
        if installed("ctranslate2"):
            exported = _export_ctranslate2(task, network, weights, data, precision)
            if exported.files:
                return exported
            faster = {"ctranslate2": str(exported.report["refused"])}
        else:
            faster = {"faster": f"CTranslate2 runs it faster: {HOW_TO_INSTALL}"}
    exported = _export_onnx(task, network, weights, data, precision)
    return replace(exported, report={**exported.report, **faster})


def _is_transformer(task: TranslationTask) -> bool:
    config = model(task.recipe)
    return all(dict(part or ()).get("kind") == "transformer" for part in (config.encoder, config.decoder))


def _only_torch(task: Task[Any], network: Network, why: str, **report: Any) -> Exported:
    from seqcli.engines.torch_engine import torch_engine

    told = {"kind": "torch", "precision": "fp32", **report, "refused": why}
    return Exported(torch_engine(task, network), told, {})


def _export_onnx(
    task: Task[Any], network: Network, weights: Path, data: Mapping[str, Data], precision: Precision
) -> Exported:
    """Make ``engine.onnx``, of an encoder-decoder also ``decoder.onnx``.

    Language models and forecasters stay fp32 unless int8 is asked for, and so does what has no dev split; a small
    network has nothing to round.
    """
    from seqcli.engines.onnx_write import graphs_of, quantize
    from seqcli.engines.torch_engine import torch_engine

    report: dict[str, Any] = {"kind": "onnx", "precision": "fp32"}
    try:
        graphs = graphs_of(network, sha256_file(weights))
    except NotImplementedError as error:  # a layer of another package
        return _only_torch(task, network, f"no graph can be made of {error}")
    exact, files = _onnx(task, graphs)
    dev = data.get("dev")
    if (checked := dev or data.get("train")) is not None:
        torch = torch_engine(task, network)
        report["difference"] = difference(task, torch, exact, checked)
        why = None
        if not report["difference"] <= MOST_DIFFERENCE:
            why = f"the graph differs from the network by {report['difference']:.2g}"
        elif isinstance(task, WritingTask):
            report["same_tokens"] = same = same_translations(task, torch, exact, checked).percent
            why = None if same >= LEAST_SAME else f"the graph writes the same for {same:.1f}% of sentences"
        if why is not None:
            return _only_torch(task, network, why, **{**report, "kind": "torch"})
    engine, wanted = exact, precision == "int8"
    by_default = precision == "auto" and dev is not None and not task.exact
    small = [quantize(graph) for graph in graphs] if wanted or by_default else graphs
    if any(one is not graph for one, graph in zip(small, graphs, strict=True)):
        rounded, rounded_files = _onnx(task, small)
        loses_little = _compare(task, exact, rounded, dev, report)
        if wanted or (by_default and loses_little):
            engine, files, report["precision"] = rounded, rounded_files, "int8"
    return Exported(engine, report, files)


def _onnx(task: Task[Any], graphs: Sequence[ModelProto]) -> tuple[Engine, dict[str, bytes]]:
    """The engine of some graphs, and the files that it needs."""
    files = {name: graph.SerializeToString() for name, graph in zip((ENGINE_FILE, DECODER_FILE), graphs, strict=False)}
    return onnx_engine(task, files[ENGINE_FILE], decoder=files.get(DECODER_FILE)), files


def _export_ctranslate2(
    task: TranslationTask, network: Network, weights: Path, data: Mapping[str, Data], precision: Precision
) -> Exported:
    """Make ``engine.ct2.bin`` and ``engine.ct2.json``."""
    from seqcli.engines.ctranslate2_export import ctranslate2_model
    from seqcli.engines.torch_engine import torch_engine

    report: dict[str, Any] = {"kind": "ctranslate2", "precision": "fp32"}
    try:
        chosen = ctranslate2_model(task, network, sha256_file(weights))
    except NotImplementedError as error:
        return _only_torch(task, network, f"CTranslate2 cannot run {error}")
    engine, dev = chosen.engine(), data.get("dev")
    if (checked := dev or data.get("train")) is not None:
        same = same_translations(task, torch_engine(task, network), engine, checked)
        report |= {"same_tokens": same.percent, "difference": same.difference}
        if not (same.percent >= LEAST_SAME and same.difference <= MOST_DIFFERENT_SCORES):
            why = (
                f"CTranslate2 writes the same for {same.percent:.1f}% of sentences, "
                f"with a difference of ln p of up to {same.difference:.2g}"
            )
            return _only_torch(task, network, why, same_tokens=same.percent, difference=same.difference)
    if precision == "int8" or (precision == "auto" and dev is not None):
        small = ctranslate2_model(task, network, sha256_file(weights), int8=True)
        rounded = small.engine()
        if _compare(task, engine, rounded, dev, report) or precision == "int8":
            chosen, engine, report["precision"] = small, rounded, "int8"
    return Exported(engine, report, {CT2_FILE: chosen.model, CT2_ABOUT: chosen.about.to_bytes()})


def _compare(task: Task[Any], exact: Engine, rounded: Engine, dev: Data | None, report: dict[str, Any]) -> bool:
    """Measure both precisions on dev, for the report; True where eight bits lose next to nothing."""
    if dev is None:
        return False
    fp32, int8 = (task.measure(one, dev).scorer.scores()[task.select_by] for one in (exact, rounded))
    report["dev"] = {"score": task.select_by, "fp32": fp32, "int8": int8}
    higher = METRICS[task.select_by].better == "higher"
    return fp32 - int8 <= MOST_LOST if higher else int8 - fp32 <= 0.005 * abs(fp32)


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
        run.replace({**exported.files, run.report_path.name: report_text(report).encode()}, without=ENGINE_FILES)
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


def difference(task: Task[Any], one: Engine, other: Engine, data: Data) -> float:
    """The greatest difference between what two engines say of the first batches of a split."""
    worst = 0.0
    if isinstance(task, LanguageModelTask):
        rows = data.training_order(task.recipe.training.batch, seed=0, epoch=0)[0][:8]
        return _scores_apart(one.stepper(), other.stepper(), _sequences(data.batch(rows).source, "words_BT"))
    batch = data.batch(_checked(data))
    if task.generates:
        assert batch.target is not None
        targets = _sequences(batch.target, "ids_BT")
        worst = _scores_apart(one.stepper(batch.source), other.stepper(batch.source), targets)
    source = batch.source
    here, there = one.outputs(source), other.outputs(source)
    real_BT = np.arange(source.lengths_B.max(initial=1)) < source.lengths_B[:, None]
    for name in task.encoder_outputs if task.generates else here:
        gap = np.abs(here[name] - there[name])
        worst = max(worst, float(gap[real_BT].max(initial=0) if name.endswith("_BTK") else gap.max(initial=0)))
    return worst


def _checked(data: Data) -> NDArray[np.int64]:
    return np.arange(min(_CHECKED_ROWS, len(data.lengths)))


def _sequences(side: Side, name: str) -> list[NDArray[np.int64]]:
    return [row[:length] for row, length in zip(side.arrays[name], side.lengths_B.tolist(), strict=True)]


def _scores_apart(one: Stepper, other: Stepper, sequences: Sequence[NDArray[np.int64]]) -> float:
    pairs = zip(one.score(sequences), other.score(sequences), strict=True)
    return max((float(np.abs(a - b).max(initial=0)) for a, b in pairs), default=0.0)


class Same(NamedTuple):
    """Sentences that two engines translate alike, in percent, and the greatest difference of ln p of those."""

    percent: float
    difference: float


def same_translations(task: WritingTask, one: Engine, other: Engine, data: Data) -> Same:
    """What two engines write greedily for the first sentences of a split."""
    assert isinstance(data, WritingData)
    rows = np.flatnonzero(data.source_lengths <= task.max_length)[:_CHECKED_SENTENCES]
    options = replace(task.options, beam=1, best=1)
    gaps: list[float | None] = []
    for some in sorted_batches(data.source_lengths[rows] + 1, tokens=one.positions):
        side, raws = data.source.side(rows[some]), [data.raw(row) for row in rows[some].tolist()]
        found = (task.generate(engine, side, raws, options) for engine in (one, other))
        for first, second in zip(*found, strict=True):
            here, there = first.hypotheses[0], second.hypotheses[0]
            gaps.append(abs(here.log_prob - there.log_prob) if here.tokens == there.tokens else None)
    same = [gap for gap in gaps if gap is not None]
    return Same(100 * len(same) / max(1, len(gaps)), float(np.max(same, initial=0.0)))
