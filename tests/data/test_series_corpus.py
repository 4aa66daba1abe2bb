"""Splits of series in time, the encoded columns they end in, and what the verbs of data say of them."""

import numpy as np
import pytest

from seqcli.data import catalogue
from seqcli.data.corpus import open_corpus
from seqcli.data.fetch.obtain import obtain
from seqcli.data.series import Series, Steps
from seqcli.data.series_statistics import describe_series
from seqcli.errors import UserError
from seqcli.recipe.data import DataConfig

MONTHS = [str(month) for month in np.arange("2000-01", "2010-01", dtype="datetime64[M]")]


def table(tmp_path, steps=120, name="x.csv", values=lambda step: step):
    path = tmp_path / name
    path.write_text("month,y\n" + "".join(f"{MONTHS[step]},{values(step)}\n" for step in range(steps)))
    return str(path)


def series(length, name=""):
    return Series(name, ("y",), np.zeros((length, 1)))


def opened(**data):
    return open_corpus(DataConfig(**data), series=True)


@pytest.mark.parametrize(
    ("data", "parts"),
    [
        ({"dev_steps": 12, "test_steps": 24}, {"train": (0, 84), "dev": (84, 96), "test": (96, 120)}),
        ({"test_steps": 24}, {"train": (0, 96), "test": (96, 120)}),
        ({"dev_steps": 12}, {"train": (0, 108), "dev": (108, 120)}),
        (
            {"train_steps": 60, "dev_steps": 20, "test_steps": 20},  # as ETTh1's: what is behind them is not used
            {"train": (0, 60), "dev": (60, 80), "test": (80, 100)},
        ),
        ({"dev_steps": 12, "test_steps": 24, "train_on_dev": True}, {"train": (0, 96), "test": (96, 120)}),
        ({"train_steps": 50}, {"train": (0, 50)}),
    ],
)
def test_splits_are_later_steps_of_the_training_series(tmp_path, data, parts):
    corpus = opened(train=table(tmp_path), **data)
    assert corpus.splits == tuple(parts)
    for split, part in parts.items():
        (example,) = corpus.examples(split)
        assert len(example.source) == 120
        assert corpus.steps.part(split, example.source, example.at) == part
        assert corpus.files(split) == corpus.files("train")


def test_a_file_of_its_own_is_measured_whole(tmp_path):
    corpus = opened(train=table(tmp_path), test=table(tmp_path, 30, "t.csv"), dev_steps=12)
    assert corpus.splits == ("train", "dev", "test")
    (example,) = corpus.examples("test")
    assert len(example.source) == 30
    assert corpus.steps.part("test", example.source, example.at) == (0, 30)
    assert corpus.steps.part("train", series(120), "x:1") == (0, 108)


def test_one_split_alone_is_found_in_the_training_file(tmp_path):
    data = DataConfig(train=table(tmp_path), dev_steps=12, test_steps=24)
    corpus = open_corpus(data, splits=("test",), series=True)
    assert "test" in corpus.splits
    assert len([*corpus.examples("test")]) == 1


def test_the_division_is_part_of_the_fingerprint(tmp_path):
    path = table(tmp_path)
    prints = [
        opened(train=path, **data).fingerprint(split)
        for data in ({}, {"test_steps": 24}, {"test_steps": 12}, {"dev_steps": 12, "test_steps": 12})
        for split in opened(train=path, **data).splits
    ]
    prints += [
        opened(train=path, **data).fingerprint("train")
        for data in ({"missing": [3]}, {"gaps": "fill"}, {"frequency": "month"})
    ]
    assert len({*prints}) == len(prints) == 11


