"""Networks that forecast, as graphs: they say of windows side by side what the network says of each alone."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
import torch
from networks import ENGINES, large, made
from tiny_forecasts import MODELS, SIZES, batch, forecaster, some
from tiny_series import monthly, series_recipe

from seqcli.engines.onnx_engine import OnnxGraph, onnx_engine
from seqcli.engines.onnx_write import graph_of
from seqcli.errors import UserError


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


def test_engines_of_a_task_agree(tmp_path, cache):
    task, network, columns = made(series_recipe(monthly(tmp_path / "a.csv"), "source.calendar=[month]"))
    source = task.data(columns).batch(np.arange(5)).source
    torch_values, onnx_values = (
        engine_of(task, network).outputs(source)[task.output] for engine_of in ENGINES.values()
    )
    assert np.ptp(torch_values) > 0.1
    np.testing.assert_allclose(onnx_values, torch_values, rtol=1e-5, atol=1e-4)


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("task.steps=3", "the graph is for 4 predicted steps, but the model has 3"),
        ("task.look_back=9", "the graph is for 8 steps of look-back, but the model has 9"),
        ("source.calendar=[month]", "the graph is for 0 features, but the model has 2"),
        ("task.quantiles=[0.5]", "a graph for something else than forecasting: it gives values_BKC, not values_BKCQ"),
    ],
)
def test_a_graph_of_another_model_is_refused(tmp_path, cache, override, message):
    table = monthly(tmp_path / "a.csv")
    graph = graph_of(made(series_recipe(table))[1]).SerializeToString()
    with pytest.raises(UserError, match=message):
        onnx_engine(made(series_recipe(table, override))[0], graph)
