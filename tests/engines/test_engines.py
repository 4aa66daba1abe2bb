"""Every engine says of a batch what its network says of each example alone, whatever the task and the layers."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from networks import ENGINES, KINDS, NAMES, NETWORKS, made

from seqcli.data.batch import Side
from seqcli.recipe import registry

ABSOLUTE = 1e-4


def alone(network, side, row):
    """What a network says of one example, its padding taken off."""
    length = int(side.lengths_B[row])
    arrays = {
        name: array[row : row + 1, : max(1, length)] if name.split("_")[-1].startswith("B") else array
        for name, array in side.arrays.items()
    }
    with torch.inference_mode():
        outputs = network(Side(arrays, side.lengths_B[row : row + 1]))
    return {name: value.numpy() for name, value in outputs.items()}


def test_every_kind_of_layer_is_in_the_table():
    for slot in ("embedder", "characters", "encoder", "pooling", "head"):
        assert set(registry.kinds(slot)) <= KINDS, slot


@pytest.mark.parametrize("number", range(len(NETWORKS)), ids=NAMES)
def test_an_engine_equals_its_network(tmp_path, cache, number):
    recipe_of, overrides = NETWORKS[number]
    task, network, columns = made(recipe_of(tmp_path / "data", *overrides))
    rows = np.arange(len(columns))[::-1].copy()
    source = task.data(columns).batch(rows).source
    assert len(set(source.lengths_B.tolist())) > 1
    expected = [alone(network, source, row) for row in range(len(rows))]
    for name, engine_of in ENGINES.items():
        engine = engine_of(task, network)
        if task.generates:
            sequences = task.data(columns).sequences(rows)
            found = engine.stepper().score(sequences)
            wanted = [
                np.take_along_axis(one["log_probs_BTV"][0], ids[:, None], 1)[:, 0]
                for one, ids in zip(expected, sequences, strict=True)
            ]
        else:
            outputs = engine.outputs(source)
            assert outputs.keys() == expected[0].keys(), name
            (per_example,) = outputs.keys() - {"transitions_KK", "start_K", "end_K"}
            found = list(outputs[per_example])
            wanted = [one[per_example][0] for one in expected]
            if per_example == "logits_BTK":
                found = [one[:length] for one, length in zip(found, source.lengths_B.tolist(), strict=True)]
            for score in outputs.keys() - {per_example}:
                np.testing.assert_array_equal(outputs[score], expected[0][score])
        assert np.ptp(np.concatenate(wanted), axis=0).max() > 0.1, "a network that says nothing"
        for one, other in zip(found, wanted, strict=True):
            np.testing.assert_allclose(one, other, rtol=0, atol=ABSOLUTE, err_msg=name)
