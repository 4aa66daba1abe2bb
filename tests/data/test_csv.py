"""CSV and tables with a header: what is read, where it is said to stand, and what is guessed of the columns."""

import csv
import io

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seqcli.data.chunks import chunks
from seqcli.data.corpus import file_split
from seqcli.data.formats import Reading, guess_from_lines, look_at_lines, read_examples
from seqcli.data.formats.csv import separator_of
from seqcli.data.formats.looking import look_at_records, look_at_rows
from seqcli.errors import UserError


def write(folder, text, name="x.csv"):
    path = folder / name
    path.write_bytes(text.encode())
    return path


def triples(path, reading=None):
    return [(one.source, one.target, one.line) for one in read_examples(path, reading or Reading("csv"))]


def test_quotes_hold_separators_quotes_and_line_breaks_and_lines_stay_exact(tmp_path):
    path = write(tmp_path, '\ufefftext,label\r\n"a, ""b""\r\nc",pos\r\n\r\nd "e" f,neg\r\n"",neg\r\n')
    assert triples(path) == [('a, "b" c', "pos", 2), ('d "e" f', "neg", 5), ("", "neg", 6)]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("text,label\na,b\nc\n", "x.csv:3: 1 column where the file's first line has 2"),
        (
            'text,label\na,b\n"c,d\ne,f\n',
            "x.csv:3: a quote is opened and never closed. A quote inside quotes is doubled",
        ),
        ('text,label\na,b\n"c"d,e\n', "x.csv:3: text behind a closing quote. A quote inside quotes is doubled"),
        ("text,text,label\na,b,c\n", "x.csv:1: the header has two columns 'text'"),
        (
            "1,2\n3,4\n",
            "x.csv:1: none of the columns looks like a text: 0, 1. Set data.columns, such as {text: 0, label: 1}.",
        ),
    ],
)
def test_what_is_no_row_is_refused_with_its_line(tmp_path, monkeypatch, text, message):
    monkeypatch.chdir(tmp_path)
    write(tmp_path, text)
    reading = Reading("csv", {"text": "text", "label": "label"} if "text,text" in text else None)
    with pytest.raises(UserError) as caught:
        triples("x.csv", reading)
    assert str(caught.value).startswith(message)
    assert caught.value.code == 65


def test_reading_goes_on_behind_a_bad_row(tmp_path):
    path = write(tmp_path, 'text,label\na,b\n"c"d,e\nf\ng,h\n')
    errors = []
    examples = list(read_examples(path, Reading("csv"), on_error=errors.append))
    assert [(one.source, one.line) for one in examples] == [("a", 2), ("g", 5)]
    assert [error.line for error in errors] == [3, 4]


def test_columns_by_name_by_number_and_another_separator(tmp_path):
    path = write(tmp_path, "id;Bewertung;Note\n1;gut, sehr gut;5\n2;schlecht;1\n")
    by_name = Reading("csv", {"text": "Bewertung", "label": "Note"})
    assert triples(path, by_name) == [("gut, sehr gut", "5", 2), ("schlecht", "1", 3)]
    assert triples(path, Reading("csv", {"text": 1, "label": -1}))[0] == ("Bewertung", "Note", 1)
    with pytest.raises(UserError, match=r"the header has no column 'note'\. Did you mean 'Note'"):
        triples(path, Reading("csv", {"text": "Bewertung", "label": "note"}))
    with pytest.raises(UserError, match="one ASCII character separates the columns of csv, not '--'"):
        triples(path, Reading("csv", separator="--"))


CELL = st.text(st.sampled_from('ab,"\n é'), max_size=6)


@given(st.lists(st.tuples(CELL, CELL), min_size=1, max_size=12), st.sampled_from(["\n", "\r\n"]), st.integers(1, 60))
@settings(max_examples=150, deadline=None)
def test_the_chunks_of_a_csv_file_are_the_file(tmp_path_factory, rows, end, size):
    text = io.StringIO()
    csv.writer(text, lineterminator=end, quoting=csv.QUOTE_ALL).writerows([("text", "label"), *rows])
    path = write(tmp_path_factory.mktemp("chunks"), text.getvalue())
    reading = Reading("csv", {"text": "text", "label": "label"})
    whole = triples(path, reading)
    parts = [one for part in chunks(path, "csv", size, columns=reading.columns) for one in triples(part, reading)]
    assert parts == whole
    expected = [tuple(cell.replace("\n", " ") for cell in row) for row in rows if any(cell.strip() for cell in row)]
    assert [(source, target) for source, target, _ in whole] == expected


