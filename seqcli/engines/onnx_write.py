"""A network as a graph, its weights in eight bits where that is asked for."""

from __future__ import annotations

import math
import tempfile
from collections.abc import Iterator
from pathlib import Path

import onnx
from onnxruntime.quantization import QuantType, quantize_dynamic

from seqcli.engines import onnx_forecaster, onnx_imputer  # noqa: F401 - they register their networks
from seqcli.engines.onnx_export import export, export_encoder_decoder
from seqcli.models.encoder_decoder import EncoderDecoder
from seqcli.models.network import Network

FEW_WEIGHTS = 2**14
"""A product, or an LSTM, with fewer weights stays as it is: it takes no time, and a product is often the last."""


def quantize(model: onnx.ModelProto) -> onnx.ModelProto:
    """The weights of LSTMs and of matrix products in 7 of 8 bits, one scale a column; activations are scaled as they come.

    That is over a whole batch, so what is said of an example depends a little on its neighbours. GRU, RNN and vectors
    of words stay float32. Products that meet integer instructions (VNNI, or ARM's dot product) are two to four times as
    fast; an x86 without them adds two products in 16 bits, which the eighth bit would overflow. A model of `FEW_WEIGHTS` products only is given back.
    """
    graphs = [*_graphs(model.graph)]
    sizes = {weight.name: math.prod(weight.dims) for graph in graphs for weight in graph.initializer}
    products = {
        node.name: sizes.get(node.input[1], 0)
        for graph in graphs
        for node in graph.node
        if node.op_type in ("MatMul", "Gemm", "LSTM")
    }
    small = [name for name, size in products.items() if size < FEW_WEIGHTS]
    if len(small) == len(products):
        return model
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
            reduce_range=True,
            nodes_to_exclude=small,
            extra_options={"EnableSubgraph": True},
        )
        return onnx.load(path)


def _graphs(graph: onnx.GraphProto) -> Iterator[onnx.GraphProto]:
    """A graph and those inside its nodes."""
    yield graph
    for node in graph.node:
        for attribute in node.attribute:
            if attribute.type == onnx.AttributeProto.GRAPH:
                yield from _graphs(attribute.g)


def graph_of(network: Network, weights: str = "") -> onnx.ModelProto:
    """The graph of a network: a tagger's, a classifier's or a language model's.

    ``weights``: SHA-256 of the file that the network's weights stand in, which the graph keeps.
    """
    return _signed(export(network), weights)


def graphs_of(network: Network, weights: str = "") -> list[onnx.ModelProto]:
    """The graph of a network; of an encoder-decoder two, in the order of `ENGINE_FILE` and `DECODER_FILE`."""
    if isinstance(network, EncoderDecoder):
        return [_signed(graph, weights) for graph in export_encoder_decoder(network)]
    return [graph_of(network, weights)]


def _signed(graph: onnx.ModelProto, weights: str) -> onnx.ModelProto:
    entry = graph.metadata_props.add()
    entry.key, entry.value = "weights", weights
    return graph
