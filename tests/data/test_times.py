import math
from datetime import datetime, timedelta

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seqcli.data.frequency import Frequency, calendar
from seqcli.data.times import TimeColumn
from seqcli.errors import UserError


def read(cells, numbers=True):
    column = TimeColumn.recognise(cells[:1], numbers=numbers)
    packed, offsets = column.read(cells)
    column.decide(packed)
    return column, column.times(packed, offsets), int(offsets[-1])


def texts(times):
    return [str(time).removesuffix(".000") for time in times]


@pytest.mark.parametrize(
    ("cells", "first", "frequency", "following"),
    [
        (["2016-07-01 22:00:00", "2016-07-01 23:00:00"], "2016-07-01T22:00:00", "1 hour", "2016-07-02 00:00:00"),
        (["2016-07-01T22:00", "2016-07-01T22:15"], "2016-07-01T22:00:00", "15 minutes", "2016-07-01T22:30"),
        (["2016-07-01T22:00:00.250", "2016-07-01T22:00:00.500"], "2016-07-01T22:00:00.250", "250 milliseconds", None),
        (["1999-12-30", "1999-12-31"], "1999-12-30T00:00:00", "1 day", "2000-01-01"),
        (["1949-11", "1949-12"], "1949-11-01T00:00:00", "1 month", "1950-01"),
        (["1949", "1950"], "1949-01-01T00:00:00", "1 year", "1951"),
        (["1999Q3", "1999Q4"], "1999-07-01T00:00:00", "1 quarter", "2000Q1"),
        (["Q3 1999", "Q4 1999"], "1999-07-01T00:00:00", "1 quarter", "Q1 2000"),
        (["19580329", "19580405"], "1958-03-29T00:00:00", "1 week", "19580412"),
        (["Nov 1 2000", "Dec 1 2000"], "2000-11-01T00:00:00", "1 month", "Jan 1 2001"),
        (["30-DEC-99", "31-DEC-99"], "1999-12-30T00:00:00", "1 day", "01-JAN-00"),
        (["June 2000", "July 2000"], "2000-06-01T00:00:00", "1 month", "August 2000"),
        (["12/31/2003 11:00 PM", "1/1/2004 1:00 AM"], "2003-12-31T23:00:00", "2 hours", "1/1/2004 3:00 AM"),
        (["31.12.2003 23:30", "01.01.2004 00:00"], "2003-12-31T23:30:00", "30 minutes", "01.01.2004 00:30"),
        (["3-30-2004\t23:00:00", "3-31-2004\t00:00:00"], "2004-03-30T23:00:00", "1 hour", "3-31-2004\t01:00:00"),
        (["2010\t12\t31\t23", "2011\t1\t1\t0"], "2010-12-31T23:00:00", "1 hour", "2011\t1\t1\t1"),
        (["46:00", "47:00"], "1970-01-02T22:00:00", "1 hour", "48:00"),
        (["1089000000", "1089003600"], "2004-07-05T04:00:00", "1 hour", "1089007200"),
    ],
)
def test_times_are_read_and_go_on_as_they_are_written(cells, first, frequency, following):
    column, times, offset = read(cells)
    assert texts(times)[0] == first
    assert column.style.write(times, offset) == cells
    found = Frequency.find(times)
    assert found.name == frequency
    if following is not None:
        assert column.style.write(found.after(times, 1), offset) == [following]


def test_dates_of_a_spreadsheet_may_mix_their_signs():
    """As UCI's air quality saved again: only dates whose day can be no month kept the sign."""
    _, times, _ = read(["03-10-2004 18:00", "3/13/2004 18:00"])
    assert texts(times) == ["2004-03-10T18:00:00", "2004-03-13T18:00:00"]


@pytest.mark.parametrize(
    ("cells", "second"),
    [
        (["01/02/2003", "13/02/2003"], "2003-02-13"),  # a number above 12
        (["01/02/2003", "01/13/2003"], "2003-01-13"),
        (["01/02/2003", "02/02/2003", "03/02/2003", "04/02/2003"], "2003-02-02"),  # steps are equal: these are days
        (["01/02/2003", "01/03/2003", "01/04/2003"], "2003-01-03"),
        (["01/02/2003", "01/03/2003", "01/05/2003"], "2003-01-03"),
        (["01.02.2003", "01.03.2003"], "2003-03-01"),  # where points stand the day is first
    ],
)
def test_the_whole_column_says_whether_the_day_is_first(cells, second):
    assert str(read(cells)[1][1])[:10] == second


