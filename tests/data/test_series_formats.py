"""Tables of series, and lines of them: from bytes to values, and what is refused at which line."""

import gzip
from datetime import date

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seqcli.data import series_files
from seqcli.data.chunks import chunks
from seqcli.data.formats import Reading, format_class, guess_series, holds_series, read_examples
from seqcli.data.series_files import SeriesFile
from seqcli.errors import UserError

DAYS = [f"2020-01-{day:02d}" for day in range(1, 32)]


def write(tmp_path, text, name="x.csv"):
    path = tmp_path / name
    path.write_text(text)
    return str(path)


def read(tmp_path, text, name="x.csv", **how):
    path = write(tmp_path, text, name)
    return [example.source for example in read_examples(path, Reading(how.pop("format", "series"), **how))]


def failure(tmp_path, text, **how):
    with pytest.raises(UserError) as caught:
        read(tmp_path, text, **how)
    return str(caught.value).replace(f"{tmp_path}/", ""), caught.value.code


def columns_of(rows, header="date,y"):
    return "\n".join([header, *rows]) + "\n"


# -- layouts


def test_a_wide_table_is_one_series(tmp_path):
    (series,) = read(
        tmp_path, 'date,temp,"wind, m/s",kind\n2020-01-01,1.5,,dry\n2020-01-02,-2,NA,wet\n2020-01-03,3e1,7,\n'
    )
    assert (series.name, series.columns, series.frequency) == ("", ("temp", "wind, m/s"), "1 day")
    np.testing.assert_array_equal(series.values_TC, [[1.5, np.nan], [-2, np.nan], [30, 7]])
    assert [str(time)[:10] for time in series.times_T] == DAYS[:3]


@pytest.mark.parametrize("separator", [",", ";", "\t"])
@pytest.mark.parametrize("ends", ["\n", "\r\n"])
def test_a_long_table_may_mix_the_rows_of_its_series(tmp_path, separator, ends):
    rows = [
        ["unique_id", "ds", "y"],
        ["b", DAYS[0], "1"],
        ["a", DAYS[0], "10"],
        ["b", DAYS[1], "2"],
        ["a", DAYS[1], "20"],
    ]
    rows += [["a", DAYS[2], "30"]]
    text = ends.join(separator.join(row) for row in rows) + ends
    first, second = read(tmp_path, text)
    assert (first.name, first.values_TC.ravel().tolist()) == ("b", [1, 2])
    assert (second.name, second.values_TC.ravel().tolist()) == ("a", [10, 20, 30])


def test_examples_say_where_their_series_begin(tmp_path):
    path = write(tmp_path, "\nunique_id,ds,y\na,2020-01-01,1\n\nb,2020-01-01,2\na,2020-01-02,3\n")
    assert [example.at for example in read_examples(path, Reading("series"))] == [f"{path}:3", f"{path}:5"]


@given(
    st.lists(st.tuples(st.integers(0, 4), st.floats(-1e6, 1e6)), min_size=1, max_size=60),
    st.integers(1, 7),
    st.sampled_from([1, 300, 2**25]),
)
@settings(max_examples=100, deadline=None)
def test_rows_in_any_order_give_the_series_that_one_by_one_do(tmp_path_factory, rows, batch, kept):
    """However few of them memory holds at once."""
    tmp_path = tmp_path_factory.mktemp("order")
    expected, lines = {}, ["unique_id,ds,y"]
    for name, value in rows:
        steps = expected.setdefault(f"s{name}", [])
        lines.append(f"s{name},{np.datetime64('2020-01-01') + len(steps)},{value!r}")
        steps.append(value)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(series_files, "_BATCH_ROWS", batch)
        patch.setattr(series_files, "_KEPT_BYTES", kept)
        patch.setattr(series_files, "_BLOCK_ROWS", 5)
        found = {one.name: one.values_TC.ravel().tolist() for one in read(tmp_path, "\n".join(lines))}
    assert found == expected
    assert [*found] == [*expected]