@pytest.mark.parametrize(
    ("lines", "separator"),
    [
        (["a,b", "c,d"], ","),
        (["a;b", "c, d, e;f"], ";"),
        (["a|b|c", "c,d|e|f"], "|"),
        (['"a,b"\tc', "d\te"], "\t"),
        (["one column"], ","),
        ([], ","),
    ],
)
def test_the_separator_is_the_one_that_cuts_evenly(lines, separator):
    assert separator_of(lines) == separator


POLAR = [
    (f"the film number {n} was good", "pos") if n % 2 else (f"the film number {n} was bad", "neg") for n in range(20)
]


@pytest.mark.parametrize(
    ("rows", "has_header", "roles"),
    [
        ([("review", "stars"), *POLAR], True, {"text": "review", "label": "stars"}),
        ([("Stars", "Review Text"), *(row[::-1] for row in POLAR)], True, {"text": "Review Text", "label": "Stars"}),
        ([("id", "x", "y"), *((str(n), *row) for n, row in enumerate(POLAR))], True, {"text": "x", "label": "y"}),
        (POLAR, False, {"text": 0, "label": 1}),
        ([row[::-1] for row in POLAR], False, {"text": 1, "label": 0}),
        ([("good film", "pos"), ("bad film", "neg")], False, {"text": 0, "label": 1}),
        ([("tokens", "ner_tags"), ("Anna met", "B-PER O")], True, {"tokens": "tokens", "tags": "ner_tags"}),
        ([("a", "b", "c"), *((*row, "even") for row in POLAR[1:]), ("x", "pos", "odd")], True, {"text": "a"}),
        ([("1", "2"), ("3", "4")], False, {}),
        ([("text",), ("a b",)], True, {"text": "text"}),
        ([], False, {}),
    ],
)
def test_what_the_first_rows_show(rows, has_header, roles):
    look = look_at_rows(rows)
    assert (look.has_header, look.roles) == (has_header, roles)


def test_what_objects_show():
    objects = [{"id": n, "review": text, "stars": label, "tags": ["x"]} for n, (text, label) in enumerate(POLAR)]
    assert look_at_records(objects).roles == {"text": "review", "label": "stars"}


@pytest.mark.parametrize(
    ("name", "lines", "described"),
    [
        ("a.csv", ["review,stars", '"fine, really",5'], "csv with a header, text: 'review', label: 'stars'"),
        ("a", ["review,stars", "fine,5"], "csv with a header, text: 'review', label: 'stars'"),
        ("a", ["Well, no", "Yes, it is"], "lines"),
        ("a.tsv", ["text\tlabel", "a b\tc"], "tsv with a header, text: 'text', label: 'label'"),
        ("a.tsv", ["a b\tc", "no tab"], "tsv, text: column 0, label: column 1"),
        ("a.tsv", ["Anna\tB-PER", "met\tO", "", "Ravi\tB-PER"], "conll"),
        ("a", [*(f"{text}\t{label}" for text, label in POLAR), "no tab"], "tsv, text: column 0, label: column 1"),
        ("a.jsonl", ['{"review": "a b", "stars": 5}'], "jsonl, text: 'review', label: 'stars'"),
        ("a.jsonl", ['{"text": "a b"}'], "jsonl, text: 'text'"),
    ],
)
def test_a_file_is_known_by_its_name_and_its_first_lines(name, lines, described):
    assert look_at_lines(lines, name).describe() == described


def test_names_alone_do_not_make_prose_a_table():
    assert guess_from_lines(["Text, label", "and so on, and so on", "no comma"]) == "lines"


def test_a_split_is_read_as_its_file_shows(tmp_path):
    path = write(tmp_path, "id,comment,class\n1,a b,x\n2,c d,y\n")
    split = file_split("train", [str(path)], Reading())
    assert split.reading.columns == {"text": "comment", "label": "class"}
    assert [(one.source, one.target) for one in split.examples()] == [("a b", "x"), ("c d", "y")]
