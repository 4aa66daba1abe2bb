"""Every engine says of a batch what its network says of each example alone, whatever the task and the layers."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from networks import ENGINES, KINDS, NAMES, NETWORKS, made

from seqcli.data.batch import Side
from seqcli.decode.generate import GenerateOptions
from seqcli.recipe import registry
from seqcli.tasks.writing import WritingTask

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
    for slot in ("embedder", "characters", "encoder", "decoder", "pooling", "head"):
        assert set(registry.kinds(slot)) <= KINDS, slot


def assert_translates(task, network, columns, engine, name):
    """An engine scores targets as the network does each alone, and writes what is likeliest token by token."""
    data, eos = task.data(columns), task.target.eos
    sides = [data.batch(np.array([row])) for row in range(len(data.lengths))]
    sequences = [side.target.arrays["ids_BT"][0] for side in sides]
    wanted, greedy = [], []
    with torch.inference_mode():
        for side, sequence in zip(sides, sequences, strict=True):
            kept, states = network.encode(side.source)
            hidden_BTD, _, _ = network.read(torch.from_numpy(side.target.arrays["words_BT"]), kept, states)
            log_probs_TV = network.head.log_probs(hidden_BTD[0])
            wanted.append(log_probs_TV.numpy()[np.arange(len(sequence)), sequence])
            ids: list[int] = []
            while eos not in ids and len(ids) < 5:
                hidden_BTD, states, _ = network.read(torch.tensor([[*[eos], *ids][-1:]]), kept, states)
                ids.append(int(network.head.log_probs(hidden_BTD[:, -1]).argmax()))
            greedy.append(ids[: ids.index(eos)] if eos in ids else ids)
    assert np.ptp(np.concatenate(wanted)) > 0.1, "a network that says nothing"
    source = data.batch(np.arange(len(data.lengths))).source
    found = engine.stepper(source).score(sequences)
    for one, other in zip(found, wanted, strict=True):
        np.testing.assert_allclose(one, other, rtol=0, atol=ABSOLUTE, err_msg=name)
    written = engine.generate(source, GenerateOptions(max_length=5), eos=eos)
    assert [own[0].ids for own in written] == greedy


@pytest.mark.parametrize("number", range(len(NETWORKS)), ids=NAMES)
def test_an_engine_equals_its_network(tmp_path, cache, number):
    recipe_of, overrides = NETWORKS[number]
    task, network, columns = made(recipe_of(tmp_path / "data", *overrides))
    rows = np.arange(len(columns))[::-1].copy()
    if isinstance(task, WritingTask):
        for name, engine_of in ENGINES.items():
            assert_translates(task, network, columns, engine_of(task, network), name)
        return
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
            (per_example,) = outputs.keys() - {"transitions_KK", "start_K", "end_K", "positions_B"}
            found = list(outputs[per_example])
            wanted = [one[per_example][0] for one in expected]
            if per_example in ("logits_BTK", "values_BLM"):
                found = [one[:length] for one, length in zip(found, source.lengths_B.tolist(), strict=True)]
            if per_example == "log_probs_BSV":
                positions = [len(one) for one in wanted]
                assert outputs["positions_B"].tolist() == positions
                found = [one[:length] for one, length in zip(found, positions, strict=True)]
            for score in outputs.keys() - {per_example, "positions_B"}:
                np.testing.assert_array_equal(outputs[score], expected[0][score])
        assert np.ptp(np.concatenate(wanted), axis=0).max() > 0.1, "a network that says nothing"
        for one, other in zip(found, wanted, strict=True):
            np.testing.assert_allclose(one, other, rtol=1e-6, atol=ABSOLUTE, err_msg=name)
