"""``forecast``: a table in, its columns and the times that go on out; bands, pictures, stdin; and what is refused."""

from __future__ import annotations

import csv
import io
import json
import shutil

import numpy as np
import pytest
from tiny import run_inside, run_outside, trained_run
from tiny_series import monthly, months, series_of, series_recipe, several, wave, write_table

from seqcli.errors import ExitCode
from seqcli.pipeline.model import Model

LAST = "model={kind: last-value}"
"""A forecast that can be told by hand."""
QUANTILES = ("task.quantiles=[0.1, 0.5, 0.9]", "training.max_steps=1")


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """``last`` of one column, ``both`` of two, ``many`` of several series, ``bands``, ``price`` with a known column."""
    folder = tmp_path_factory.mktemp("forecasters")
    one = monthly(folder / "one.csv")
    two = monthly(folder / "two.csv", z=wave(72, seed=3).round(3))
    price = monthly(folder / "price.csv", price=np.arange(72.0))
    trained_run(series_recipe(one, "name=last", LAST), folder)
    trained_run(series_recipe(two, "name=both", LAST), folder)
    trained_run(series_recipe(several(folder / "many.csv"), "name=many", LAST), folder)
    trained_run(series_recipe(one, "name=bands", *QUANTILES), folder)
    trained_run(series_recipe(price, "name=price", "source.known=[price]", "training.max_steps=1"), folder)
    trained_run(series_recipe(two, "name=part", "target.columns=[z]", LAST), folder)
    return folder / "runs"


@pytest.fixture
def forecast(runs):
    def run(*arguments, stdin="", **options):
        return run_inside("forecast", *map(str, arguments), "--runs", str(runs), stdin=stdin.encode(), **options)

    return run


def rows_of(text):
    return list(csv.reader(io.StringIO(text)))


def table(**columns):
    text = io.StringIO()
    write = csv.writer(text, lineterminator="\n").writerow
    write(columns)
    for row in zip(*columns.values(), strict=True):
        write(row)
    return text.getvalue()


# -- what comes out


def test_the_rows_that_come_next(forecast):
    text = table(Month=months(20), y=range(20))
    expected = "Month,y\n2002-09,19\n2002-10,19\n2002-11,19\n2002-12,19\n"
    assert forecast("last", stdin=text) == (0, expected, "")
    assert forecast("last", "-", stdin=text) == (0, expected, "")
    assert forecast("last", "--steps", 1, stdin=text) == (0, "Month,y\n2002-09,19\n", "")


def test_a_shell_pipeline(runs, tmp_path):
    (tmp_path / "in.csv").write_text(table(Month=months(20), y=range(20)))
    done = run_outside("forecast", "last", str(tmp_path / "in.csv"), "--steps", "2", "--runs", str(runs))
    assert done == (0, "Month,y\n2002-09,19\n2002-10,19\n", "")


def test_without_a_model_the_newest_is_taken(forecast, runs, tmp_path):
    (tmp_path / "in.csv").write_text(table(Month=months(20), y=range(20), z=range(20)))
    found = forecast(tmp_path / "in.csv")
    assert (found.code, found.err) == (0, "using part@1\n")
    assert found.out.startswith("Month,y,z\n2002-09,,19\n")


