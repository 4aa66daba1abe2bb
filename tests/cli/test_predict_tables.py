"""``predict`` over tables: the column that is asked for is predicted, all that stands beside it stays."""

from __future__ import annotations

import csv
import io
import json
import subprocess
import sys
from pathlib import Path

import pytest
from tiny import Program, environment
from tiny_corpus import conllu

REVIEWS = 'id,review,note\n1,"not boring, ""really""",a\n2,"dull\nand long",\n\n3,,"x, y"\n'
EMPTY = "warning: an empty text has no tokens: it is given what the model says of nothing at all\n"


def labels(seqcli: Program, model: str, *texts: str) -> list[str]:
    """What ``predict`` says of plain lines."""
    return seqcli("predict", model, stdin="".join(f"{text}\n" for text in texts).encode()).out.splitlines()


@pytest.mark.parametrize("model", ["tiny", "bag", "most"])
def test_a_column_of_csv(seqcli: Program, classifiers: Path, model: str) -> None:
    one, two, three = labels(seqcli, model, 'not boring, "really"', "dull and long", "")
    (classifiers / "reviews.csv").write_text(REVIEWS)
    expected = f'id,review,note,prediction\n1,"not boring, ""really""",a,{one}\n2,"dull\nand long",,{two}\n\n3,,"x, y",{three}\n'
    assert seqcli("predict", model, "reviews.csv", "--column", "review") == (0, expected, EMPTY)
    stdin = REVIEWS.encode()
    assert seqcli("predict", model, "--input", "csv", "--column", "review", stdin=stdin) == (0, expected, EMPTY)
    named = seqcli("predict", model, "reviews.csv", "--column", "review", "--into", "mood").out
    assert named == expected.replace("prediction", "mood")
    again = seqcli("predict", model, "-", "--input", "csv", "--column", "review", "--into", "b", stdin=named.encode())
    assert again.out.startswith("id,review,note,mood,b\n")
    without_header = "\n".join(REVIEWS.split("\n")[1:])
    by_number = seqcli("predict", model, "--input", "csv", "--column", "1", stdin=without_header.encode())
    assert by_number == (0, "\n".join(expected.split("\n")[1:]), EMPTY)
    with_header = seqcli("predict", model, "--input", "csv", "--column", "1", stdin=REVIEWS.encode())
    assert with_header.out.startswith("id,review,note,")
    assert with_header.err == EMPTY + (
        "warning: <stdin>: the first row looks like a header, and was predicted as the others were: --column 'review' "
        "makes it one\n"
    )
    assert seqcli("predict", model, "--input", "csv", "--column", "a", stdin=b"a\n") == (0, "a,prediction\n", "")
    assert seqcli("predict", model, "--input", "csv", "--column", "a", stdin=b"") == (0, "", "")


def test_probabilities_in_columns(seqcli: Program, classifiers: Path) -> None:
    plain = seqcli("predict", "bag", "--top", "9", stdin=b"not boring\n").out.strip().split("\t")
    table = b"text\nnot boring\n"

    def row(*options: str) -> list[list[str]]:
        out = seqcli("predict", "bag", "--input", "csv", "--column", "text", *options, stdin=table).out
        return [*csv.reader(io.StringIO(out))]

    assert row("--scores") == [["text", "prediction", "prediction_probability"], ["not boring", *plain[:2]]]
    names = ["text", "prediction", "prediction_probability", "prediction_2", "prediction_2_probability"]
    assert row("--top", "2") == [names, ["not boring", *plain[:4]]]
    all_names, all_cells = row("--top", "9")
    assert (len(all_names), all_cells[1:]) == (len(plain) + 1, plain)


def test_tsv_and_several_labels(seqcli: Program, classifiers: Path) -> None:
    both, none = labels(seqcli, "several", "rain and wind", "sun")
    (classifiers / "days.TSV").write_text('n\tday\n"1\train and wind\n\n2\tsun\n')
    code, out, err = seqcli("predict", "several", "days.TSV", "--column", "day")
    assert (code, out, err) == (0, f'n\tday\tprediction\n"1\train and wind\t{both}\n\n2\tsun\t{none}\n', "")
    assert both.count(",") == 1
    scored = seqcli("predict", "several", "days.TSV", "--column", "-1", "--scores", stdin=b"").out
    assert [len(line.split("\t")) for line in scored.splitlines()] == [4, 4, 1, 4]


def test_a_key_of_json_lines(seqcli: Program, classifiers: Path) -> None:
    (classifiers / "a.jsonl").write_text('{"text": "not boring", "n": 1.10}\n\n{"text":["dull","film"]} \n')
    one, two = labels(seqcli, "bag", "not boring", "dull film")
    code, out, err = seqcli("predict", "bag", "a.jsonl", "--column", "text")
    assert (code, err) == (0, "")
    assert out == (
        f'{{"text": "not boring", "n": 1.10, "prediction": "{one}"}}\n\n'
        f'{{"text":["dull","film"], "prediction": "{two}"}}\n'
    )
    rows = [
        json.loads(line)
        for line in seqcli("predict", "bag", "a.jsonl", "--column", "text", "--jsonl").out.split("\n")
        if line
    ]
    assert [row["prediction"] for row in rows] == [one, two]
    scored = json.loads(seqcli("predict", "bag", "a.jsonl", "--column", "text", "--top", "2").out.split("\n")[0])
    assert next(iter(scored["prediction_scores"])) == scored["prediction"] == one
    assert len(scored["prediction_scores"]) == 2
    assert (
        '"prediction": ["rain"]'
        in seqcli("predict", "several", "--input", "jsonl", "--column", "t", stdin=b'{"t":"rain"}').out
    )