@pytest.mark.parametrize(
    ("steps", "length", "message"),
    [
        (Steps(None, 24, 24), 48, "x.csv:7: the series 'a' has 48 steps, fewer than the 49 it is divided into: 1 for "
         "training, 24 for dev, 24 for the test. Set data.train_steps, data.dev_steps, data.test_steps."),
        (Steps(40, None, 9), 48, "x.csv:7: the series 'a' has 48 steps, fewer than the 49 it is divided into: 40 for "
         "training, 9 for the test. Set data.train_steps, data.dev_steps, data.test_steps."),
    ],
)  # fmt: skip
def test_a_series_that_is_too_short_is_named(steps, length, message):
    for split in ("train", "test"):
        with pytest.raises(UserError) as caught:
            steps.part(split, series(length, "a"), "x.csv:7")
        assert (str(caught.value), caught.value.code) == (message, 65)
        steps.part(split, series(length + 1, "a"), "x.csv:7")


def test_a_data_set_with_files_for_a_split_is_not_divided():
    with pytest.raises(UserError) as caught:
        open_corpus(DataConfig(corpus="sines", test_steps=10), series=True)
    assert str(caught.value) == "data.test_steps: 'sines' has test files of its own. Leave it out."
    assert caught.value.code == 2


def test_texts_are_not_divided_in_time(tmp_path):
    (tmp_path / "x.txt").write_text("a b c\n")
    with pytest.raises(UserError) as caught:
        open_corpus(DataConfig(train=str(tmp_path / "x.txt"), dev_steps=10))
    assert str(caught.value) == (
        "data.dev_steps: series are divided so, and this is text. Set data.dev_share, or give files."
    )


def test_names_with_braces_are_series_that_go_on(tmp_path):
    (tmp_path / "h-train.csv").write_text("id,V1,V2\na,1,2\n")
    (tmp_path / "h-test.csv").write_text("id,V1\na,3\n")
    corpus = opened(train=str(tmp_path / "h-{train,test}.csv"), test_steps=1)
    (example,) = corpus.examples("test")
    assert example.source.values_TC.ravel().tolist() == [1, 2, 3]
    assert corpus.split("train").reading.format == "series-rows"
    assert corpus.size("train") == sum(path.stat().st_size for path in tmp_path.iterdir())


# -- statistics and lint, through the shell


def test_stats_of_a_table(tmp_path, seqcli):
    path = table(tmp_path, 24, values=lambda step: "" if step == 3 else 2 * step)
    result = seqcli("data", "stats", path)
    assert (result.err, result.code) == (f"{path}: read as series with a header, time: 'month', values: 'y'\n", 0)
    lines = [line.split() for line in result.out.split("\n")]
    assert ["steps", "24"] in lines
    assert ["missing", "values", "4.17%"] in lines
    assert ["frequency", "1", "month"] in lines
    assert ["season", "of", "it,", "in", "steps", "12"] in lines
    assert ["first", "time", "2000-01-01"] in lines
    assert ["last", "time", "2001-12-01"] in lines
    values = [2.0 * step for step in range(24) if step != 3]
    assert ["y", f"{np.mean(values):.5g}", f"{np.std(values):.5g}", "0", "46", "4.17%"] in lines


def test_statistics_add_up_over_series(tmp_path):
    random = np.random.default_rng(0)
    path = tmp_path / "x.csv"
    rows = [(name, step, value) for name in "abc" for step, value in enumerate(random.normal(5, 2, 40))]
    path.write_text(
        "id,V\n" + "".join(f"{name},{','.join(str(v) for n, _, v in rows if n == name)}\n" for name in "abc")
    )
    (split,) = [opened(train=str(path)).split("train")]
    (found,) = describe_series([split])
    values = np.array([value for _, _, value in rows])
    assert (found.series, found.steps, found.lengths["p50"]) == (3, 120, 40)
    assert found.columns["value"].mean == pytest.approx(values.mean())
    assert found.columns["value"].deviation == pytest.approx(values.std())
    assert (found.columns["value"].least, found.columns["value"].greatest) == (values.min(), values.max())