@pytest.mark.parametrize(
    ("times", "ahead"),
    [
        (["2023-11-30", "2023-12-31", "2024-01-31"], ["2024-02-29", "2024-03-31", "2024-04-30", "2024-05-31"]),
        (["2024-02-26", "2024-02-27", "2024-02-28"], ["2024-02-29", "2024-03-01", "2024-03-02", "2024-03-03"]),
        (["26.02.2023", "27.02.2023", "28.02.2023"], ["01.03.2023", "02.03.2023", "03.03.2023", "04.03.2023"]),
        (["2020", "2021", "2022"], ["2023", "2024", "2025", "2026"]),
        (["2023Q2", "2023Q3", "2023Q4"], ["2024Q1", "2024Q2", "2024Q3", "2024Q4"]),
        (
            ["3/29/24 22:00", "3/29/24 23:00", "3/30/24 0:00"],
            ["3/30/24 1:00", "3/30/24 2:00", "3/30/24 3:00", "3/30/24 4:00"],
        ),
        (
            ["2024-03-31T00:00:00+01:00", "2024-03-31T01:00:00+01:00", "2024-03-31T03:00:00+02:00"],
            [
                "2024-03-31T04:00:00+02:00",
                "2024-03-31T05:00:00+02:00",
                "2024-03-31T06:00:00+02:00",
                "2024-03-31T07:00:00+02:00",
            ],
        ),
    ],
)
def test_times_go_on_as_they_are_written(tmp_path, cache, times, ahead):
    """Ends of months, leap days, an hour that a clock leaves out; by a model of series without times."""
    train = write_table(tmp_path / "a.csv", {"y": wave(40).round(3)})
    recipe = series_recipe(train, "data.format=series", "task.look_back=3", LAST)
    trained_run(recipe, tmp_path)
    runs = str(tmp_path / "runs")
    found = run_inside("forecast", "waves", "--runs", runs, stdin=table(ds=times, y=[1, 2, 3]).encode())
    assert rows_of(found.out) == [["ds", "y"], *([one, "3"] for one in ahead)]
    quoted = table(ds=[f"'{one}'" for one in times], y=[1, 2, 3]).replace("'", '"').replace("ds,y", '"ds","y"')
    found = run_inside("forecast", "waves", "--steps", "1", "--runs", runs, stdin=quoted.encode())
    assert found.out == f'"ds","y"\n"{ahead[0]}",3\n'


def test_ids_are_kept_in_the_long_form(forecast):
    rows = [("b", month, 5) for month in months(12)] + [("a", month, 7) for month in months(10)]
    names, times, values = zip(*rows, strict=True)
    found = forecast("many", "--steps", 2, stdin=table(unique_id=names, ds=times, y=values))
    assert found.out == ("unique_id,ds,y\nb,2002-01,5\nb,2002-02,5\na,2001-11,7\na,2001-12,7\n")
    assert (found.code, found.err) == (0, "")


def test_all_columns_stay_and_those_not_predicted_are_empty(forecast):
    text = table(note=["x"] * 12, Month=months(12), y=range(12), z=range(12))
    found = forecast("part", "--steps", 1, stdin=text)
    assert found == (0, "note,Month,y,z\n,2002-01,,11\n", "")
    assert forecast("both", "--steps", 1, stdin=text).out == "note,Month,y,z\n,2002-01,11,11\n"


def test_tabs_stay_tabs_and_a_table_without_a_header_has_none(forecast):
    text = table(Month=months(12), y=range(12)).replace(",", "\t")
    assert forecast("last", "--steps", 1, stdin=text).out == "Month\ty\n2002-01\t11\n"


def test_quantiles_are_columns_of_their_own(forecast):
    text = table(Month=months(20), y=wave(20).round(3))
    found = forecast("bands", "--quantiles", "0.9,0.1", stdin=text)
    header, *rows = rows_of(found.out)
    assert header == ["Month", "y", "y_0.1", "y_0.9"]
    for row in rows:
        assert float(row[2]) < float(row[1]) < float(row[3])
    assert rows_of(forecast("bands", stdin=text).out)[0] == ["Month", "y"]
    (line,) = forecast("bands", "--quantiles", "0.1", "--json", stdin=text).out.splitlines()
    document = json.loads(line)
    assert [*document] == ["times", "y", "quantiles"]
    assert document["quantiles"]["0.1"]["y"] == pytest.approx([float(row[2]) for row in rows], rel=1e-5)


def test_bands_of_a_forecast_that_goes_on_from_itself_are_warned_of(forecast):
    found = forecast("bands", "--quantiles", "0.1", "--steps", 6, stdin=table(Month=months(20), y=wave(20).round(3)))
    assert len(rows_of(found.out)) == 7
    assert found.err == (
        "warning: the model predicts 4 steps at once; what follows is made of its own forecast, and bands there are "
        "too narrow\n"
    )