@pytest.mark.parametrize(
    ("header", "row", "roles"),
    [
        ("ds,y", "2020-01-01,1", {"time": "ds"}),
        ("y,when", "1,2020-01-01", {"time": "when"}),
        ("Date,Time,y", "01/02/2020,13:00:00,1", {"time": "Date+Time"}),
        ("No,year,month,day,hour,y", "1,2020,1,1,0,5", {"time": "year+month+day+hour"}),
        ("year,month,y", "2020,1,5", {"time": "year+month"}),
        ("year,y", "2020,5", {"time": "year"}),
        ("month,y", "2020-01,5", {"time": "month"}),
        ("id,y", "a,5", {"id": "id"}),
        ("symbol,date,price", "MSFT,Jan 1 2000,39.81", {"id": "symbol", "time": "date"}),
        ("2020-01-01,1", "2020-01-02,2", {"time": 0}),
        ("1,2", "3,4", {}),
    ],
)
def test_roles_are_recognised(header, row, roles):
    assert format_class("series")(Reading()).look([header, row]).roles == roles


def test_an_id_is_what_tells_equal_times_apart(tmp_path):
    text = "town,when,y,sky\nRome,2020-01-01,1,grey\nOslo,2020-01-01,2,grey\nRome,2020-01-02,3,blue\n"
    assert [one.name for one in read(tmp_path, text)] == ["Rome", "Oslo"]
    described = format_class("series")(Reading()).look(text.split("\n")).describe()
    assert described == "with a header, id: 'town', time: 'when', values: 'y', left out: 'sky'"


def test_a_column_that_numbers_the_rows_is_no_value(tmp_path):
    rows = [f"{number},{DAYS[number]},{number * 2}" for number in range(4)]
    assert read(tmp_path, columns_of(rows, "No,date,y"))[0].columns == ("y",)
    assert read(tmp_path, columns_of(rows, "n,date,y"))[0].columns == ("n", "y")
    (alone,) = read(tmp_path, "t\n1\n2\n3\n")
    assert (alone.columns, alone.values_TC.ravel().tolist()) == (("t",), [1, 2, 3])


def test_columns_may_be_said(tmp_path):
    text = "a,b,c,d,e\nx,2020-01-01,1,5,9\nx,2020-01-02,2,6,9\ny,2020-01-01,3,7,9\n"
    first, second = read(tmp_path, text, columns={"id": "a", "time": "b", "value": "c+d"})
    assert (first.name, first.columns, first.values_TC.tolist()) == ("x", ("c", "d"), [[1, 5], [2, 6]])
    assert len(second) == 1
    (plain,) = read(tmp_path, "5,2020-01-01\n6,2020-01-02\n", columns={"time": -1, "value": 0})
    assert plain.values_TC.ravel().tolist() == [5, 6]


@pytest.mark.parametrize(
    ("columns", "message", "code"),
    [
        ({"tme": "date"}, "data.columns: unknown column 'tme'. Did you mean 'time'?", 2),
        ({"text": "date"}, "data.columns: unknown column 'text'. Known: id, time, value, variable.", 2),
        ({"time": "dat"}, "x.csv:1: the header has no column 'dat'. Did you mean 'date'?", 65),
        ({"time": 5}, "x.csv:1: there is no column 5; the table has 2. Columns count from 0.", 65),
    ],
)
def test_columns_that_are_not_there(tmp_path, columns, message, code):
    assert failure(tmp_path, "date,y\n2020-01-01,1\n", columns=columns) == (message, code)


def test_without_times_steps_are_rows(tmp_path):
    (series,) = read(tmp_path, "x,y\n1,2\n3,4\n", frequency="month")
    assert (series.times_T, series.frequency, series.values_TC.tolist()) == (None, "1 month", [[1, 2], [3, 4]])


def test_events_are_a_column_for_each_variable_and_a_mean_for_each_step(tmp_path):
    text = "stay,at,what,value\n"
    text += "7,00:05,HR,60\n7,00:10,HR,70\n7,02:59,Temp,37\n7,00:20,Temp,\n7,04:00,HR,-1\n8,01:30,HR,90\n"
    columns = {"id": "stay", "time": "at", "variable": "what", "value": "value"}
    first, second = read(tmp_path, text, columns=columns, frequency="hour", missing=(-1.0,))
    assert (first.name, first.columns, first.frequency) == ("7", ("HR", "Temp"), "1 hour")
    nan = np.nan
    np.testing.assert_array_equal(first.values_TC, [[65, nan], [nan, nan], [nan, 37], [nan, nan], [nan, nan]])
    np.testing.assert_array_equal(second.values_TC, [[nan, nan], [90, nan]])  # hours count from the beginning
    assert failure(tmp_path, text, columns=columns) == (
        "x.csv:1: data.columns: 'variable' needs a time and data.frequency. Such as columns: {id: stay, time: at, "
        "variable: what, value: value}, frequency: 1 hour.",
        2,
    )