@pytest.mark.parametrize("model", ["tiny", "bag"])
def test_rows_are_answered_one_by_one(classifiers: Path, model: str) -> None:
    with subprocess.Popen(
        [sys.executable, "-m", "seqcli", "predict", model, "--input", "csv", "--column", "text"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env=environment(),
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        for line, begin in (
            (b"text,n\n", b"text,n,prediction"),
            (b'"a\n', None),
            (b'b",1\n', b'"a'),
            (b"dull,2\n", b'b",1,'),
        ):
            process.stdin.write(line)
            process.stdin.flush()
            if begin is not None:
                assert process.stdout.readline().startswith(begin)
        process.stdin.close()
        assert process.stdout.read().startswith(b"dull,2,")
    assert process.returncode == 0


def test_rows_before_a_bad_one_are_answered(seqcli: Program, classifiers: Path) -> None:
    (classifiers / "bad.csv").write_text("text,n\ndull,1\nboring,2\nlong\nfine,4\n")
    code, out, err = seqcli("predict", "bag", "bad.csv", "--column", "text")
    assert (code, err) == (65, "error: bad.csv:4: 1 column where the first row has 2\n")
    assert [line.split(",")[0] for line in out.splitlines()] == ["text", "dull", "boring"]
    missing = seqcli("predict", "bag", "none.csv", "--column", "text")
    assert missing == (74, "", "error: none.csv: cannot read: No such file or directory\n")
    code, out, err = seqcli("predict", "bag", "--input", "csv", "--column", "a", stdin=b"a,b\nx,\xff\n")
    assert (code, err.startswith("error: <stdin>:2: invalid UTF-8 at byte 3 of the line (0xff)")) == (65, True)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            "bag a.csv",
            "a.csv is csv: which column holds the text? Add --column NAME, or its number from 0; --input lines reads it as plain lines.",
        ),
        (
            "bag --input jsonl",
            "<stdin> is jsonl: which column holds the text? Add --column NAME, or its number from 0; --input lines reads it as plain lines.",
        ),
        (
            "bag --column text",
            "--column is of a table, and <stdin> is read as plain lines. Say what it is: --input csv.",
        ),
        (
            "bag a.txt --column 0",
            "--column is of a table, and a.txt is read as plain lines. Say what it is: --input csv.",
        ),
        ("bag a.csv --column text --into=", "--into: a column needs a name"),
        ("bag --format=", "--format: unknown value ''. Known: tsv, jsonl."),
        ("bag --input cvs", "--input: unknown value 'cvs'. Did you mean 'csv'?"),
        ("bag --input conll", "--input conll is for taggers; bag@1 is a classifier"),
        ("motion --input csv", "--input is for text; motion@1 reads frames"),
        ("motion test.ts --column 1", "--column is for text; motion@1 reads frames"),
        (
            "bag a.csv --column text --jsonl",
            "--format jsonl: csv stays csv, with the prediction in each row. Leave it out.",
        ),
    ],
)
def test_what_is_no_table_for_a_classifier(seqcli: Program, classifiers: Path, arguments: str, message: str) -> None:
    for name in ("a.csv", "a.txt"):
        (classifiers / name).write_text("text\nboring\n")
    assert seqcli("predict", *arguments.split()) == (2, "", f"error: {message}\n")


def test_plain_lines_of_a_table_on_demand(seqcli: Program, classifiers: Path) -> None:
    (classifiers / "a.csv").write_text("boring\nnot boring\n")
    expected = labels(seqcli, "bag", "boring", "not boring")
    assert seqcli("predict", "bag", "a.csv", "--input", "lines").out.splitlines() == expected
    (classifiers / "a.conll").write_text("boring\nnot boring\n")
    assert seqcli("predict", "bag", "a.conll").out.splitlines() == expected


# -- taggers

CONLL = "# id = 7\nRavi\tX\tB-PER\nmet\tY\tO\n\n\nAnna\tX\tB-PER\n"


def tags(seqcli: Program, *lines: str) -> list[list[str]]:
    """What ``predict`` says of lines of tokens."""
    out = seqcli(
        "predict", "tiny", "--tokens", "--format", "tsv", stdin="".join(f"{line}\n" for line in lines).encode()
    )
    return [line.split("\t")[1].split(" ") for line in out.out.splitlines()]