def test_known_columns_are_read_ahead_and_written(forecast):
    values = [*wave(12).round(3), *[""] * 5]
    found = forecast("price", stdin=table(Month=months(17), y=values, price=range(17)))
    rows = rows_of(found.out)
    assert rows[0] == ["Month", "y", "price"]
    assert [(row[0], row[2]) for row in rows[1:]] == [
        (str(month), str(12 + n)) for n, month in enumerate(months(17)[12:16])
    ]
    assert all(float(row[1]) for row in rows[1:])
    refused = forecast("price", stdin=table(Month=months(14), y=values[:14], price=range(14)))
    assert (refused.code, "known for 2 steps ahead, and the forecast takes 4" in refused.err) == (ExitCode.DATA, True)


def test_json_is_a_line_for_each_series(forecast):
    rows = [(name, month, level) for name, level in (("b", 5), ("a", 7)) for month in months(10)]
    names, times, values = zip(*rows, strict=True)
    found = forecast("many", "--steps", 1, "--json", stdin=table(unique_id=names, ds=times, y=values))
    assert [json.loads(line) for line in found.out.splitlines()] == [
        {"name": "b", "times": ["2001-11-01T00:00:00"], "y": [5.0]},
        {"name": "a", "times": ["2001-11-01T00:00:00"], "y": [7.0]},
    ]


def test_a_picture(forecast, tmp_path):
    pytest.importorskip("matplotlib")
    text = table(Month=months(20), y=wave(20).round(3))
    for name in ("next.png", "next.svg"):
        found = forecast("bands", "--quantiles", "0.1,0.9", "--plot", tmp_path / name, stdin=text)
        assert (found.code, found.err) == (0, f"drawn in {tmp_path / name}\n")
        assert (tmp_path / name).stat().st_size > 5000
    refused = forecast("bands", "--plot", tmp_path / "next.txt", stdin=text)
    assert (refused.code, ".png, .svg, .pdf" in refused.err) == (ExitCode.USAGE, True)


def test_predict_says_the_same(forecast, runs, tmp_path):
    (tmp_path / "in.csv").write_text(table(Month=months(20), y=range(20)))
    found = run_inside("predict", "last", str(tmp_path / "in.csv"), "--runs", str(runs))
    assert found == forecast("last", tmp_path / "in.csv")
    document = run_inside("predict", "last", str(tmp_path / "in.csv"), "--jsonl", "--runs", str(runs)).out
    assert document == forecast("last", tmp_path / "in.csv", "--json").out


def test_the_library_says_the_same(runs):
    (one,) = Model.load("last", runs=str(runs)).predict([series_of(np.arange(20.0))])
    assert one.values_KM.ravel().tolist() == [19] * 4
    assert one.times_K.astype("datetime64[M]").astype(str).tolist() == ["2002-09", "2002-10", "2002-11", "2002-12"]


def test_missing_values_are_filled_and_counted(tmp_path, cache):
    values = wave(60).round(3)
    values[3] = np.nan
    recipe = series_recipe(monthly(tmp_path / "a.csv", values), LAST, "source.missing=last", "data.missing=[-200]")
    trained_run(recipe, tmp_path)
    text = table(Month=months(12), y=[1, "", "NaN", 4, -200, 6, 7, 8, 9, 10, 11, ""])
    found = run_inside("forecast", "waves", "--steps", "1", "--runs", str(tmp_path / "runs"), stdin=text.encode())
    assert found == (0, "Month,y\n2002-01,11\n", "filled 4 missing values\n")


def test_a_line_for_each_series(tmp_path, cache):
    train = tmp_path / "rows.csv"
    lines = [",".join([f"h{number}", *map(str, wave(40, seed=number).round(2))]) for number in range(3)]
    train.write_text("\n".join(lines) + "\n")
    recipe = series_recipe(train, LAST, "data.dev_steps=4", "data.test_steps=4")
    run = trained_run(recipe, tmp_path)
    assert Model.load(run).task.recipe.data.format == "series-rows"
    text = "x,1,2,3,4,5,6,7,8,9\ny,9,8,7,6,5,4,3,2,1.5,,\n"
    found = run_inside("forecast", "waves", "--runs", str(tmp_path / "runs"), stdin=text.encode())
    assert found == (0, "x,9,9,9,9\ny,1.5,1.5,1.5,1.5\n", "")


