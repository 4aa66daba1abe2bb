"""Networks that forecast, as graphs: they say of windows side by side what the network says of each alone."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
import torch
from networks import large
from tiny_forecasts import MODELS, SIZES, batch, forecaster, some

from seqcli.engines.onnx_engine import OnnxGraph
from seqcli.engines.onnx_write import graph_of


@pytest.mark.parametrize("sizes", SIZES)
@pytest.mark.parametrize("model", MODELS)
def test_a_graph_equals_its_network(model, sizes):
    network = large(forecaster(MODELS[model], SIZES[sizes]))
    graph = graph_of(network)
    onnx.checker.check_model(graph, full_check=True)
    engine = OnnxGraph(graph.SerializeToString())
    assert engine.sizes == SIZES[sizes].tables
    source = batch(SIZES[sizes]).source
    (name,) = engine.names
    with torch.inference_mode():
        alone = [network(some(source, slice(row, row + 1)))[name].numpy() for row in range(4)]
    found = engine.outputs(source)[name]
    assert engine.shapes[name][1:] == list(found.shape[1:])
    assert np.ptp(np.concatenate(alone), axis=0).max() > 0.1, "a network that says nothing"
    np.testing.assert_allclose(found, np.concatenate(alone), rtol=1e-5, atol=1e-4)
