"""Trained networks on ONNX Runtime: predicting needs no torch."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from seqcli.data.batch import Outputs, Side
from seqcli.decode.generate import GenerateOptions, Hypothesis
from seqcli.decode.stepper import LogProbs, Stepper
from seqcli.engines.stepper import LOGITS, Ids, NetworkStepper, SourceStepper, SourceWriter, numbered
from seqcli.errors import data_error, usage_error
from seqcli.fields.pairs import TargetText
from seqcli.machine import cores
from seqcli.tasks.base import Task

Array = NDArray[Any]
G = TypeVar("G", bound="OnnxGraph")


class OnnxGraph:
    """A graph written by `seqcli.engines.onnx_export`, on one thread; callers may run it in several at once.

    Attributes:
        sizes: of its tables, as in `Task.tables`.
        weights: SHA-256 of the file of weights that it was made from.
    """

    def __init__(self, model: Path | bytes) -> None:
        self.file = model if isinstance(model, Path) else None
        self.session = onnxruntime.InferenceSession(model, _options(), providers=["CPUExecutionProvider"])
        told = self.session.get_modelmeta().custom_metadata_map
        self.constants: dict[str, Array] = {
            name: np.array(one["values"], np.float32).reshape(one["shape"])
            for name, one in json.loads(told["constants"]).items()
        }
        self.sizes: dict[str, int] = json.loads(told["sizes"])
        self.weights = told.get("weights")
        self.inputs = [value.name for value in self.session.get_inputs()]
        self.names = [value.name for value in self.session.get_outputs()]
        self.shapes = {value.name: value.shape for value in self.session.get_outputs()}

    def outputs(self, source: Side) -> Outputs:
        """All outputs for a batch, and the constants of the model (a CRF's scores); arrays it does not read may be there."""
        feeds = {name: source.arrays[name] for name in self.inputs if name != "lengths_B"}
        feeds["lengths_B"] = source.lengths_B
        return dict(zip(self.names, self.run(self.names, feeds), strict=True)) | self.constants

    def run(self, names: Sequence[str], feeds: Mapping[str, Array]) -> list[Array]:
        """Some of the outputs.

        Raises:
            UserError: the graph is not what it says it is, and fails (65).
            MemoryError: there is not enough for it.
        """
        try:
            results: list[Array] = self.session.run(names, feeds)
        except Exception as error:  # onnxruntime's own, one class for each kind and none above them
            if "allocate" in str(error) or isinstance(error, MemoryError):
                raise MemoryError(str(error)) from error
            raise data_error(f"the graph fails: {_reason(error)}", file=self.file) from error
        return results


class OnnxEngine(OnnxGraph):
    """The whole of a network in one graph.

    Args:
        eos, context: of a language model, the token that starts a sequence and how far it looks back.
    """

    flat = False
    parallel = True
    positions = 2048  # what a step works on then stays in the cache

    def __init__(self, model: Path | bytes, eos: int = 0, context: int | None = None) -> None:
        super().__init__(model)
        self.eos, self.context = eos, context

    def stepper(self, source: Side | None = None, outputs: Outputs | None = None) -> OnnxStepper:
        return OnnxStepper(self)

    def generate(self, source: Side, options: GenerateOptions, **how: Any) -> list[list[Hypothesis]]:
        raise usage_error("only an encoder-decoder writes something for a source")

    def score(self, source: Side, targets: Sequence[Ids]) -> list[NDArray[np.float64]]:
        raise usage_error("only an encoder-decoder writes something for a source")


class OnnxEncoderDecoder(SourceWriter):
    """The two graphs of `export_encoder_decoder`; ``eos`` starts a target."""

    flat = False
    parallel = True
    positions = 2048

    def __init__(self, encoder: OnnxGraph, decoder: OnnxGraph, eos: int) -> None:
        self.encoder, self.decoder, self.eos = encoder, decoder, eos

    def outputs(self, source: Side) -> Outputs:
        """What the decoder keeps of the source, its first states, and `Task.encoder_outputs`."""
        return self.encoder.outputs(source)

    def stepper(self, source: Side | None = None, outputs: Outputs | None = None) -> Stepper:
        if source is None:
            raise usage_error("this model has no next token without a source")
        return OnnxSourceStepper(self, len(source.lengths_B), self.outputs(source) if outputs is None else outputs)


class OnnxStepper(NetworkStepper[Array]):
    """A graph of `export_language_model` as a model of the next token."""

    def __init__(self, engine: OnnxEngine) -> None:
        positions = max(1, LOGITS // engine.shapes["log_probs_NV"][1])
        super().__init__(engine.eos, engine.context, positions=positions, threads=cores())
        self.engine = engine
        self._starts = [engine.constants[f"start_{number}"] for number in range(len(engine.constants))]
        self._states = [f"state_{number}" for number in range(len(self._starts))]
        self._after = [f"after_{number}" for number in range(len(self._starts))]

    def initial(self, count: int) -> list[Array]:
        """The learned start, zeros, or nothing remembered yet."""
        return [np.repeat(start, count, axis=0) for start in self._starts]

    def next(self, ids_BT: Ids, states: list[Array]) -> tuple[LogProbs, list[Array]]:
        """``(ln p of the token after these [B, V], states to read on from)``."""
        batch, length = ids_BT.shape
        return self._run(
            "log_probs_NV", ids_BT, np.arange(1, batch + 1) * length - 1, np.zeros(batch, np.int64), states
        )

    def chosen(self, ids_BT: Ids, targets_BT: Ids, states: list[Array]) -> tuple[NDArray[np.float32], list[Array]]:
        """``(ln p of the target after each token [B, T], states to read on from)``."""
        chosen_N, states = self._run("chosen_N", ids_BT, np.arange(ids_BT.size), targets_BT.ravel(), states)
        return chosen_N.reshape(ids_BT.shape), states

    def rows(self, state: Array, rows: Ids) -> Array:
        """One state of some of the sequences."""
        return state[rows]

    def _run(
        self, output: str, ids_BT: Ids, places_N: Ids, targets_N: Ids, states: list[Array]
    ) -> tuple[NDArray[np.float32], list[Array]]:
        feeds = {"words_BT": ids_BT, "places_N": places_N, "targets_N": targets_N}
        result, *after = self.engine.run([output, *self._after], feeds | dict(zip(self._states, states, strict=True)))
        return result, after


class OnnxSourceStepper(SourceStepper[Array]):
    """An encoder-decoder that has read some sources, token by token."""

    def __init__(self, engine: OnnxEncoderDecoder, sources: int, made: Outputs) -> None:
        """``made``: what the encoder says of the sources."""
        self.decoder = engine.decoder
        kept, states = ([made[name] for name in numbered(name, made)] for name in ("kept", "state"))
        super().__init__(engine.eos, kept, states, sources)
        self._inputs = [*numbered("kept", made), *numbered("state", made)]
        self._after = numbered("after", self.decoder.names)
        self._seen = [name for name in self.decoder.names if name == "seen_BS"]

    def next(
        self, ids_BT: Ids, kept: list[Array], states: list[Array]
    ) -> tuple[LogProbs, list[Array], NDArray[np.float32] | None]:
        batch, length = ids_BT.shape
        places_N = np.arange(1, batch + 1) * length - 1
        names = ["log_probs_NV", *self._seen, *self._after]
        log_probs, *found = self._run(names, ids_BT, places_N, np.zeros(batch, np.int64), [*kept, *states])
        return log_probs, found[len(self._seen) :], found[0] if self._seen else None

    def chosen(self, ids_BT: Ids, targets_BT: Ids, kept: list[Array], states: list[Array]) -> NDArray[np.float32]:
        parts = []
        piece = max(1, LOGITS // (self.decoder.shapes["log_probs_NV"][1] * len(ids_BT)))
        for at in range(0, ids_BT.shape[1], piece):
            some_BT, wanted_BT = ids_BT[:, at : at + piece], targets_BT[:, at : at + piece]
            places_N, targets_N = np.arange(some_BT.size), wanted_BT.ravel()
            chosen_N, *states = self._run(["chosen_N", *self._after], some_BT, places_N, targets_N, [*kept, *states])
            parts.append(chosen_N.reshape(some_BT.shape))
        return np.concatenate(parts, axis=1)

    def rows(self, state: Array, rows: Ids) -> Array:
        return state[rows]

    def _run(
        self, names: Sequence[str], ids_BT: Ids, places_N: Ids, targets_N: Ids, memory: Sequence[Array]
    ) -> list[Array]:
        feeds = {"words_BT": ids_BT, "places_N": places_N, "targets_N": targets_N}
        return self.decoder.run(names, feeds | dict(zip(self._inputs, memory, strict=True)))


def _options() -> onnxruntime.SessionOptions:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL
    options.log_severity_level = 3
    return options


def onnx_engine(
    task: Task[Any], model: Path | bytes, weights: str | None = None, *, decoder: Path | bytes | None = None
) -> OnnxEngine | OnnxEncoderDecoder:
    """The engine of a fitted task's graph, made from the file of weights with this SHA-256.

    Args:
        decoder: the second graph of an encoder-decoder.

    Raises:
        UserError: no graph that seqcli wrote, one of another task, of other sizes or of other weights (65).
    """
    again = f"Make it again: seqcli models export {model.parent}" if isinstance(model, Path) else None
    engine: OnnxEngine | OnnxEncoderDecoder
    if task.generates and task.target is not None:
        if decoder is None:
            file = model if isinstance(model, Path) else None
            raise data_error("there is no graph of the decoder beside this one", file=file, hint=again)
        graphs = [_opened(OnnxGraph, one, again) for one in (model, decoder)]
        engine = OnnxEncoderDecoder(graphs[0], graphs[1], task.eos)
    else:
        engine = _opened(lambda one: OnnxEngine(one, task.eos, task.context), model, again)
        graphs = [engine]
    for graph, wrong in _misfits(task, graphs, weights):
        raise data_error(wrong, file=graph.file, hint=again)
    return engine


def _opened(kind: Callable[[Path | bytes], G], model: Path | bytes, again: str | None) -> G:
    file = model if isinstance(model, Path) else None
    try:
        return kind(model)
    except MemoryError:
        raise
    except (KeyError, ValueError, TypeError) as error:
        raise data_error("a graph that seqcli did not write", file=file, hint=again) from error
    except Exception as error:  # onnxruntime's own, one class for each kind and none above them
        raise data_error(f"not a graph that can be run: {_reason(error)}", file=file, hint=again) from error


def _reason(error: Exception) -> str:
    return str(error).rpartition("failed:")[2].split("\n")[0].strip()


def _misfits(task: Task[Any], graphs: Sequence[OnnxGraph], weights: str | None) -> Iterator[tuple[OnnxGraph, str]]:
    """Why graphs are not those of a task and of its weights, in words."""
    first, last = graphs[0], graphs[-1]
    wanted = [(last, task.output)]
    if len(graphs) > 1:
        kept = (*numbered("kept", last.inputs), *numbered("state", last.inputs))
        wanted += [(first, name) for name in (*kept, *task.encoder_outputs)]
    for graph, output in wanted:
        if output not in graph.names:
            yield graph, f"a graph for something else than {task.kind}: it gives {', '.join(graph.names)}, not {output}"
    for name, size in task.tables.items():
        for graph in [one for one in graphs if name in one.sizes] or graphs[:1]:
            found = graph.sizes.get(name, 0)
            if found != size and (found or name != "words"):  # an embedder may do without vectors of words
                yield graph, f"the graph is for {found:,} {name}, but the model has {size:,}"
    chosen = ("labels", TargetText.table, "words", "quantiles", "predicted columns")
    choices = next(task.tables[name] for name in chosen if name in task.tables)
    for graph, output in ((last, task.output), *((first, name) for name in task.encoder_outputs)):
        shape = graph.shapes.get(output, ())
        if len(shape) > 1 and shape[-1] != choices:  # whatever it says of itself
            yield graph, f"{output} of the graph is {shape[-1]} wide, but the model has {choices:,} to choose from"
    for graph in graphs:
        if weights is not None and graph.weights != weights:
            made = (graph.weights or "unknown")[:12]
            yield graph, f"the graph was made from other weights ({made}) than those in the model ({weights[:12]})"
