"""Frames: the scaling of the training split, what does not fit, and networks that make fewer positions of them."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from columns import column_of

from seqcli.data.batch import Batch, LabelSpace, Side, pad_ids
from seqcli.engines.onnx_engine import OnnxEngine
from seqcli.engines.onnx_write import graph_of
from seqcli.errors import ExitCode, UserError
from seqcli.fields import frames as frames_module
from seqcli.fields.frames import FrameField
from seqcli.models.labeller import Labeller
from seqcli.models.network import Memory
from seqcli.recipe.fields import FrameFieldConfig
from seqcli.recipe.models import NetworkConfig


def sequences(lengths, channels=2, seed=0):
    random = np.random.default_rng(seed)
    return [random.normal(3, 2, (length, channels)).astype(np.float32) for length in lengths]


def fitted(raws, **options):
    field = FrameField(FrameFieldConfig.model_validate(options))
    field.fit(column_of(raws), ["train.ts"])
    return field


# -- scaling


@pytest.mark.parametrize("at_once", [3, 2**18])
def test_mean_and_deviation_of_every_channel(monkeypatch, at_once):
    monkeypatch.setattr(frames_module, "_AT_ONCE", at_once)
    raws = sequences([4, 1, 9])
    raws[0][1, 0] = raws[2][5, 1] = np.nan
    mean, deviation = fitted(raws, missing="mask").scaling
    joined = np.concatenate(raws)
    np.testing.assert_allclose(mean, np.nanmean(joined, 0), rtol=1e-6)
    np.testing.assert_allclose(deviation, np.nanstd(joined, 0), rtol=1e-5)


@pytest.mark.parametrize(("value", "mean"), [(5.0, 5.0), (0.0, 0.0), (1e6, 1e6), (np.nan, 0.0)])
def test_a_channel_that_tells_nothing(value, mean):
    raws = [np.stack([np.full(3, value), np.arange(3) + number], 1).astype(np.float32) for number in range(3)]
    found = fitted(raws, missing="mask").scaling
    assert (found[0][0], found[1][0]) == (mean, 1)


def test_tiny_values_are_scaled_too():
    """Amperes of a nerve are 1e-9: that is a signal, not a channel that stands still."""
    raws = [frames * np.float32(1e-9) for frames in sequences([5, 6])]
    np.testing.assert_allclose(fitted(raws).scaling[1], np.concatenate(raws).std(0), rtol=1e-4)


def test_without_scaling_the_frames_stay_as_they_are():
    assert fitted(sequences([3]), scaling="none").sizes().scaling is None


# -- what does not fit


def test_other_channels():
    field = fitted(sequences([3]))
    message = "frames of 3 channels, but the model was trained on 2"
    for wrong in (
        lambda: field.read(sequences([2], 3)[0], "dev.ts:4"),
        lambda: field.over(column_of(sequences([2], 3)), ["dev.ts:4"]),
    ):
        with pytest.raises(UserError) as caught:
            wrong()
        assert (str(caught.value), caught.value.code) == (f"dev.ts:4: {message}", ExitCode.DATA)


def test_what_is_no_sequence_of_frames():
    field = FrameField(FrameFieldConfig.model_validate({}))
    gap = sequences([3])[0]
    gap[2, 1] = np.nan
    for value, message in (
        (["a"], "x:3: this recipe reads frames, and here are none"),
        (
            gap,
            "x:3: a value is missing (frame 2, channel 1, both counted from 0). Set 'missing: mask' in the recipe's source",
        ),
    ):
        with pytest.raises(UserError) as caught:
            field.read(value, "x:3")
        assert str(caught.value).startswith(message)
    assert FrameField(FrameFieldConfig.model_validate({"missing": "mask"})).read(gap, "x:3") is gap


def test_saved_and_loaded(tmp_path):
    field = fitted(sequences([3], 4))
    assert field.save(tmp_path) == ["frames.json"]
    again = FrameField(field.config)
    again.load(tmp_path)
    assert (again.channels, again.summary()) == (4, {"channels": 4})
    for damage in ("{", "[]", '{"channels": "many"}', "{}"):
        (tmp_path / "frames.json").write_text(damage)
        with pytest.raises(UserError, match="the number of channels cannot be read") as caught:
            again.load(tmp_path)
        assert caught.value.code == ExitCode.DATA


# -- rows


@pytest.mark.parametrize("flat", [False, True])
def test_a_column_and_arrays_have_the_same_rows(flat):
    raws = sequences([3, 1, 5])
    field = FrameField(FrameFieldConfig.model_validate({}), flat=flat)
    field.fit(column_of(raws), [])
    rows = np.array([2, 0, 1])
    one, other = field.over(column_of(raws), []).side(rows), field.side([raws[row] for row in rows])
    assert one.lengths_B.tolist() == other.lengths_B.tolist() == [5, 3, 1]
    for name, values in one.arrays.items():
        np.testing.assert_array_equal(values, other.arrays[name])
    if flat:
        np.testing.assert_array_equal(one.arrays["values"], np.concatenate([raws[row] for row in rows]))


# -- positions


def labeller(kernel, stride, encoder):
    config = NetworkConfig.model_validate(
        {
            "embedder": {"kind": "frames", "dim": 6, "kernel": kernel, "stride": stride},
            "encoder": encoder,
            "head": {"kind": "softmax"},
        }
    )
    torch.manual_seed(1)
    field = fitted(sequences([6, 6]))
    return field, Labeller(config, field.sizes(), LabelSpace(3)).eval()


@pytest.mark.parametrize("encoder", [{"kind": "lstm", "dim": 5}, {"kind": "cnn", "filters": 4, "widths": [3]}])
@pytest.mark.parametrize(("kernel", "stride"), [(1, 1), (3, 2), (1, 3), (4, 3)])
def test_a_network_labels_the_positions_that_its_embedder_leaves(kernel, stride, encoder):
    """Where frames are taken together there are fewer labels than frames; padding changes none of them."""
    field, network = labeller(kernel, stride, encoder)
    raws = sequences([7, 4, 1], seed=3)
    positions = [-(-len(frames) // stride) for frames in raws]
    source = field.side(raws)
    with torch.inference_mode():
        assert network.embedder.positions(torch.from_numpy(source.lengths_B)).tolist() == positions
        whole = network(source)["logits_BTK"].numpy()
        alone = [network(field.side([frames]))["logits_BTK"][0].numpy() for frames in raws]
    assert whole.shape == (3, max(positions), 3)
    graph = OnnxEngine(graph_of(network).SerializeToString()).outputs(source)["logits_BTK"]
    for row, (count, one) in enumerate(zip(positions, alone, strict=True)):
        assert one.shape == (count, 3)
        np.testing.assert_allclose(whole[row, :count], one, atol=1e-5)
        np.testing.assert_allclose(graph[row, :count], one, atol=1e-5)
    labels = np.random.default_rng(2).integers(0, 3, sum(positions))
    target = Side({"ids_BT": pad_ids(labels, np.array(positions))}, np.array(positions))
    loss = network.loss(Batch(source, target, np.arange(3)), Memory())
    assert loss.targets == sum(positions)
    log_probs = torch.log_softmax(torch.from_numpy(np.concatenate(alone)), -1)
    expected = -log_probs[torch.arange(len(labels)), torch.from_numpy(labels)].sum()
    assert loss.sum.item() == pytest.approx(expected.item(), abs=1e-4)