# -- what is refused


def _cell(text):
    return table(Month=months(12), y=[1, 2, text, *range(9)])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "<stdin>: no series: the file is empty"),
        (table(Month=months(12), y=["a"] * 12), "no column of numbers"),
        (_cell("abc"), "<stdin>:4: 'abc' in the column 'y' is no number"),
        (_cell("inf"), "<stdin>:4: 'inf' in the column 'y' is infinite"),
        (_cell("1,5"), "decimal comma"),
        (_cell(""), "a value is missing (1 value in all; the first in step 3, column 1)"),
        (table(Month=[""] * 12, y=range(12)), "time"),
        (table(Month=[*months(6), *months(12)[7:]], y=range(11)), "unequal steps in time: from '2001-06' to '2001-08'"),
        (table(Month=[*months(6), *months(6)[5:]], y=range(7)), "the time '2001-06' is there twice"),
        (table(Month=months(12)[::-1], y=range(12)), "out of order"),
        (table(Month=months(12), y=[""] * 12), "all values are missing"),
        (table(Month=months(5), y=range(5)), "<stdin>: 5 steps, and the model reads 8"),
        (table(Month=months(12), x=range(12)), "no column 'y': the columns are x, and the model reads y"),
    ],
)
def test_bad_input_is_one_clear_line(forecast, text, message):
    found = forecast("last", stdin=text)
    assert (found.code, found.out) == (ExitCode.DATA, "")
    assert message in found.err
    assert found.err.count("\n") == 1


def test_a_constant_series_is_forecast(forecast):
    found = forecast("last", "--steps", 1, stdin=table(Month=months(12), y=[7] * 12))
    assert found == (0, "Month,y\n2002-01,7\n", "")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["last", "--quantiles", "0.1"], "last@1 knows no quantile 0.1: it predicts values alone"),
        (["bands", "--quantiles", "0.2"], "bands@1 knows no quantile 0.2, only 0.1, 0.5, 0.9"),
        (["bands", "--quantiles", "a"], "--quantiles: 'a' is no list of shares"),
        (["bands", "--quantiles", "1.5"], "--quantiles: '1.5' is no list of shares"),
        (["last", "--steps", "0"], "steps"),
        (["nobody"], "nobody"),
        (["last", "--format", "csv"], "--format"),
    ],
)
def test_bad_arguments(forecast, arguments, message):
    found = forecast(*arguments, stdin=table(Month=months(20), y=range(20)))
    assert (found.code, found.out) == (ExitCode.USAGE, "")
    assert message in found.err


def test_a_model_of_another_task_is_refused(forecast, runs, trained):
    shutil.copytree(runs / "last", trained / "runs" / "last")
    found = run_inside("forecast", "tiny", stdin=b"")
    assert found.code == ExitCode.USAGE
    assert "tiny@1 is a model for tagging; this needs one for forecasting" in found.err


def test_no_torch_and_no_pandas(runs, tmp_path):
    """Neither is imported by a forecast."""
    import subprocess
    import sys

    from tiny import environment

    (tmp_path / "in.csv").write_text(table(Month=months(20), y=wave(20).round(3)))
    program = (
        "import sys\nfrom seqcli.cli.app import main\n"
        f"try:\n    main(['forecast', 'bands', {str(tmp_path / 'in.csv')!r}, '--runs', {str(runs)!r}])\n"
        "finally:\n    print(sorted({'torch', 'pandas', 'statsforecast', 'matplotlib'} & {*sys.modules}), file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, env=environment(), check=False)
    assert done.stdout.decode().startswith("Month,y\n")
    assert done.stderr.decode() == "[]\n"
