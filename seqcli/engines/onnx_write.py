"""After an export: eight-bit weights, and the proof that a graph says what the network says.

Shapes: B sequences, T positions, K labels.
"""

from __future__ import annotations

import math
import tempfile
from collections.abc import Iterable, Mapping
from functools import singledispatch
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from onnxruntime.quantization import QuantType, quantize_dynamic
from torch import Tensor, nn

from seqcli.engines.onnx_engine import OnnxEngine, OnnxStepper
from seqcli.models.classifier import SequenceClassifier
from seqcli.models.ensemble import EnsembleClassifier
from seqcli.models.language import LanguageModel
from seqcli.models.sequence import SequenceModel

Arrays = Mapping[str, NDArray[Any]]

FEW_WEIGHTS = 2**14
"""A product with fewer weights stays as it is: it takes no time, and it is often the last."""


def quantize(model: onnx.ModelProto) -> onnx.ModelProto:
    """The weights of LSTMs and of matrix products in 8 bits, one scale a column; activations are scaled as they come.

    GRU, RNN and vectors of words stay float32. Products that meet integer instructions (VNNI, or ARM's dot product) are
    two to four times as fast; the largest weights may saturate on an x86 without them.
    """
    sizes = {weight.name: math.prod(weight.dims) for weight in model.graph.initializer}
    small = [
        node.name
        for node in model.graph.node
        if node.op_type in ("MatMul", "Gemm") and sizes.get(node.input[1], 0) < FEW_WEIGHTS
    ]
    marked = onnx.ModelProto()
    marked.CopyFrom(model)
    entry = marked.metadata_props.add()  # the quantizer's own mark: it then asks for no preparation on the root logger
    entry.key, entry.value = "onnx.quant.pre_process", "onnxruntime.quant"
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "quantized.onnx"
        quantize_dynamic(
            marked,
            path,
            op_types_to_quantize=["LSTM", "MatMul"],
            weight_type=QuantType.QInt8,
            per_channel=True,
            nodes_to_exclude=small,
            extra_options={"EnableSubgraph": True},
        )
        return onnx.load(path)


@singledispatch
def network_outputs(network: nn.Module, inputs: Mapping[str, Tensor], lengths_B: Tensor) -> dict[str, Tensor]:
    """What the graph of a network gives out, computed by torch."""
    raise NotImplementedError(type(network).__name__)


@network_outputs.register
def _labeller(network: SequenceModel, inputs: Mapping[str, Tensor], lengths_B: Tensor) -> dict[str, Tensor]:
    return {"logits_BTK": network.head.output(network(inputs, lengths_B))}


@network_outputs.register(SequenceClassifier)
@network_outputs.register(EnsembleClassifier)
def _classifier(
    network: SequenceClassifier | EnsembleClassifier, inputs: Mapping[str, Tensor], lengths_B: Tensor
) -> dict[str, Tensor]:
    return {"log_probs_BK": network.head.sequence_log_probs(network(inputs, lengths_B))}


@torch.inference_mode()
def check(engine: OnnxEngine, network: nn.Module, batches: Iterable[tuple[Arrays, NDArray[np.int64]]]) -> float:
    """Greatest absolute difference between the network and its graph, where there is no padding."""
    worst = 0.0
    for arrays, lengths_B in batches:
        found = engine.outputs(arrays, lengths_B)
        inputs = {name: torch.from_numpy(array) for name, array in arrays.items()}
        for name, expected in network_outputs(network, inputs, torch.from_numpy(lengths_B)).items():
            difference = np.abs(found[name] - expected.numpy())
            if name.startswith("logits_BT"):
                difference = difference[np.arange(difference.shape[1]) < lengths_B[:, None]]
            worst = max(worst, float(difference.max(initial=0)))
    return worst


@torch.inference_mode()
def check_language_model(stepper: OnnxStepper, model: LanguageModel, batches: Iterable[NDArray[np.int64]]) -> float:
    """The same of ln p of the token after each text [B, T >= 2], which the graph reads in two pieces."""
    worst = 0.0
    for ids_BT in batches:
        _, states = stepper.next(ids_BT[:, :-1], stepper.initial(len(ids_BT)))
        found, _ = stepper.next(ids_BT[:, -1:], states)
        expected = model.log_probs(model(torch.from_numpy(ids_BT), [])[0][:, -1])
        worst = max(worst, float(np.abs(found - expected.numpy()).max(initial=0)))
    return worst