@pytest.mark.parametrize(
    ("cells", "message"),
    [
        (["13/02/2003", "01/14/2003"], "days and months change places"),
        (["2003-02-28", "2003-02-29"], "there is no day 29 in month 2 of 2003"),
        (["2003-01-30", "2003-13-01"], "'2003-13-01' is no time"),
        (["2003-01-01 23:00", "2003-01-01 24:00"], "'2003-01-01 24:00' is no time"),
        (["2003-01-01 23:00", "2003-01-01 23:60"], "'2003-01-01 23:60' is no time"),
        (["2003-01-01", "2003-01-01 01:00"], "'2003-01-01 01:00' is no time"),
        (["2003-01-01", " "], "a time is missing"),
        (["1 January 2003", "1 Janvier 2003"], "'1 Janvier 2003' is no time"),
    ],
)
def test_what_is_no_time_is_refused(cells, message):
    with pytest.raises(UserError, match=message) as caught:
        read(cells)
    assert caught.value.code == 65


@pytest.mark.parametrize("cell", ["", "12.5", "H1", "1949", "2003-01-01x", "1/2", "May be 3 2000", "192.168.1.1"])
def test_other_cells_are_no_times(cell):
    assert TimeColumn.recognise([cell]) is None


FORMATS = ("%Y-%m-%d %H:%M:%S", "%d.%m.%Y %H:%M", "%m/%d/%Y %I:%M %p", "%d %b %Y", "%Y-%m-%dT%H:%M:%SZ", "%Y%m%d")


@given(
    st.datetimes(datetime(1900, 1, 1), datetime(2100, 1, 1)),
    st.integers(2, 60),
    st.integers(1, 100_000),
    st.sampled_from(FORMATS),
)
@settings(max_examples=200, deadline=None)
def test_times_equal_those_of_the_standard_library(start, count, minutes, form):
    start = start.replace(second=0, microsecond=0)
    if "%H" not in form and "%I" not in form:
        start, minutes = start.replace(hour=0, minute=0), minutes * 1440
        minutes = min(minutes, 40 * 1440)
    expected = [start + timedelta(minutes=minutes * step) for step in range(count)]
    column, times, offset = read([one.strftime(form) for one in expected])
    written = column.style.write(times, offset)
    assert written == [one.strftime(form) for one in expected]
    if max(one.day for one in expected) > 12 or "/" not in form:
        assert [*times.astype("datetime64[s]").astype(object)] == expected


def days(*cells):
    return np.array(cells, "datetime64[ms]")


@pytest.mark.parametrize(
    ("history", "frequency", "following"),
    [
        (["2020-01-31", "2020-02-29", "2020-03-31"], "1 month", ["2020-04-30", "2020-05-31", "2020-06-30"]),
        (["2020-12-31", "2021-01-31"], "1 month", ["2021-02-28", "2021-03-31", "2021-04-30"]),
        (["2020-12-30", "2021-01-30", "2021-02-28"], "1 month", ["2021-03-30", "2021-04-30", "2021-05-30"]),
        (["2020-09-30", "2020-12-31"], "1 quarter", ["2021-03-31", "2021-06-30", "2021-09-30"]),
        (["2016-02-29", "2017-02-28", "2018-02-28"], "1 year", ["2019-02-28", "2020-02-29", "2021-02-28"]),
        (["2020-02-27", "2020-02-28"], "1 day", ["2020-02-29", "2020-03-01", "2020-03-02"]),
        (["2024-01-03", "2024-01-04", "2024-01-05", "2024-01-08"], "1 business day", ["2024-01-09", "2024-01-10"]),
        (["2024-01-08", "2024-01-09"], "1 day", ["2024-01-10", "2024-01-11", "2024-01-12", "2024-01-13"]),
        (["2024-01-05", "2024-01-12"], "1 week", ["2024-01-19"]),
        (["2000-01-01", "2010-01-01"], "10 years", ["2020-01-01"]),
    ],
)
def test_steps_go_on_over_month_ends_and_leap_days(history, frequency, following):
    times = days(*history)
    found = Frequency.find(times)
    assert found.name == frequency
    assert [str(day)[:10] for day in found.after(times, len(following))] == following
    positions, fits = found.positions(np.concatenate([times, found.after(times, 3)]))
    assert fits.all()
    assert positions.tolist() == [*range(len(times) + 3)]