def test_lint_names_what_is_odd(tmp_path, seqcli):
    path = tmp_path / "x.csv"
    days = np.arange("2020-01-01", "2020-04-10", dtype="datetime64[D]")
    rows = []
    for step, day in enumerate(days):
        x = "" if 20 <= step < 50 else step % 7
        y = -999 if step in (60, 61) else step % 5
        rows.append(f"{day},{x},{y},4\n")
    path.write_text("date,x,y,z\n" + "".join(rows))
    result = seqcli("data", "lint", str(path))
    assert (result.out, result.code) == ("", 0)
    assert f"note: {path}:2: the column 'x': 30 values in a row are missing, from 2020-01-21" in result.err
    assert "the column 'y' jumps from 4 to -999 at 2020-03-01, 251 times as far" in result.err
    assert "is -999 a missing value? (data.missing)" in result.err
    assert "the column 'z' is 4 in every step" in result.err
    path.write_text("date,x\n" + "".join(f"{day},{step}\n" for step, day in enumerate(days) if step != 8))
    result = seqcli("data", "lint", str(path))
    assert (result.out, result.code) == (
        f"{path}:10: unequal steps in time: from '2020-01-08' to '2020-01-10' is not 1 day\n",
        65,
    )
    assert seqcli("data", "lint", str(path), "--gaps", "fill").code == 0
    result = seqcli("data", "lint", str(path), "--missing", "1,x")
    assert (result.err, result.code) == ("error: --missing: numbers with commas between, not '1,x'\n", 2)


def test_a_table_of_series_has_no_tags(tmp_path, seqcli):
    path = table(tmp_path)
    result = seqcli("data", "convert", path, "--to", "bio")
    assert (result.err, result.code) == (
        f"error: '{path}' holds series, which have no tag scheme. Name a CoNLL file.\n",
        2,
    )


# -- the catalogue


def test_sines_are_made_here_and_always_the_same(tmp_path, monkeypatch):
    monkeypatch.setenv("SEQCLI_CACHE", str(tmp_path))
    monkeypatch.setenv("SEQCLI_MIRROR", "")
    obtain(catalogue.data_set("sines"), "test.csv")  # its checksum is that of the catalogue
    corpus = open_corpus(DataConfig(corpus="sines"))
    counts = [sum(1 for _ in corpus.examples(split)) for split in corpus.splits]
    assert counts == [7000, 2000, 1000]
    values = np.stack([example.source.values_TC[:, 0] for example in corpus.examples("test")])
    assert values.shape == (1000, 60)
    # .5**2 / 2 + .2**2 / 2 + .1**2 / 12, the power of two sines and of the noise
    assert values.var() == pytest.approx(0.1458, rel=0.03)


@pytest.mark.mirror
@pytest.mark.parametrize(
    ("name", "count", "steps", "columns", "frequency", "missing"),
    [
        ("airline-passengers", 1, 144, 1, "1 month", 0),
        ("monthly-sunspots", 1, 2820, 1, "1 month", 0),
        ("daily-min-temperatures", 1, 3650, 1, "1 day", 0),
        ("etth1", 1, 17420, 7, "1 hour", 0),
        ("m4-hourly", 414, 373372, 1, "1 hour", 0),
        ("air-quality-uci", 1, 9357, 13, "1 hour", 16701),
        ("pollution", 1, 43824, 7, "1 hour", 2067),
    ],
)
def test_data_sets_of_series_are_read_as_published(mirror, name, count, steps, columns, frequency, missing):
    corpus = open_corpus(DataConfig(corpus=name))
    found = [example.source for example in corpus.examples("train")]
    assert (len(found), sum(map(len, found)), {len(one.columns) for one in found}) == (count, steps, {columns})
    assert {one.frequency for one in found} == {frequency}
    assert sum(int(np.isnan(one.values_TC).sum()) for one in found) == missing


@pytest.mark.mirror
def test_stays_are_48_hours_of_37_variables(mirror, tmp_path, monkeypatch):
    monkeypatch.setenv("SEQCLI_CACHE", str(tmp_path))
    corpus = open_corpus(DataConfig(corpus="physionet2012-a"), splits=("dev",))
    stays = [example.source for example in corpus.examples("dev")]
    assert len(stays) == 400
    assert {(len(one), len(one.columns)) for one in stays} == {(48, 37)}