def test_events_at_dates_begin_with_the_step_of_the_first(tmp_path):
    text = "at,what,value\n2020-01-01 05:20,b,1\n2020-01-01 04:50,a,2\n2020-01-01 06:00,a,4\n"
    columns = {"time": "at", "variable": "what", "value": "value"}
    (series,) = read(tmp_path, text, columns=columns, frequency="1 hour")
    assert series.columns == ("a", "b")
    np.testing.assert_array_equal(series.values_TC, [[2, np.nan], [np.nan, 1], [4, np.nan]])
    assert str(series.times_T[0]) == "2020-01-01T04:00:00.000"


# -- a line a series


def test_lines_of_series(tmp_path):
    first, second = read(tmp_path, '"V1","V2","V3","V4"\n"H1","1","2",""\n"H2","3","","5"\n', format="series-rows")
    assert (first.name, first.columns, first.times_T) == ("H1", ("value",), None)
    assert first.values_TC.tolist() == [[1], [2]]
    np.testing.assert_array_equal(second.values_TC.ravel(), [3, np.nan, 5])
    (headless,) = read(tmp_path, "7\t1.5\t2\t\t\n", format="series-rows", frequency="hour")
    assert (headless.name, headless.values_TC.ravel().tolist(), headless.frequency) == ("7", [1.5, 2], "1 hour")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a,1,2\nb,3,x\n", "x.csv:2: 'x' in column 2 is no number"),
        ("a,1,inf\n", "x.csv:1: 'inf' in column 2 is infinite"),
        ("a,1,2\nb,,NA\n", "x.csv:2: all values of 'b' are missing"),
        ("a,1,2\nb\n", "x.csv:2: all values of 'b' are missing"),
        ("a,1,2\na,3,4\n", "x.csv:2: the series 'a' is there twice"),
        ('a;"1,5";2\n', "x.csv:1: '1,5' in column 1 is no number. A decimal comma? Write a point."),
    ],
)
def test_lines_that_are_no_series(tmp_path, text, message):
    assert failure(tmp_path, text, format="series-rows", separator=";" if ";" in text else ",") == (message, 65)


def test_lines_are_read_in_parts(tmp_path):
    path = write(tmp_path, "id,V1,V2\n" + "".join(f"s{number},{number},1\n" for number in range(50)))
    parts = chunks(path, "series-rows", 64)
    assert len(parts) > 5
    again = [example for part in parts for example in read_examples(part, Reading("series-rows"))]
    whole = [*read_examples(path, Reading("series-rows"))]
    assert [(one.source.name, one.at) for one in again] == [(one.source.name, one.at) for one in whole]
    assert len(whole) == 50


# -- files that go on


@pytest.mark.parametrize("form", ["series", "series-rows"])
def test_files_go_on_one_from_the_other(tmp_path, form):
    if form == "series":
        one = columns_of([f"a,{DAYS[0]},1", f"b,{DAYS[0]},2", f"a,{DAYS[1]},3"], "unique_id,ds,y")
        two = columns_of([f"a,{DAYS[2]},4", f"b,{DAYS[1]},5"], "unique_id,ds,y")
    else:
        one, two = "x,V1,V2\na,1,3\nb,2,\n", "x,V1\nb,5\na,4\n"
    write(tmp_path, one, "h-train.csv")
    (tmp_path / "h-test.csv.gz").write_bytes(gzip.compress(two.encode()))
    path = str(tmp_path / "h-{train.csv,test.csv.gz}")
    found = {
        example.source.name: example.source.values_TC.ravel().tolist() for example in read_examples(path, Reading(form))
    }
    assert found == {"a": [1, 3, 4], "b": [2, 5]}
    assert len(chunks(path, form)) == 1
    reader = format_class(form)(Reading(form))
    before = reader.fingerprint(path)
    (tmp_path / "h-test.csv.gz").write_bytes(gzip.compress(two.replace("5", "6").encode()))
    assert reader.fingerprint(path) != before


