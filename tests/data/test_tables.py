"""Tables keep their rows: what was read stands in what is written, with the new cells behind it."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seqcli.data.tables import TABLES, Item, TableOptions
from seqcli.errors import ExitCode, UserError

CELL = st.text(st.characters(exclude_characters="\r", codec="utf-8"), max_size=6)
ROWS = st.integers(1, 4).flatmap(lambda width: st.lists(st.lists(CELL, min_size=width, max_size=width), min_size=1))


def written(form: str, text: str, column: int | str | None, added: Sequence[str] = ("new",), folder: Path = Path()):
    """``(items, output)`` of a table, where each item gets a number as its first value."""
    path = folder / "table"
    path.write_text(text, encoding="utf-8", newline="")
    items: list[Item] = []
    out = ""
    for rows in TABLES[form](path, TableOptions(column, added)).rows():
        begin = len(items)
        items += rows.items
        out += rows.write([_values(form, item, number, added) for number, item in enumerate(rows.items, begin)])
    return items, out


def _values(form: str, item: Item, number: int, added: Sequence[str]) -> list[Any]:
    if form in ("conll", "conllu"):
        return [[f"{number}.{place}" for place, _ in enumerate(item)] for _ in added]
    return [str(number) if form != "jsonl" else number for _ in added]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("tables")


@settings(deadline=None)
@given(ROWS, st.integers(-4, 3))
def test_rows_of_csv_come_back_with_a_cell_more(folder: Path, rows: list[list[str]], column: int) -> None:
    column = column % len(rows[0])
    text = io.StringIO()
    csv.writer(text, lineterminator="\n", quoting=csv.QUOTE_ALL).writerows(rows)
    items, out = written("csv", text.getvalue(), column, folder=folder)
    assert items == [" ".join(row[column].split("\n")) for row in rows]
    assert [*csv.reader(io.StringIO(out, newline=""))] == [[*row, str(number)] for number, row in enumerate(rows)]


@settings(deadline=None)
@given(st.lists(st.dictionaries(CELL, st.integers() | CELL | st.none() | st.floats(allow_nan=False), max_size=3)))
def test_objects_come_back_with_a_key_more(folder: Path, records: list[dict[str, Any]]) -> None:
    full = [{**{key: value for key, value in one.items() if key != "new"}, "text": "x"} for one in records]
    lines = [json.dumps(one, ensure_ascii=number % 2 == 0) for number, one in enumerate(full)]
    _, out = written("jsonl", "".join(f"{line} \n" for line in lines), "text", folder=folder)
    assert [json.loads(line) for line in out.split("\n")[:-1]] == [
        {**one, "new": number} for number, one in enumerate(full)
    ]
    assert all(new.startswith(line[:-1]) for line, new in zip(lines, out.split("\n"), strict=False))


WORDS = "1-2\tdu\t_\t_\t_\t_\t_\t_\t_\t_\n1\tde\t_\tADP\t_\t_\t0\t_\t_\t_\n2\tle\t_\tDET\t_\t_\t0\t_\t_\t_\n"


@pytest.mark.parametrize(
    ("form", "column", "text", "items", "out"),
    [
        ("csv", "b", "a,b\n1,x\n", ["x"], "a,b,new\n1,x,0\n"),
        ("csv", "b", '\ufeffa,b\r\n1,"x\r\ny"\r\n\r\n2,\r\n', ["x y", ""], 'a,b,new\n1,"x\ny",0\n\n2,,1\n'),
        ("csv", "a", "a,b\n", [], "a,b,new\n"),
        ("csv", "b", 'a;b\n1;"x;y, z"\n', ["x;y, z"], 'a;b;new\n1;"x;y, z";0\n'),
        ("csv", "a", "", [], ""),
        ("csv", -1, "1,x\n2,y", ["x", "y"], "1,x,0\n2,y,1\n"),
        ("tsv", "b", 'a\tb\n1\t"x, y\n\n', ['"x, y'], 'a\tb\tnew\n1\t"x, y\t0\n\n'),
        ("jsonl", "t", '{"t": "x", "n": 1.10}\n\n', ["x"], '{"t": "x", "n": 1.10, "new": 0}\n\n'),
        ("jsonl", "t", '{"t":["a","b"]} \n', [["a", "b"]], '{"t":["a","b"], "new": 0}\n'),
        ("jsonl", 0, '{"0": 5}', ["5"], '{"0": 5, "new": 0}\n'),
        (
            "conll",
            None,
            "# id = 7\nTom X\nmet  Y\n \nit X",
            [["Tom", "met"], ["it"]],
            "# id = 7\nTom X 0.0\nmet  Y 0.1\n \nit X 1.0\n",
        ),
        ("conll", 1, "1\tTom\n2\tmet\n", [["Tom", "met"]], "1\tTom\t0.0\n2\tmet\t0.1\n"),
        ("conll", None, "Tom\nmet\n\n\n", [["Tom", "met"]], "Tom\t0.0\nmet\t0.1\n\n\n"),
        (
            "conllu",
            None,
            "# text = du\n" + WORDS + "\n",
            [["de", "le"]],
            "# text = du\n" + WORDS.replace("_\n", "_\t_\n", 1).replace("_\n2", "_\t0.0\n2")[:-1] + "\t0.1\n\n",
        ),
        ("conllu", "upos", WORDS, [["ADP", "DET"]], None),
    ],
)
def test_tables(
    tmp_path: Path, form: str, column: int | str | None, text: str, items: list[Item], out: str | None
) -> None:
    found = written(form, text, column, folder=tmp_path)
    assert found == (items, out or found[1])


@pytest.mark.parametrize(
    ("form", "column", "text", "count", "message"),
    [
        ("csv", "b", "a,b\n1,x\n2\n", 1, "table:3: 1 column where the first row has 2"),
        ("csv", "b", 'a,b\n1,x\n2,"y\nz', 1, "table:3: a quote is opened and never closed"),
        ("csv", "c", "a,b\n1,x\n", 0, "table:1: the header has no column 'c'. The header has: a, b."),
        ("csv", "a", "a,a\n1,x\n", 0, "table:1: the header has two columns 'a'. Rename one, or say"),
        ("csv", "a", "a,new\n1,x\n", 0, "table:1: the header has 'new' already. Call the new one otherwise: --into"),
        ("csv", 2, "1,x\n", 0, "table:1: there is no column 2; the row has 2 columns. Columns count from 0."),
        ("tsv", 0, "1\tx\n2\n", 1, "table:2: 1 column where the first row has 2"),
        ("jsonl", "t", '{"t": "x"}\n{"u": "x"}\n', 1, "table:2: no key 't'"),
        ("jsonl", "t", '{"t": "x"}\n[]\n', 1, "table:2: not a JSON object"),
        ("jsonl", "t", '{"t": "x", "new": 1}\n', 0, "table:1: the object has 'new' already"),
        ("conll", None, "a O\n\nb\n", 1, "table:3: 1 column where the file's first line has 2"),
        ("conll", 4, "a O\n", 0, "table:1: there is no column 4 for the token"),
        ("conllu", None, WORDS + "\nx\n", 1, "table:5: 1 tab-separated columns where CoNLL-U has 10"),
    ],
)
def test_rows_before_a_bad_one_come_before_its_error(
    tmp_path: Path, form: str, column: int | str | None, text: str, count: int, message: str
) -> None:
    (tmp_path / "table").write_text(text)
    items: list[Item] = []
    table = TABLES[form](tmp_path / "table", TableOptions(column, ["new"])).rows()
    with pytest.raises(UserError) as caught:
        items.extend(item for rows in table for item in rows.items)
    assert caught.value.code == ExitCode.DATA
    assert str(caught.value).startswith(f"{tmp_path}/{message}")
    assert len(items) == count


def test_columns_of_conll_have_no_names() -> None:
    with pytest.raises(UserError, match="--column form: the columns of CoNLL have numbers, from 0") as caught:
        TABLES["conll"](None, TableOptions("form", ["new"]))
    assert caught.value.code == ExitCode.USAGE
