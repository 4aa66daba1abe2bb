"""Writing an ONNX graph node by node. Values go by their names; dimensions are numbers or letters (any size)."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from torch import Tensor

FLOAT, INT64, INT32, BOOL = TensorProto.FLOAT, TensorProto.INT64, TensorProto.INT32, TensorProto.BOOL
OPSET = 20
IR_VERSION = 9

Operand = str | Tensor | NDArray[Any] | float | Sequence[int]
"""The name of a value ("": left out), or a constant: a tensor, a scalar (int: int64, float: float32), a list of ints."""


class Graph:
    """A graph that grows: each method adds to it and gives the name of the value it made."""

    def __init__(self, prefix: str = "") -> None:
        """``prefix``: what the names in a graph inside another begin with."""
        self.prefix = prefix
        self.nodes: list[onnx.NodeProto] = []
        self.inputs: dict[str, onnx.ValueInfoProto] = {}
        self.outputs: list[onnx.ValueInfoProto] = []
        self.initializers: dict[tuple[str, tuple[int, ...], bytes], onnx.TensorProto] = {}
        self.constants: dict[str, NDArray[Any]] = {}
        self.sizes: dict[str, int] = {}
        self._values = 0

    def input(self, name: str, kind: int, *shape: int | str) -> str:
        """An input; the same one when it is there already."""
        self.inputs.setdefault(name, helper.make_tensor_value_info(name, kind, shape))
        return name

    def output(self, name: str, value: str, *shape: int | str) -> None:
        """Call a value (float32) ``name`` and give it out."""
        for node in self.nodes:
            for names in (node.input, node.output):
                names[:] = [name if other == value else other for other in names]
        self.outputs.append(helper.make_tensor_value_info(name, FLOAT, shape))

    def inner(self) -> onnx.GraphProto:
        """The finished graph as the body of a node."""
        values = list(self.inputs.values())
        return helper.make_graph(self.nodes, "seqcli", values, self.outputs, list(self.initializers.values()))

    def constant(self, value: Tensor | NDArray[Any] | float | Sequence[int]) -> str:
        """An initializer; equal ones are stored once."""
        if isinstance(value, Tensor):
            array = value.detach().cpu().numpy()
        else:
            array = np.asarray(value, np.float32 if isinstance(value, float) else None)
        array = np.ascontiguousarray(array) if array.ndim else array
        key = (array.dtype.str, array.shape, array.tobytes())
        if key not in self.initializers:
            self.initializers[key] = numpy_helper.from_array(array, f"{self.prefix}constant_{len(self.initializers)}")
        return self.initializers[key].name

    def nodes_of(self, operator: str, *operands: Operand, outputs: int, **attributes: Any) -> list[str]:
        """The ``outputs`` values of a new node."""
        names = [operand if isinstance(operand, str) else self.constant(operand) for operand in operands]
        made = [f"{self.prefix}value_{self._values + number}" for number in range(outputs)]
        self._values += outputs
        self.nodes.append(helper.make_node(operator, names, made, name=made[0], **attributes))
        return made

    def node(self, operator: str, *operands: Operand, **attributes: Any) -> str:
        """The value of a new node."""
        return self.nodes_of(operator, *operands, outputs=1, **attributes)[0]

    def size(self, value: str, axis: int) -> str:
        """Size of a dimension, a scalar."""
        return self.node("Squeeze", self.node("Shape", value, start=axis, end=axis + 1), [0])

    def model(self) -> onnx.ModelProto:
        """The finished graph; its constants, exact to the bit, and the sizes of its tables are metadata."""
        opset = helper.make_opsetid("", OPSET)
        model = helper.make_model(self.inner(), opset_imports=[opset], ir_version=IR_VERSION, producer_name="seqcli")
        told = {"constants": json.dumps(_lists(self.constants)), "sizes": json.dumps(self.sizes)}
        helper.set_model_props(model, told)
        return model


def _lists(arrays: Mapping[str, NDArray[Any]]) -> dict[str, Any]:
    return {name: {"shape": array.shape, "values": array.ravel().tolist()} for name, array in arrays.items()}