def test_errors_name_the_file_that_goes_on(tmp_path):
    write(tmp_path, columns_of([f"{DAYS[0]},1"]), "a.csv")
    for text, message in [
        (
            columns_of([f"{DAYS[0]},2"]),
            f"b.csv:2: the time '2020-01-01' is there twice, also in line 2 of {tmp_path}/a.csv.",
        ),
        (columns_of([f"{DAYS[1]},x"]), "b.csv:2: 'x' in the column 'y' is no number"),
        (
            columns_of([f"{DAYS[1]},2"], "date,z"),
            "b.csv:1: not the header of the file before. The first file's: date, y.",
        ),
    ]:
        write(tmp_path, text, "b.csv")
        with pytest.raises(UserError) as caught:
            [*read_examples(str(tmp_path / "{a,b}.csv"), Reading("series"))]
        assert str(caught.value).startswith(f"{tmp_path}/{message}")
    write(tmp_path, "a,1,2\n", "a.csv")
    write(tmp_path, "c,3\n", "b.csv")
    with pytest.raises(UserError, match="'c' does not begin in"):
        [*read_examples(str(tmp_path / "{a,b}.csv"), Reading("series-rows"))]


# -- what is refused


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "date,a,b\n2020-01-01,x,y\n",
            "x.csv:1: no column of numbers: date, a, b. A table of series has a row for each step in time, and in its "
            "columns values.",
        ),
        (columns_of([f"{DAYS[0]},1", f"{DAYS[1]},abc"]), "x.csv:3: 'abc' in the column 'y' is no number"),
        (columns_of([f"{DAYS[0]},1", f"{DAYS[1]},1_0"]), "x.csv:3: '1_0' in the column 'y' is no number"),
        (
            columns_of([f"{DAYS[0]};1,5", f"{DAYS[1]};2,5"], "date;y"),
            "x.csv:2: '1,5' in the column 'y' is no number. A decimal comma? Write a point.",
        ),
        (
            columns_of([f"{DAYS[0]},1", f"{DAYS[1]},2,5"]),
            "x.csv:3: 3 columns where the first row has 2. A decimal comma? Write a point.",
        ),
        (columns_of([f"{DAYS[0]},1", f"{DAYS[1]}"]), "x.csv:3: 1 column where the first row has 2"),
        (columns_of([f"{DAYS[0]},1", f"{DAYS[1]},-inf"]), "x.csv:3: '-inf' in the column 'y' is infinite"),
        (columns_of([f"{DAYS[0]},1", f"{DAYS[1]},1e999"]), "x.csv:3: '1e999' in the column 'y' is infinite"),
        (
            columns_of([f"{DAYS[0]},1", f"{DAYS[1]},2", f"{DAYS[1]},3"]),
            "x.csv:4: the time '2020-01-02' is there twice, also in line 3. Does a column say which series a row is of? "
            "Name it: data.columns: {id: ...}.",
        ),
        (
            columns_of([f"{DAYS[1]},1", f"{DAYS[2]},2", f"{DAYS[0]},3"]),
            "x.csv:4: times are out of order: '2020-01-01' behind '2020-01-03'. Sort the rows by time.",
        ),
        (
            columns_of([f"{DAYS[day]},1" for day in (0, 1, 2, 3, 6, 7, 9)]),
            "x.csv:6: unequal steps in time: from '2020-01-04' to '2020-01-07' is not 1 day. Set data.gaps: fill (rows of "
            "missing values), or data.gaps: ignore (each row is the step behind the one before).",
        ),
        (
            columns_of([f"2020-01-01 {hour},1" for hour in ("01:00", "02:00", "03:00", "03:30", "04:30")]),
            "x.csv:5: unequal steps in time: from '2020-01-01 03:00' to '2020-01-01 03:30' is not 1 hour. Set data.gaps: "
            "ignore (each row is the step behind the one before).",
        ),
        (
            columns_of(
                [f"{name},{DAYS[day]},1" for name, day in [("a", 0), ("b", 0), ("a", 1), ("b", 2), ("a", 2)]], "id,ds,y"
            ),
            "x.csv:5: unequal steps in time of 'b': from '2020-01-01' to '2020-01-03' is not 1 day. Set data.gaps: fill "
            "(rows of missing values), or data.gaps: ignore (each row is the step behind the one before).",
        ),
        (columns_of([f"{DAYS[0]},", f"{DAYS[1]},NaN"]), "x.csv:2: all values are missing"),
        (columns_of([f"{DAYS[0]},1", "soon,2"]), "x.csv:3: 'soon' is no time. Times are written as '2020-01-01' here."),
        (columns_of([f"{DAYS[0]},1", "2020-02-30,2"]), "x.csv:3: there is no day 30 in month 2 of 2020"),
        (columns_of([f"{DAYS[0]},1", ",2"]), "x.csv:3: a time is missing. Times are written as '2020-01-01' here."),
        ("date,y,y\n2020-01-01,1,2\n", "x.csv:1: the header has two columns 'y'. Rename one."),
        (
            'date,y\n2020-01-01,"1\n',
            'x.csv:2: a quote is opened and never closed. A quote inside quotes is doubled: "".',
        ),
    ],
)
def test_what_is_wrong_is_named_with_its_line(tmp_path, text, message):
    assert failure(tmp_path, text) == (message, 65)


