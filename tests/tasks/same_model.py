"""A finished run as every engine runs it."""

from __future__ import annotations

from typing import Any

from seqcli.engines.onnx_engine import OnnxEngine, onnx_engine
from seqcli.engines.onnx_write import graph_of
from seqcli.engines.torch_engine import TorchEngine
from seqcli.pipeline.model import Model
from seqcli.store.runs import Run


def models_of(run: Run) -> dict[str, Model[Any]]:
    """``used``: as it is loaded (its graph may be in eight bits); ``onnx``: a graph that rounds nothing; ``torch``."""
    used, torch = Model.load(run), Model.load(run, engine="torch")
    assert isinstance(used.engine, OnnxEngine)
    assert isinstance(torch.engine, TorchEngine)
    graph = onnx_engine(torch.task, graph_of(torch.engine.network).SerializeToString())
    return {"used": used, "onnx": Model(str(run), torch.task, graph, run), "torch": torch}
