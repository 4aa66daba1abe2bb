"""Trained networks on ONNX Runtime: predicting needs no torch."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from seqcli.data.batch import Outputs, Side
from seqcli.decode.generate import GenerateOptions, Hypothesis
from seqcli.decode.stepper import LogProbs
from seqcli.engines.stepper import LOGITS, Ids, NetworkStepper
from seqcli.errors import data_error, usage_error
from seqcli.machine import cores
from seqcli.tasks.base import Task
from seqcli.tasks.language_model import LanguageModelTask

Array = NDArray[Any]


class OnnxEngine:
    """A graph written by `seqcli.engines.onnx_export`, on one thread; callers may run it in several at once.

    Args:
        eos, context: of a language model, the token that starts a sequence and how far it looks back.

    Attributes:
        sizes: of its tables, as in `Task.tables`.
        weights: SHA-256 of the file of weights that it was made from.
    """

    flat = False
    parallel = True
    positions = 2048  # what a step works on then stays in the cache

    def __init__(self, model: Path | bytes, eos: int = 0, context: int | None = None) -> None:
        self.eos, self.context, self.file = eos, context, model if isinstance(model, Path) else None
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

    def stepper(self, source: Side | None = None) -> OnnxStepper:
        return OnnxStepper(self)

    def generate(self, source: Side, options: GenerateOptions, **how: Any) -> list[list[Hypothesis]]:
        raise usage_error("only an encoder-decoder writes something for a source")

    def score(self, source: Side, targets: Sequence[Ids]) -> list[NDArray[np.float64]]:
        raise usage_error("only an encoder-decoder writes something for a source")

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


def _options() -> onnxruntime.SessionOptions:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL
    options.log_severity_level = 3
    return options


def onnx_engine(task: Task[Any], model: Path | bytes, weights: str | None = None) -> OnnxEngine:
    """The engine of a fitted task's graph, made from the file of weights with this SHA-256.

    Raises:
        UserError: no graph that seqcli wrote, one of another task, of other sizes or of other weights (65).
    """
    file = model if isinstance(model, Path) else None
    again = f"Make it again: seqcli models export {file.parent}" if file else None
    start = (task.source.eos, task.context) if isinstance(task, LanguageModelTask) else ()
    try:
        engine = OnnxEngine(model, *start)
    except MemoryError:
        raise
    except (KeyError, ValueError, TypeError) as error:
        raise data_error("a graph that seqcli did not write", file=file, hint=again) from error
    except Exception as error:  # onnxruntime's own, one class for each kind and none above them
        raise data_error(f"not a graph that can be run: {_reason(error)}", file=file, hint=again) from error
    if (wrong := _misfit(task, engine, weights)) is not None:
        raise data_error(wrong, file=file, hint=again)
    return engine


def _reason(error: Exception) -> str:
    return str(error).rpartition("failed:")[2].split("\n")[0].strip()


def _misfit(task: Task[Any], engine: OnnxEngine, weights: str | None) -> str | None:
    """Why a graph is not that of a task and of its weights, in words."""
    if task.output not in engine.names:
        return f"a graph for something else than {task.kind}: it gives {', '.join(engine.names)}, not {task.output}"
    for name, size in task.tables.items():
        found = engine.sizes.get(name, 0)
        if found != size and (found or name != "words"):  # an embedder may do without vectors of words
            return f"the graph is for {found:,} {name}, but the model has {size:,}"
    width, choices = engine.shapes[task.output][-1], task.tables.get("labels") or task.tables["words"]
    if width != choices:  # whatever it says of itself
        return f"{task.output} of the graph is {width} wide, but the model has {choices:,} to choose from"
    if weights is not None and engine.weights != weights:
        made = (engine.weights or "unknown")[:12]
        return f"the graph was made from other weights ({made}) than those in the model ({weights[:12]})"
    return None
