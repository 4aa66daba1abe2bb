"""Trained networks on ONNX Runtime: predicting needs no torch."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from numpy.typing import NDArray

Array = NDArray[Any]


class OnnxEngine:
    """A graph written by `seqcli.engines.onnx_export`, on one thread; callers may run it in several at once."""

    def __init__(self, model: Path | bytes) -> None:
        self.session = onnxruntime.InferenceSession(model, _options(), providers=["CPUExecutionProvider"])
        stored = json.loads(self.session.get_modelmeta().custom_metadata_map["constants"])
        self.constants: dict[str, Array] = {
            name: np.array(one["values"], np.float32).reshape(one["shape"]) for name, one in stored.items()
        }
        self.inputs = [value.name for value in self.session.get_inputs()]
        self.names = [value.name for value in self.session.get_outputs()]

    def outputs(self, arrays: Mapping[str, Array], lengths_B: NDArray[np.int64]) -> dict[str, Array]:
        """All outputs for a batch, and the constants of the model (a CRF's scores); arrays it does not read may be there."""
        feeds = {name: arrays[name] for name in self.inputs if name != "lengths_B"} | {"lengths_B": lengths_B}
        return dict(zip(self.names, self.session.run(self.names, feeds), strict=True)) | self.constants

    def run(self, names: Sequence[str], feeds: Mapping[str, Array]) -> list[Array]:
        """Some of the outputs."""
        return self.session.run(names, feeds)  # type: ignore[no-any-return]


def _options() -> onnxruntime.SessionOptions:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL
    options.log_severity_level = 3
    return options
