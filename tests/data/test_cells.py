"""Cells replaced where they stand."""

import csv
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seqcli.data.cells import quoted, records, replaced, spans


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        ("a,,c", "a,1.5,c"),
        ('"a","","c"', '"a","1.5","c"'),
        ('"a, ""b""",NA,c', '"a, ""b""",1.5,c'),
        ("a, NA ,c", "a, 1.5 ,c"),
        ("a,", "a,1.5"),
        ("\ufeffa,-200,c", "\ufeffa,1.5,c"),
        ('\ufeff"a,b",nan', '\ufeff"a,b",1.5'),
    ],
)
def test_one_cell_changes_and_nothing_else(row, expected):
    assert replaced(row, ",", {1: "1.5"}) == expected
    assert replaced(row, ",", {}) == row


def test_other_separators_and_several_cells():
    assert replaced("x\t\t\ty", "\t", {1: "1", 2: "2"}) == "x\t1\t2\ty"
    assert spans("a;b", ";") == [(0, 1), (2, 3)]
    assert spans('a;"b', ";") is None


def test_rows_keep_what_ends_them():
    found = [tuple(one) for one in records(io.BytesIO(b'\xef\xbb\xbfa,b\r\n1,"x\ny"\r\n\r\n2,"3""4"\n5,6'), ",")]
    assert found == [
        (1, "\ufeffa,b", "\r\n"),
        (2, '1,"x\ny"', "\r\n"),
        (4, "", "\r\n"),
        (5, '2,"3""4"', "\n"),
        (6, "5,6", ""),
    ]


CELLS = st.text(st.characters(codec="utf-8", exclude_characters="\r\0"), max_size=8)


@given(st.lists(st.lists(CELLS, min_size=2, max_size=4), min_size=1, max_size=6), st.integers(0, 3))
def test_what_python_writes_is_read_and_replaced(rows, place):
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    data = text.getvalue().encode()
    found = list(records(io.BytesIO(data), ","))
    assert "".join(one.text + one.ending for one in found).encode() == data
    changed = "".join(replaced(one.text, ",", {place: "7"}) + one.ending for one in found)
    expected = [[("7" if at == place else cell) for at, cell in enumerate(row)] for row in rows]
    read = list(csv.reader(io.StringIO(changed, newline="")))
    assert [[cell.strip() for cell in row] for row in read] == [[cell.strip() for cell in row] for row in expected]


def test_quotes_where_they_are_needed():
    assert [quoted(cell, ";") for cell in ("a", "a;b", 'a"b', "a,b")] == ["a", '"a;b"', '"a""b"', "a,b"]
