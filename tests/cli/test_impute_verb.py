"""The verb impute at the prompt: the same file with its gaps filled, to the byte."""

from __future__ import annotations

import gzip
import json
import shutil
from pathlib import Path

import pytest
from tiny import run_inside, run_outside, trained_run
from tiny_gaps import COUNTS, gap_recipe, gap_table
from tiny_series import hours, series_recipe, wave, write_table

TABLE = """time,a,b,c
2001-01-01T00:00:00,20.6,10,x
2001-01-01T01:00:00,,12,
2001-01-01T02:00:00,22,NA,z
2001-01-01T03:00:00,23,-99,z
2001-01-01T04:00:00,24,18.25,z
"""
FILLED = """time,a,b,c
2001-01-01T00:00:00,20.6,10,x
2001-01-01T01:00:00,21.3,12,
2001-01-01T02:00:00,22,14.08,z
2001-01-01T03:00:00,23,16.17,z
2001-01-01T04:00:00,24,18.25,z
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("imputer")
    path = gap_table(folder / "a.csv")
    lines = "model={kind: interpolation}", "data.missing=[-99]"
    trained_run(gap_recipe(path, "name=lines", *lines), folder)
    trained_run(gap_recipe(path, "name=rows", COUNTS, "data.gaps=fill"), folder)
    trained_run(gap_recipe(path, "name=first", COUNTS, "target.columns=[a]"), folder)
    trained_run(gap_recipe(path), folder)
    return folder


@pytest.fixture
def here(folder, tmp_path, monkeypatch):
    shutil.copytree(folder / "runs", tmp_path / "runs")
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("SEQCLI_RUNS", raising=False)
    return tmp_path


def test_the_same_file_with_its_gaps_filled(here):
    found = run_inside("impute", "lines", stdin=TABLE.encode())
    assert found == (0, FILLED, "filled 3 values (a 1, b 2)\n")
    Path("t.csv").write_text(TABLE)
    Path("t.csv.gz").write_bytes(gzip.compress(TABLE.encode()))
    for file in ("t.csv", "t.csv.gz"):
        assert run_inside("impute", "lines", file, "-q") == (0, FILLED, "")


def test_a_column_says_what_was_filled(here):
    marked = [
        "time,a,b,c,filled",
        "2001-01-01T00:00:00,20.6,10,x,",
        "2001-01-01T01:00:00,21.3,12,,a",
        "2001-01-01T02:00:00,22,14.08,z,b",
        "2001-01-01T03:00:00,23,16.17,z,b",
        "2001-01-01T04:00:00,24,18.25,z,",
    ]
    assert run_inside("impute", "lines", "-q", "--mark", stdin=TABLE.encode()).out.splitlines() == marked


@pytest.mark.parametrize(
    "change",
    [
        lambda text: text.replace("\n", "\r\n"),
        lambda text: text.replace(",", ";"),
        lambda text: text.replace(",", "\t"),
        lambda text: "\ufeff" + text,
        lambda text: text.rstrip("\n"),
        lambda text: text.replace("\n", "\n\n"),
        lambda text: text.replace("2001-01-01T", '"2001-01-01 ').replace(":00:00", ':00:00"').replace("time", '"time"'),
        lambda text: text.replace("2001-01-01T", "1/1/2001 "),
    ],
    ids=["crlf", "semicolons", "tabs", "bom", "no-end", "blank-lines", "quotes", "other-dates"],
)
def test_every_other_byte_stays(here, change):
    found = run_outside("impute", "lines", "-q", stdin=change(TABLE).encode())
    assert found == (0, change(FILLED), "")


def test_a_sentinel_in_quotes_and_spaces_round_a_cell(here):
    text = TABLE.replace("-99", '"-99"').replace(",NA,", ", NA ,")
    expected = FILLED.replace("16.17", '"16.17"').replace(",14.08,", ", 14.08 ,")
    assert run_inside("impute", "lines", "-q", stdin=text.encode()).out == expected


def test_steps_that_a_file_leaves_out_get_rows(here):
    rows = TABLE.replace("-99", "").splitlines(keepends=True)
    without = "".join(rows[:2] + rows[3:])
    code, out, err = run_inside("impute", "rows", stdin=without.encode())
    assert (code, err) == (0, "filled 4 values (a 1, b 3); added 1 row\n")
    assert out.splitlines()[2] == "2001-01-01T01:00:00,21.3,12.06,"
    assert len(out.splitlines()) == 6
    marked = run_inside("impute", "rows", "-q", "--mark", stdin=without.encode()).out.splitlines()
    assert [row.rpartition(",")[2] for row in marked] == ["filled", "", "a;b", "b", "b", ""]
    refused = run_inside("impute", "lines", stdin=without.encode())
    assert refused.code == 65
    assert "unequal steps in time" in refused.err


def test_columns_that_the_model_does_not_fill_stay(here):
    code, out, err = run_inside("impute", "first", stdin=TABLE.replace("-99", "").encode())
    assert (code, out) == (0, TABLE.replace("-99", "").replace(":00,,12", ":00,21.3,12"))
    assert err == "filled 1 value\nleft as they are: 2 gaps in columns that first@1 does not fill\n"


def test_json_has_all_values(here):
    (document,) = map(json.loads, run_inside("impute", "lines", "-q", "--json", stdin=TABLE.encode()).out.splitlines())
    assert document["a"] == pytest.approx([20.6, 21.3, 22, 23, 24])
    assert document["filled"] == {"a": 1, "b": 2}


def test_series_side_by_side_and_lines_of_series(here):
    rows = [f"{name},{row}" for row in TABLE.replace("-99", "").splitlines()[1:] for name in ("x", "y")]
    text = "id,time,a,b,c\n" + "\n".join(rows) + "\n"
    expected = [f"{name},{row}" for row in FILLED.splitlines()[1:] for name in ("x", "y")]
    assert run_inside("impute", "lines", "-q", stdin=text.encode()).out.splitlines()[1:] == expected


def test_a_line_for_each_series(here, cache):
    lines = [f"s{number}," + ",".join(f"{value:.2f}" for value in wave(40, seed=number)) for number in range(6)]
    Path("lines.csv").write_text("\n".join(lines) + "\n")
    recipe = gap_recipe(
        "lines.csv", "name=short", COUNTS, "data.format=series-rows", "source.calendar=[]", "data.test_steps=12"
    )
    trained_run(recipe, here)
    assert (
        run_inside("impute", "short", "-q", stdin=b"s0,1.5,,2.5,4.25\ns9,,7,8\n").out
        == "s0,1.5,2.00,2.5,4.25\ns9,7,7,8\n"
    )
    refused = run_inside("impute", "short", "-q", "--mark", stdin=b"s0,1.5,,2.5,4\n")
    assert (refused.code, refused.out) == (2, "")
    assert "--mark: lines of series have no columns" in refused.err


def test_the_newest_imputer_is_taken_and_no_other_model(here, cache):
    trained_run(series_recipe(write_table(here / "w.csv", {"time": hours(72), "y": wave(72)})), here)
    Path("t.csv").write_text(TABLE)
    code, out, err = run_inside("impute", "t.csv", "--json")
    assert (code, err.splitlines()[0]) == (0, "using gaps@1")
    refused = run_inside("impute", "waves", "t.csv")
    assert refused.code == 2
    assert "waves@1" in refused.err
    assert out


@pytest.mark.parametrize(
    ("text", "code", "message"),
    [
        ("", 65, "error: <stdin>: no series: the file is empty\n"),
        ("time,a,c\n2001-01-01,1,2\n2001-01-02,1,2\n", 65, "the columns are a, c, and the model reads a, b"),
        (TABLE.replace("22", "2x2"), 65, "error: <stdin>:4: '2x2' in the column 'a' is no number\n"),
        (TABLE.replace("22", "inf"), 65, "error: <stdin>:4: 'inf' in the column 'a' is infinite\n"),
        ("time,a,b\n2001-01-01,1,2\n2001-01-01,1,2\n2001-01-02,1,2\n", 65, "the time '2001-01-01' is there twice"),
        (
            "time,a,b\n2001-01-01,1,2\n2001-02-01,1,2\n2001-03-01,1,2\n",
            65,
            "steps of 1 month, but the model was trained",
        ),
    ],
)
def test_bad_input_is_one_line(here, text, code, message):
    found = run_inside("impute", "lines", stdin=text.encode())
    assert (found.code, found.out) == (code, "")
    assert message in found.err
    assert len(found.err.splitlines()) == 1


def test_evaluate_shows_every_way_to_hide(here):
    found = run_inside("evaluate", "gaps")
    assert found.code == 0
    assert found.out.startswith("MAE, standardised = ")
    assert "MAE std, hidden       10% of points  50% of points" in found.out
    for row in ("gaps@1 ", "last value ", "linear interpolation ", "median "):
        assert sum(line.startswith(row) for line in found.out.splitlines()) == 2


def test_no_torch_and_no_pandas_where_a_model_only_fills(here):
    code = (
        "import sys; from seqcli.cli.app import main\n"
        "try: main(['impute', 'gaps', '-q', 't.csv'])\n"
        "except SystemExit: pass\n"
        "assert not {'torch', 'pandas', 'statsforecast', 'scipy'} & {*sys.modules}, {*sys.modules}"
    )
    import subprocess
    import sys

    Path("t.csv").write_text(TABLE)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=here)
    assert (done.returncode, done.stderr) == (0, "")
    assert len(done.stdout.splitlines()) == 6
