"""Series as windows: scaled by what is trained on and by nothing else, never over the end of a split, and back again."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from tiny_series import hours, monthly, months, series_of, series_recipe, several, wave, write_table

from seqcli.data import arrays as data_arrays
from seqcli.errors import ExitCode, UserError
from seqcli.fields.series import SERIES_FILE, SeriesColumn, SeriesField, Window
from seqcli.pipeline.prepare import open_columns
from seqcli.recipe.fields import SeriesFieldConfig
from seqcli.tasks.base import new_task

SPLITS = ("train", "dev", "test")
TRANSFORMS = ("none", "log", "difference", "log-difference")


def opened(recipe):
    """``(task fitted to the training split, columns of all splits)``."""
    task = new_task(recipe)
    columns = open_columns(recipe, task, SPLITS)
    task.fit(columns["train"])
    return task, columns


def windows_of(recipe, split="train"):
    task, columns = opened(recipe)
    return task.data(columns[split]).windows


# -- splits by time


def test_the_scale_is_that_of_the_training_part(tmp_path, cache):
    values = wave(60)
    task, columns = opened(series_recipe(monthly(tmp_path / "a.csv", values)))
    trained = values.round(4)[:44]
    scale = np.stack([trained.mean(keepdims=True), trained.std(keepdims=True)])
    for split in SPLITS:
        np.testing.assert_allclose(SeriesColumn.of(columns[split]).scale_S2C[0], scale, rtol=1e-12)
    np.testing.assert_allclose(task.source.scale_S2C[0], scale, rtol=1e-12)


@pytest.mark.parametrize("options", [[], ["source.transform=log"], ["source.scaling=common"], ["source.missing=last"]])
def test_what_is_learned_does_not_see_dev_or_test(tmp_path, cache, options):
    """Their values and their times may be any: the training split, its scale and its calendar stay the same."""
    found = []
    for name, shift in (("a", 0.0), ("b", 1000.0)):
        values = wave(60)
        values[44:] += shift
        task, columns = opened(
            series_recipe(monthly(tmp_path / f"{name}.csv", values), "source.calendar=[month]", *options)
        )
        train = columns["train"]
        found.append(
            [np.asarray(train[one].values[:]).tolist() for one in ("source", "scale", "naive", "part")]
            + [task.source.scale_S2C.tolist(), task.source.yardsticks_S2C.tolist()]
        )
        assert len(train["source"].values) == 44
    assert found[0] == found[1]


def test_the_test_is_not_seen_by_dev_either(tmp_path, cache):
    _, columns = opened(series_recipe(monthly(tmp_path / "a.csv", wave(60))))
    assert [len(columns[split]["source"].values) for split in SPLITS] == [44, 52, 60]
    assert [SeriesColumn.of(columns[split]).part_S2.tolist() for split in SPLITS] == [[[0, 44]], [[44, 52]], [[52, 60]]]


@pytest.mark.parametrize(("look_back", "steps", "lead"), [(8, 4, 0), (1, 1, 0), (8, 8, 1), (5, 3, 1)])
def test_no_window_reaches_over_the_end_of_a_split_but_for_what_is_read(tmp_path, cache, look_back, steps, lead):
    """All windows there are: by their number, and their values are the steps of one series in a row."""
    options = [f"task.look_back={look_back}", f"task.steps={steps}", "source.scaling=none"]
    options += ["source.transform=difference"] if lead else []
    recipe = series_recipe(several(tmp_path / "a.csv"), *options)
    task, columns = opened(recipe)
    for split, bounds in (
        ("train", [(0, length - 16) for length in (60, 48, 72)]),
        ("dev", [(length - 16, length - 8) for length in (60, 48, 72)]),
        ("test", [(length - 8, length) for length in (60, 48, 72)]),
    ):
        windows = task.data(columns[split]).windows
        places = [*zip(*(one.tolist() for one in windows.places(np.arange(len(windows)))), strict=True)]
        expected = [
            (series, start)
            for series, (first, end) in enumerate(bounds)
            for start in range(max(first, look_back + lead), end - steps + 1)
        ]
        assert places == expected
        source, target = windows.sides(np.arange(len(windows)))
        for row, (series, start) in enumerate(places):
            values = wave((60, 48, 72)[series], seed=series, level=20 * 10**series).round(4)
            values = np.diff(values, prepend=np.nan) if lead else values
            tolerance = {"rtol": 1e-5, "atol": 1e-3}
            np.testing.assert_allclose(
                source.arrays["values_BLC"][row, :, 0], values[start - look_back : start], **tolerance
            )
            np.testing.assert_allclose(
                target.arrays["values_BKC"][row, :, 0], values[start : start + steps], **tolerance
            )


def test_a_file_of_its_own_is_measured_whole_on_the_scale_of_the_training(tmp_path, cache):
    train, dev = monthly(tmp_path / "train.csv", wave(40)), monthly(tmp_path / "dev.csv", wave(20, seed=5) + 100)
    recipe = series_recipe(train, "data.dev_steps=null", "data.test_steps=null", f"data.dev={dev}")
    task, columns = opened(recipe)
    windows = task.data(columns["dev"]).windows
    assert windows.places(np.array([0, len(windows) - 1]))[1].tolist() == [8, 16]
    mean, deviation = wave(40).round(4).mean(), wave(40).round(4).std()
    source, _ = windows.sides(np.array([0]))
    expected = ((wave(20, seed=5) + 100).round(4)[:8] - mean) / deviation
    np.testing.assert_allclose(source.arrays["values_BLC"][0, :, 0], expected, rtol=1e-5)
    np.testing.assert_allclose(windows.yardsticks(np.array([0]))[0], [[deviation]])


def test_arrays_too_large_to_be_mapped_give_the_same_windows(tmp_path, cache, monkeypatch):
    recipe = series_recipe(several(tmp_path / "a.csv"), "source.calendar=[month]")
    mapped = windows_of(recipe)
    monkeypatch.setattr(data_arrays, "MAPPED_BYTES", 0)
    read = windows_of(recipe)
    assert isinstance(read.column.values, data_arrays.DiskArray)
    rows = np.arange(0, len(mapped), 7)
    for one, other in zip(mapped.sides(rows), read.sides(rows), strict=True):
        for name, values in one.arrays.items():
            np.testing.assert_array_equal(values, other.arrays[name])


# -- scales and transforms, there and back


@given(
    values=arrays.arrays(np.float64, (2, 9, 2), elements=st.floats(0.01, 1e4)),
    transform=st.sampled_from(TRANSFORMS),
    mean=st.floats(-5, 5),
    deviation=st.floats(0.1, 10),
)
def test_what_is_scaled_comes_back(values, transform, mean, deviation):
    field = SeriesField(SeriesFieldConfig(transform=transform), None, Window(4, 2))  # type: ignore[call-arg]
    scale_B2C = np.broadcast_to(np.array([[mean] * 2, [deviation] * 2]), (2, 2, 2))
    scaled = field.scaled(values, scale_B2C).astype(np.float64)
    assert scaled.shape == (2, 9 - field.lead, 2)
    back = field.unscaled(scaled, scale_B2C, values[:, 0])
    largest = np.abs(values).max()
    np.testing.assert_allclose(back, values[:, field.lead :], rtol=1e-3, atol=1e-4 * largest * (mean + deviation + 10))
    quantiles = field.unscaled(np.stack([scaled, scaled], -1), scale_B2C, values[:, 0])
    np.testing.assert_allclose(quantiles, np.stack([back, back], -1))


def test_series_of_other_sizes_are_scaled_alike_unless_the_recipe_says_otherwise(tmp_path, cache):
    own = windows_of(series_recipe(several(tmp_path / "a.csv")))
    values = own.sides(np.arange(len(own)))[0].arrays["values_BLC"]
    assert np.abs(values).max() < 3
    common = windows_of(series_recipe(tmp_path / "a.csv", "source.scaling=common"))
    raw = [wave(length, seed=n, level=20 * 10**n).round(4)[:-16] for n, length in enumerate((60, 48, 72))]
    pooled = np.concatenate(raw)
    expected = (raw[2][:8] - pooled.mean()) / pooled.std()
    first = int(common.first_S[2])
    np.testing.assert_allclose(common.sides(np.array([first]))[0].arrays["values_BLC"][0, :, 0], expected, rtol=1e-4)


@pytest.mark.parametrize("scaling", ["series", "common"])
@pytest.mark.parametrize("transform", TRANSFORMS)
def test_transformed_values_have_mean_0_and_deviation_1(tmp_path, cache, transform, scaling):
    recipe = series_recipe(
        several(tmp_path / "a.csv"),
        f"source.transform={transform}",
        f"source.scaling={scaling}",
        "task.look_back=1",
        "task.steps=1",
    )
    task, columns = opened(recipe)
    windows = task.data(columns["train"]).windows
    values = windows.sides(np.arange(len(windows)))[1].arrays["values_BKC"][:, 0, 0]
    first = windows.sides(windows.first_S[:-1])[0].arrays["values_BLC"][:, 0, 0]
    parts = np.split(values, windows.first_S[1:-1])
    whole = [np.concatenate([[begin], part]) for begin, part in zip(first, parts, strict=True)]
    for part in whole if scaling == "series" else [np.concatenate(whole)]:
        assert (part.mean(), part.std()) == (pytest.approx(0, abs=1e-4), pytest.approx(1, abs=1e-4))


def test_a_constant_series_keeps_its_values(tmp_path, cache):
    task, columns = opened(series_recipe(monthly(tmp_path / "a.csv", np.full(60, 7.0))))
    windows = task.data(columns["train"]).windows
    assert windows.constant == 1
    assert not windows.sides(np.array([0]))[0].arrays["values_BLC"].any()
    (history,) = [task.source.read(series_of(np.full(20, 7.0)), "")]
    assert task.source.unscaled(np.zeros((1, 2, 1)), history.scale_2C[None], np.array([[7.0]])).ravel().tolist() == [
        7,
        7,
    ]


# -- the way of a prediction is that of the training


@pytest.mark.parametrize("transform", TRANSFORMS)
@pytest.mark.parametrize("scaling", ["series", "common", "none"])
def test_a_prediction_reads_what_training_reads(tmp_path, cache, transform, scaling):
    """The window before the test, once as a window of the split and once from the series that ends there."""
    recipe = series_recipe(
        several(tmp_path / "a.csv"),
        f"source.transform={transform}",
        f"source.scaling={scaling}",
        "source.calendar=[month, year-day]",
    )
    task, columns = opened(recipe)
    windows = task.data(columns["test"]).windows
    side, _ = windows.sides(windows.first_S[:-1])
    histories = [
        task.source.read(series_of(wave(length, seed=n, level=20 * 10**n).round(4)[:-8], f"s{n}"), "")
        for n, length in enumerate((60, 48, 72))
    ]
    alone = task.source.side(histories)
    for name, values in side.arrays.items():
        np.testing.assert_allclose(alone.arrays[name], values, rtol=1e-5, atol=1e-4)


def test_a_series_that_is_not_known_is_scaled_by_its_own_history(tmp_path, cache):
    task, _ = opened(series_recipe(several(tmp_path / "a.csv")))
    values = wave(30, level=5000)
    history = task.source.read(series_of(values, "new"), "")
    np.testing.assert_allclose(history.scale_2C.ravel(), [values.mean(), values.std()])


def test_what_was_learned_is_saved_and_loaded(tmp_path, cache):
    recipe = series_recipe(several(tmp_path / "a.csv"), "source.transform=log")
    task, _ = opened(recipe)
    assert task.save(tmp_path) == [SERIES_FILE]
    again = new_task(recipe)
    again.load(tmp_path)
    assert again.source.names == task.source.names == {"s0": 0, "s1": 1, "s2": 2}
    np.testing.assert_array_equal(again.source.scale_S2C, task.source.scale_S2C)
    np.testing.assert_array_equal(again.source.yardsticks_S2C, task.source.yardsticks_S2C)
    assert (again.source.columns, again.source.frequency, again.source.season) == (["y"], "1 month", 12)
    assert again.sizes() == task.sizes()


@pytest.mark.parametrize("damage", ["cut", "scale", "columns"])
def test_a_damaged_file_is_refused(tmp_path, cache, damage):
    recipe = series_recipe(several(tmp_path / "a.csv"))
    task, _ = opened(recipe)
    path = tmp_path / SERIES_FILE
    if damage == "scale":
        task.source.scale_S2C = task.source.scale_S2C * np.nan
    elif damage == "columns":
        task.source.columns = ["y", "z"]
    task.save(tmp_path)
    if damage == "cut":
        path.write_bytes(path.read_bytes()[:-9])
    again = new_task(recipe)
    with pytest.raises(UserError) as caught:
        again.load(tmp_path)
    assert caught.value.code == ExitCode.DATA
    assert caught.value.file == str(path)


# -- features


def test_calendar_and_known_columns_stand_beside_the_steps_read_and_to_come(tmp_path, cache):
    price = np.arange(72.0)
    path = monthly(tmp_path / "a.csv", wave(72), price=price)
    recipe = series_recipe(path, "source.known=[price]", "source.calendar=[month]")
    task, columns = opened(recipe)
    assert task.source.columns == ["y"]
    assert task.sizes().features == 3
    windows = task.data(columns["train"]).windows
    features = windows.sides(np.array([3]))[0].arrays["features_BSF"][0]
    assert features.shape == (12, 3)
    trained = price[:56]
    np.testing.assert_allclose(features[:, 0], (price[3:15] - trained.mean()) / trained.std(), rtol=1e-5)
    month = np.arange(3, 15) % 12
    np.testing.assert_allclose(features[:, 1], np.sin(2 * np.pi * month / 12), atol=1e-6)
    np.testing.assert_allclose(features[:, 2], np.cos(2 * np.pi * month / 12), atol=1e-6)


def test_the_future_of_a_known_column_is_read_behind_the_last_value(tmp_path, cache):
    path = monthly(tmp_path / "a.csv", wave(72), price=np.arange(72.0))
    task, _ = opened(series_recipe(path, "source.known=[price]"))
    values = np.stack([wave(24), np.arange(24.0)], 1)
    values[20:, 0] = np.nan
    history = task.source.read(series_of(values, "", None, "y", "price"), "")
    assert len(history.values_TC) == 20
    scale = task.source.scale_S2C[0, :, 1]
    np.testing.assert_allclose(history.features_SF[:, 0], (np.arange(12.0, 24) - scale[0]) / scale[1], rtol=1e-5)
    assert history.times_A.astype("datetime64[M]").tolist() == months(24)[20:].tolist()
    with pytest.raises(UserError, match="known for 3 steps ahead, and the forecast takes 4"):
        task.source.read(series_of(values[:23], "", None, "y", "price"), "")


# -- missing values


def gappy():
    values = wave(72)
    values[[0, 5, 6, 50, 60, 70]] = np.nan
    return values


def test_missing_values_are_refused_with_their_place_unless_the_recipe_says_otherwise(tmp_path, cache):
    recipe = series_recipe(monthly(tmp_path / "a.csv", gappy()))
    with pytest.raises(UserError, match=r"a value is missing \(4 values in all; the first in step 1, column 1\)"):
        opened(recipe)


def test_missing_values_become_the_last_one_and_are_not_predicted(tmp_path, cache):
    task, columns = opened(series_recipe(monthly(tmp_path / "a.csv", gappy()), "source.missing=last"))
    windows = task.data(columns["train"]).windows
    assert windows.missing == 4
    source, target = windows.sides(np.array([0, 42]))
    read = source.arrays["values_BLC"][0, :, 0]
    assert np.isfinite(source.arrays["values_BLC"]).all()
    assert read[0] == read[1]
    assert read[5] == read[6] == read[4]
    assert np.isnan(target.arrays["values_BKC"][1, :, 0]).tolist() == [True, False, False, False]
    gold, last = windows.original(np.array([42]))
    assert np.isnan(gold[0, :, 0]).tolist() == [True, False, False, False]
    assert last[0, 0] == pytest.approx(gappy()[49], abs=1e-4)
    assert task.notices("train", task.data(columns["train"]))[-1] == "train: filled 4 missing values"
    history = task.source.read(series_of(gappy()), "")
    assert task.source.filled == 6
    assert np.isfinite(history.values_TC).all()


def test_masked_values_stay_missing(tmp_path, cache):
    task, columns = opened(series_recipe(monthly(tmp_path / "a.csv", gappy()), "source.missing=mask"))
    windows = task.data(columns["train"]).windows
    assert task.sizes().gaps
    assert np.isnan(windows.sides(np.array([0]))[0].arrays["values_BLC"][0, :, 0]).tolist() == [
        step in (0, 5, 6) for step in range(8)
    ]
    trained = gappy().round(4)[:56]
    np.testing.assert_allclose(task.source.scale_S2C[0, :, 0], [np.nanmean(trained), np.nanstd(trained)])


# -- what is refused


def message(field, series):
    with pytest.raises(UserError) as caught:
        field.read(series, "")
    assert caught.value.code == ExitCode.DATA
    return str(caught.value)


def test_what_a_model_does_not_read_is_said_with_both_sides(tmp_path, cache):
    task, _ = opened(series_recipe(monthly(tmp_path / "a.csv")))
    field = task.source
    assert message(field, "text") == (
        "this recipe reads series, and here are none. Set data.format: series, or take another task."
    )
    assert message(field, series_of(np.ones((20, 2)), "", None, "a", "b")) == (
        "no column 'y': the columns are a, b, and the model reads y"
    )
    assert message(field, series_of(np.ones(5))) == "5 steps, and the model reads 8"
    assert message(field, series_of(np.ones(20), "", hours(20))) == (
        "steps of 1 hour, but the model was trained on steps of 1 month"
    )


def test_a_logarithm_needs_values_above_zero(tmp_path, cache):
    values = wave(72)
    values[3] = 0
    with pytest.raises(UserError, match=r"0 has no logarithm \(step 4, column 1\)"):
        opened(series_recipe(monthly(tmp_path / "a.csv", values), "source.transform=log"))


def test_columns_that_are_not_there_are_said_with_those_that_are(tmp_path, cache):
    path = monthly(tmp_path / "a.csv", wave(72), z=np.ones(72))
    for options in (["source.columns=[x]"], ["target.columns=[x]"], ["source.known=[x]"]):
        with pytest.raises(UserError, match="no column 'x': the columns are y, z, and the recipe names"):
            opened(series_recipe(path, *options))


def test_a_calendar_needs_times(tmp_path, cache):
    path = write_table(tmp_path / "a.csv", {"y": wave(72).round(3), "z": wave(72, seed=1).round(3)})
    with pytest.raises(UserError, match="calendar needs a column of times"):
        opened(series_recipe(path, "source.calendar=[hour]"))


def test_a_series_too_short_for_its_parts_and_one_too_short_for_a_window(tmp_path, cache):
    with pytest.raises(UserError, match="fewer than the 17 it is divided into"):
        opened(series_recipe(monthly(tmp_path / "a.csv", wave(16))))
    task, columns = opened(series_recipe(monthly(tmp_path / "b.csv", wave(26))))
    with pytest.raises(
        UserError, match="8 steps that are read and 4 that are predicted, and the longest series has 10"
    ):
        task.data(columns["train"])


def test_of_several_series_the_short_ones_give_no_window_and_are_counted(tmp_path, cache):
    task, columns = opened(series_recipe(several(tmp_path / "a.csv", (60, 20, 72))))
    data = task.data(columns["train"])
    assert data.windows.empty == 1
    assert "train: 1 of them are too short for a window" in task.notices("train", data)