def test_business_days_go_on_after_a_weekend():
    times = days("2024-01-03", "2024-01-04", "2024-01-05", "2024-01-08", "2024-01-11", "2024-01-12")
    assert [str(day)[:10] for day in Frequency(1, "business day").after(times, 2)] == ["2024-01-15", "2024-01-16"]
    assert Frequency(1, "business day").positions(times)[0].tolist() == [0, 1, 2, 3, 6, 7]


def test_an_hour_is_an_hour_where_clocks_are_changed():
    """Written with offsets times go on in UTC, and are written with the last one."""
    column, times, offset = read(["2024-03-31T00:00+01:00", "2024-03-31T01:00+01:00", "2024-03-31T03:00+02:00"])
    assert texts(times) == ["2024-03-30T23:00:00", "2024-03-31T00:00:00", "2024-03-31T01:00:00"]
    found = Frequency.find(times)
    assert found.name == "1 hour"
    assert column.style.write(found.after(times, 2), offset) == ["2024-03-31T04:00+02:00", "2024-03-31T05:00+02:00"]
    back = ["2024-10-27 02:00 +0200", "2024-10-27 02:00 +0100", "2024-10-27 03:00 +0100"]
    column, times, offset = read(back)
    assert Frequency.find(times).name == "1 hour"
    assert column.style.write(times[1:], offset) == back[1:]


@pytest.mark.parametrize(
    ("cells", "written"),
    [(["2024-01-01T00:00Z"], "2024-01-01T00:00Z"), (["2024-01-01 05:30-03"], "2024-01-01 05:30-03")],
)
def test_offsets_are_written_as_they_were(cells, written):
    column, times, offset = read(cells)
    assert column.style.write(times, offset) == [written]


def test_a_frequency_is_found_beside_gaps():
    hours = np.array(["2024-01-01T00", "2024-01-01T01", "2024-01-01T02", "2024-01-01T06"], "datetime64[h]")
    found = Frequency.find(hours)
    assert found.name == "1 hour"
    positions, fits = found.positions(hours)
    assert (positions.tolist(), fits.all()) == ([0, 1, 2, 6], True)
    months = days("2024-01-01", "2024-02-01", "2024-04-01", "2024-05-01")
    assert Frequency.find(months).positions(months)[0].tolist() == [0, 1, 3, 4]
    assert Frequency.find(hours[:1]) is None
    assert Frequency.find(hours[::-1]) is None


@pytest.mark.parametrize(
    ("text", "name", "season"),
    [
        ("hour", "1 hour", 24),
        ("24 hours", "1 day", 7),
        ("15 minutes", "15 minutes", 96),
        ("6 hours", "6 hours", 4),
        ("7 hours", "7 hours", 1),
        ("Monthly", "1 month", 12),
        ("3 months", "1 quarter", 4),
        ("12 months", "1 year", 1),
        ("business day", "1 business day", 5),
        ("2 weeks", "2 weeks", 26),
        ("1 second", "1 second", 3600),
    ],
)
def test_a_frequency_has_a_name_and_a_season(text, name, season):
    found = Frequency.parse(text)
    assert (found.name, found.season) == (name, season)


@pytest.mark.parametrize("text", ["0 hours", "-1 day", "1 fortnight", "", "hour 1"])
def test_other_frequencies_are_refused(text):
    with pytest.raises(UserError, match=r"data.frequency") as caught:
        Frequency.parse(text)
    assert caught.value.code == 2


def test_calendar_features_by_hand():
    times = np.array(["2024-01-01T06:00", "2024-02-29T18:30"], "datetime64[ms]")  # a Monday, a Thursday
    features = calendar(times, ("minute", "hour", "weekday", "day", "month", "year-day"))
    places = [[0, 30 / 60], [6 / 24, 18.5 / 24], [0, 3 / 7], [0, 28 / 31], [0, 1 / 12], [0, 59 / 366]]
    for part, of_part in enumerate(places):
        for row, place in enumerate(of_part):
            expected = (math.sin(2 * math.pi * place), math.cos(2 * math.pi * place))
            assert features[row, 2 * part : 2 * part + 2] == pytest.approx(expected, abs=1e-6)


def test_calendar_features_are_those_of_the_time_alone():
    hours = np.arange("1969-12-25", "1970-01-10", dtype="datetime64[h]")
    parts = ("hour", "weekday", "year-day")
    whole = calendar(hours, parts)
    assert (whole[100:120] == calendar(hours[100:120], parts)).all()
    assert whole[:24, :2] == pytest.approx(whole[24:48, :2])
