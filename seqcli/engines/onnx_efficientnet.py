"""EfficientNet-Lite0 as an ONNX graph, made of its published weights. Shapes: B images, H and W pixels, D channels.

Tan and Le (2019), "EfficientNet: rethinking model scaling for convolutional neural networks"; the lite variants have
ReLU6, and no squeeze and excitation. The weights were trained by TensorFlow, so windows are padded as it does ("same":
what cannot be halved goes behind).
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from onnx import TensorProto

from seqcli.engines.graph import Graph

Weights = Mapping[str, torch.Tensor]

_EPSILON = 1e-3
"""Of batch normalization."""

_STRIDE_2 = (1, 3, 5, 11)
"""The blocks that halve the map."""


def graph_of_file(path: Path) -> bytes:
    """The graph of a file of weights; only tensors are read of it, and nothing in it is run."""
    return graph_of_weights(torch.load(path, map_location="cpu", weights_only=True))


def graph_of_weights(weights: Weights) -> bytes:
    """The graph: RGB pixels ``pixels_BHWC`` (0 to 255) -> ``grid_BPD``, the places of the last map row by row."""
    graph = Graph()
    pixels = graph.input("pixels_BHWC", TensorProto.UINT8, "B", 224, 224, 3)
    x = graph.node("Transpose", graph.node("Cast", pixels, to=TensorProto.FLOAT), perm=[0, 3, 1, 2])
    x = graph.node("Mul", graph.node("Sub", x, 127.0), 1 / 128)
    x = _convolution(graph, weights, "_conv_stem", "_bn0", x, stride=2)
    block = 0
    while f"_blocks.{block}._depthwise_conv.weight" in weights:
        x = _block(graph, weights, f"_blocks.{block}.", x, stride=2 if block in _STRIDE_2 else 1)
        block += 1
    x = _convolution(graph, weights, "_conv_head", "_bn1", x)
    channels = len(weights["_conv_head.weight"])
    x = graph.node("Transpose", graph.node("Reshape", x, [0, channels, -1]), perm=[0, 2, 1])
    graph.output("grid_BPD", x, "B", "P", channels)
    return graph.model().SerializeToString()


def _block(graph: Graph, weights: Weights, name: str, x: str, *, stride: int) -> str:
    """An inverted residual (Sandler et al. 2018): wider, over the neighbours of each channel, narrower, and itself."""
    inner = x
    if f"{name}_expand_conv.weight" in weights:
        inner = _convolution(graph, weights, f"{name}_expand_conv", f"{name}_bn0", inner)
    inner = _convolution(graph, weights, f"{name}_depthwise_conv", f"{name}_bn1", inner, stride=stride)
    inner = _convolution(graph, weights, f"{name}_project_conv", f"{name}_bn2", inner, bounded=False)
    first = "_expand_conv" if f"{name}_expand_conv.weight" in weights else "_project_conv"
    same = weights[f"{name}{first}.weight"].shape[1] == len(weights[f"{name}_project_conv.weight"])
    return graph.node("Add", inner, x) if stride == 1 and same else inner


def _convolution(
    graph: Graph, weights: Weights, layer: str, norm: str, x: str, *, stride: int = 1, bounded: bool = True
) -> str:
    """A convolution with its batch normalization folded in, and ReLU6 where it is ``bounded``."""
    kernel, shift = _folded(weights, layer, norm)
    groups = len(kernel) if "_depthwise_conv" in layer else 1
    x = graph.node("Conv", x, kernel, shift, strides=[stride, stride], group=groups, auto_pad="SAME_UPPER")
    return graph.node("Clip", x, 0.0, 6.0) if bounded else x


def _folded(weights: Weights, layer: str, norm: str) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    kernel, scale, shift, mean, variance = (
        weights[name].double().numpy()
        for name in (
            f"{layer}.weight",
            *(f"{norm}.{part}" for part in ("weight", "bias", "running_mean", "running_var")),
        )
    )
    factor = scale / np.sqrt(variance + _EPSILON)
    return (kernel * factor[:, None, None, None]).astype(np.float32), (shift - mean * factor).astype(np.float32)