def test_conll_gets_a_column_of_tags(seqcli: Program, trained: Path) -> None:
    (one, two), (three,) = tags(seqcli, "Ravi met", "Anna")
    expected = f"# id = 7\nRavi\tX\tB-PER\t{one}\nmet\tY\tO\t{two}\n\n\nAnna\tX\tB-PER\t{three}\n"
    for name in ("a.conll", "a.bio", "a.IOB", "a.iob2"):
        (trained / name).write_text(CONLL)
        assert seqcli("predict", "tiny", name) == (0, expected, "")
    (trained / "a.txt").write_text(CONLL)
    assert seqcli("predict", "tiny", "a.txt", "--input", "conll") == (0, expected, "")
    assert seqcli("predict", "tiny", "--input", "conll", stdin=CONLL.encode()) == (0, expected, "")
    assert seqcli("predict", "tiny", "a.conll", "--format", "conll") == (0, expected, "")
    scored = seqcli("predict", "tiny", "a.conll", "--scores").out.splitlines()
    assert [line.split("\t")[:4] for line in scored] == [line.split("\t") for line in expected.splitlines()]
    assert all(0 < float(line.split("\t")[4]) <= 1 for line in scored if line.count("\t"))
    inline = seqcli("predict", "tiny", "a.conll", "--format", "inline")
    assert inline == (0, f"Ravi/{one} met/{two}\nAnna/{three}\n", "")
    spaced = CONLL.replace("\t", " ")
    assert seqcli("predict", "tiny", "--input", "conll", stdin=spaced.encode()).out == expected.replace("\t", " ")
    by_number = seqcli("predict", "tiny", "--input", "conll", "--column", "1", stdin=b"7\tRavi\n8\tmet\n")
    assert by_number == (0, f"7\tRavi\t{one}\n8\tmet\t{two}\n", "")


def test_spans_scores_what_predict_adds_as_evaluate_does(seqcli: Program, trained: Path) -> None:
    sentences = (trained / "test.conll").read_text().split("\n\n")
    (trained / "test.conll").write_text("".join(f"# id = {at}\n{one}\n\n" for at, one in enumerate(sentences)))
    (trained / "predicted.conll").write_text(seqcli("predict", "tiny", "test.conll").out)
    spans = json.loads(seqcli("spans", "predicted.conll", "--scheme", "bio", "--json").out)
    evaluated = json.loads(seqcli("evaluate", "tiny", "test.conll", "--json").out)
    assert spans["value"] == pytest.approx(evaluated["score"]["value"])


def test_conllu_gets_an_eleventh_column(seqcli: Program, trained: Path) -> None:
    text = "# text = du Ravi\n1-2\tdu\t_\t_\t_\t_\t_\t_\t_\t_\n" + conllu([("Ravi met Anna", "O O O")])
    (trained / "a.conllu").write_text(text)
    code, out, err = seqcli("predict", "tiny", "a.conllu")
    assert (code, err) == (0, "")
    expected = ["_", *tags(seqcli, "Ravi met Anna")[0]]
    rows = [line for line in text.splitlines() if line and line[0] != "#"]
    assert [line for line in out.splitlines() if line and line[0] != "#"] == [
        f"{row}\t{tag}" for row, tag in zip(rows, expected, strict=True)
    ]
    assert out.count("\n") == text.count("\n")


def test_a_tagger_over_cells_and_objects(seqcli: Program, trained: Path) -> None:
    line = seqcli("predict", "tiny", stdin=b"Ravi met Anna\n").out.strip()
    code, out, err = seqcli("predict", "tiny", "--input", "csv", "--column", "t", stdin=b"t,n\nRavi met Anna,1\n")
    assert (code, out, err) == (0, f"t,n,prediction\nRavi met Anna,1,{line}\n", "")
    document = json.loads(seqcli("predict", "tiny", "--jsonl", stdin=b" Ravi  met\tAnna\n").out)
    stdin = b'{"t": " Ravi  met\\tAnna"}\n{"t": ["Ravi", "met", "Anna"]}\n'
    rows = [
        json.loads(row)
        for row in seqcli("predict", "tiny", "--input", "jsonl", "--column", "t", stdin=stdin).out.splitlines()
    ]
    assert rows[0] == {"t": " Ravi  met\tAnna", "prediction": document}
    for span in document["spans"]:
        del span["start_char"], span["end_char"]
    assert rows[1]["prediction"] == document


LOOKS = "warning: <stdin> looks like CoNLL, a token and its tag a line, and each line was read as a sentence: add --input conll\n"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("Tom B-PER\nmet O\n\nAnna B-PER\n", LOOKS),
        ("Tom B-PER\n", LOOKS),
        ("# id\nmet X O\n\nTom X B-PER\n", LOOKS),
        ("Tom\tB-PER\n", LOOKS),
        ("met O\nin O\nby O\n", LOOKS),
        ("met O\nin O\n", ""),
        ("met in O\nTom B-PER\n", ""),
        ("Tom met Anna\nB-PER\n", ""),
        ("Tom met\nAnna B-PER\n", ""),
        ("O O\nmet Anna\n", ""),
        ("\n\n", ""),
    ],
)
def test_conll_that_is_read_as_plain_lines_is_said(seqcli: Program, trained: Path, text: str, said: str) -> None:
    code, out, err = seqcli("predict", "tiny", stdin=text.encode())
    assert (code, out.count("\n"), err) == (0, text.count("\n"), said)