@pytest.mark.parametrize("text", ["", "\n\n", "date,y\n"])
def test_a_table_without_a_row_has_no_series(tmp_path, text):
    assert read(tmp_path, text, columns={"time": "date"}) == []


def test_all_faults_come_to_light(tmp_path):
    rows = [
        f"a,{DAYS[0]},x",
        f"b,{DAYS[0]},1",
        f"b,{DAYS[0]},2",
        f"a,{DAYS[1]},3",
        "a,2020,4",
        f"c,{DAYS[0]}",
        f"d,{DAYS[0]},5",
    ]
    path = write(tmp_path, columns_of(rows, "id,ds,y"))
    errors = []
    found = [one.source.name for one in read_examples(path, Reading("series"), on_error=errors.append)]
    assert found == ["a", "d"]
    assert [error.line for error in errors] == [7, 6, 2, 4]


def test_missing_values_in_all_spellings(tmp_path):
    cells = ["", "NA", "nan", "NULL", "n/a", " ", "-200", "7"]
    (series,) = read(
        tmp_path, columns_of([f"{day},{cell}" for day, cell in zip(DAYS, cells, strict=False)]), missing=(-200,)
    )
    assert np.isnan(series.values_TC.ravel()).tolist() == [True] * 7 + [False]


@pytest.mark.parametrize(
    ("gaps", "values", "last"), [("fill", [1, 2, np.nan, np.nan, 3], "2020-01-07"), ("ignore", [1, 2, 3], "2020-01-07")]
)
def test_gaps_may_be_filled_or_ignored(tmp_path, gaps, values, last):
    text = columns_of([f"{DAYS[2]},1", f"{DAYS[3]},2", f"{DAYS[6]},3"])
    (series,) = read(tmp_path, text, gaps=gaps, frequency="1 day")
    np.testing.assert_array_equal(series.values_TC.ravel(), values)
    assert len(series.times_T) == len(values)
    assert str(series.times_T[-1])[:10] == last


def test_filled_steps_have_the_times_between(tmp_path):
    (series,) = read(
        tmp_path, columns_of([f"{day},1" for day in ("2020-01-31", "2020-02-29", "2020-05-31")]), gaps="fill"
    )
    assert [str(time)[:10] for time in series.times_T] == [
        "2020-01-31",
        "2020-02-29",
        "2020-03-31",
        "2020-04-30",
        "2020-05-31",
    ]


def test_days_at_the_same_hour_are_days_where_clocks_are_changed(tmp_path):
    cells = ["2024-03-30T00:00+01:00", "2024-03-31T00:00+01:00", "2024-04-01T00:00+02:00", "2024-04-02T00:00+02:00"]
    (series,) = read(tmp_path, columns_of([f"{cell},1" for cell in cells]))
    assert (series.frequency, series.offset) == ("1 day", 120)
    hours = [f"2024-03-31T{hour}" for hour in ("00:00+01:00", "01:00+01:00", "03:00+02:00", "04:00+02:00")]
    (series,) = read(tmp_path, columns_of([f"{cell},1" for cell in hours]))
    assert (series.frequency, str(series.times_T[-1])) == ("1 hour", "2024-03-31T02:00:00.000")


def test_local_hours_of_a_day_on_which_clocks_are_changed_are_refused(tmp_path):
    spring = columns_of([f"2024-03-31 {hour},1" for hour in ("00:00", "01:00", "03:00", "04:00")])
    assert (
        "x.csv:4: unequal steps in time: from '2024-03-31 01:00' to '2024-03-31 03:00' is not 1 hour"
        in failure(tmp_path, spring)[0]
    )
    autumn = columns_of([f"a,2024-10-27 {hour},1" for hour in ("01:00", "02:00", "02:00", "03:00")], "id,ds,y")
    assert failure(tmp_path, autumn)[0] == (
        "x.csv:4: the time '2024-10-27 02:00' of 'a' is there twice, also in line 3. Where clocks are set back an hour is "
        "there twice, unless times have an offset (+01:00)."
    )


def test_series_of_one_file_may_have_frequencies_of_their_own(tmp_path):
    rows = (
        [f"d,{day},1" for day in DAYS[:6]] + [f"m,2020-{month:02d}-01,2" for month in range(1, 7)] + [f"o,{DAYS[0]},3"]
    )
    assert [one.frequency for one in read(tmp_path, columns_of(rows, "id,ds,y"))] == ["1 day", "1 month", "1 day"]


def test_one_time_far_away_does_not_fill_the_memory(tmp_path):
    text = columns_of(
        [f"{DAYS[0]} 00:00:00,1", f"{DAYS[0]} 00:00:01,2", f"{DAYS[0]} 00:00:02,3", "9020-01-01 00:00:00,4"]
    )
    days = (date(9020, 1, 1) - date(2020, 1, 1)).days
    assert failure(tmp_path, text, gaps="fill") == (
        f"x.csv:5: '9020-01-01 00:00:00' makes {86_400 * days + 1:,} steps of 4 rows. Is the time right?",
        65,
    )
    columns = {"time": "at", "variable": "what", "value": "value"}
    text = "at,what,value\n2020-01-01 00:00,a,1\n9020-01-01 00:00,b,2\n"
    assert failure(tmp_path, text, columns=columns, frequency="minute")[0].startswith(
        "x.csv:3: '9020-01-01 00:00' makes"
    )


CELLS = st.sampled_from(
    ["2020-01-01", "2020-01-02", "1/2/2003", "13.1.03", "1999Q1", "1949", "47:30", "1", "-2.5", "1,5"]
)
ODD = st.sampled_from(
    ["", "NA", "a", "date", "id", "y", "inf", "1e999", '"', '""', "\ufeff", "\x00", "é", "2020-13-01", "+"]
)


@given(
    st.lists(st.lists(CELLS | ODD, max_size=4), max_size=8),
    st.sampled_from(",;\t"),
    st.sampled_from(["series", "series-rows"]),
    st.sampled_from(["refuse", "fill", "ignore"]),
    st.booleans(),
)
@settings(max_examples=300, deadline=None)
def test_no_table_breaks_the_reader(tmp_path_factory, rows, separator, form, gaps, lenient):
    """It gives series, or says what is wrong, and where it goes on it says the same."""
    path = tmp_path_factory.getbasetemp() / "broken.csv"
    path.write_text("\n".join(separator.join(row) for row in rows))
    errors = []
    try:
        for one in read_examples(path, Reading(form, gaps=gaps), on_error=errors.append if lenient else None):
            assert len(one.source) > 0
            assert not np.isinf(one.source.values_TC).any()
            assert one.source.times_T is None or (np.diff(one.source.times_T.astype(np.int64)) > 0).all()
    except UserError as error:
        errors.append(error)
    assert all(error.code in (2, 65) and error.message for error in errors)
    holds_series(path)


# -- guesses


@pytest.mark.parametrize(
    ("text", "holds", "form"),
    [
        ("date,y\n2020-01-01,1\n2020-01-02,2\n", True, "series"),
        ("V1,V2,V3\nH1,1,2\nH2,3,4,5\n", True, "series-rows"),
        ("text,label\na good film,1\na bad film,0\n", False, "series"),
        ("date,review,stars\n2020-01-01,a good film,5\n2020-01-02,a bad film,1\n", False, "series"),
        ("1,2\n3,4\n", False, "series"),
        ("12/03/1999\t1999-03-12\n", False, "series"),
    ],
)
def test_a_table_of_series_is_recognised(tmp_path, text, holds, form):
    path = write(tmp_path, text)
    assert (holds_series(path), guess_series(path)) == (holds, form)


# -- the rows of a table


def test_a_table_that_is_kept_knows_the_row_of_each_step(tmp_path):
    text = "id,Date,Time,sky,x\nb,01/02/2003,13:00,grey,1\na,01/02/2003,13:00,,5\nb,01/02/2003,15:00,,2\na,01/02/2003,14:00,x,6\n"
    path = write(tmp_path, text)

    def fail(error):
        raise error

    file = SeriesFile([path], Reading("series", gaps="fill", frequency="hour"), fail, keep=True)
    assert [one.name for one, _ in file.series()] == ["b", "a"]
    assert {name: lines[:, 1].tolist() for name, lines in file.lines.items()} == {"b": [2, -1, 4], "a": [3, 5]}
    assert file.kept[0, 4] == ["b", "01/02/2003", "15:00", "", "2"]
    assert file.left_out("b", 1) == ["b", "01/02/2003", "14:00", "", ""]
