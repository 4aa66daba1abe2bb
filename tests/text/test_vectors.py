"""Files of word vectors: every form read, what is written comes back, every fault told with its line."""

import gzip

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from seqcli.errors import ExitCode, UserError
from seqcli.text.vectors import FORMATS, read_vector_file, read_vectors, vector_lines

ROWS = "king 1 2.5 -3\nqueen 4e-1 5 6\n"
KING, QUEEN = [1, 2.5, -3], [0.4, 5, 6]


def whole(path):
    words, matrix = read_vector_file(path)
    assert matrix.dtype == np.float32
    return dict(zip(words, matrix.tolist(), strict=True))


@pytest.mark.parametrize(
    "text",
    [
        ROWS,
        "2 3\n" + ROWS,
        ROWS.replace(" ", "\t"),
        ROWS.replace("\n", " \n"),
        "\ufeff" + ROWS.replace("\n", "\r\n"),
        ROWS + "king 9 9 9\n",
    ],
)
def test_every_form_is_read(tmp_path, text):
    (tmp_path / "v.txt").write_bytes(text.encode())
    (tmp_path / "v.txt.gz").write_bytes(gzip.compress(text.encode()))
    for name in ("v.txt", "v.txt.gz"):
        assert whole(tmp_path / name) == {"king": KING, "queen": pytest.approx(QUEEN)}
        some = read_vectors(tmp_path / name, 3, {"queen"})
        assert {word: row.tolist() for word, row in some.items()} == {"queen": pytest.approx(QUEEN)}


def test_a_word_may_hold_spaces_and_odd_line_ends(tmp_path):
    (tmp_path / "v.txt").write_text("a 1 2\nat name 3 4\nx\u2028y 5 6\n", encoding="utf-8")
    assert whole(tmp_path / "v.txt") == {"a": [1, 2], "at name": [3, 4], "x\u2028y": [5, 6]}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", ": no vectors: the file is empty"),
        ("0 3\n", ": no vectors: the file is empty"),
        ("king\n", ":1: expected a word and its values, found 0 values"),
        ("king 1 2\nqueen 1\n", ":2: expected a word and 2 values, found 1 value"),
        ("king 1 2\n\n", ":2: expected a word and 2 values, found 0 values"),
        ("king 1 2\nqueen 1 x\n", ":2: a value is not a number"),
        ("king 1 2\nqueen 1 nan\n", ":2: a value is infinite or not a number"),
        ("king 1 2\nqueen 1 1e99\n", ":2: a value is infinite or not a number"),
        (
            "3 2\nking 1 2\nqueen 1 2\n",
            ":1: the first line says 3 vectors, and there are 2: cut off? If they are all that is wanted, write '2 2' there.",
        ),
    ],
)
def test_faults(tmp_path, text, message):
    path = tmp_path / "v.txt"
    path.write_text(text)
    with pytest.raises(UserError) as caught:
        read_vector_file(path)
    assert str(caught.value).startswith(f"{path}{message}")
    assert caught.value.code == ExitCode.DATA


def test_a_file_cut_off_in_its_compressed_form_and_a_missing_one(tmp_path):
    path = tmp_path / "v.txt.gz"
    path.write_bytes(gzip.compress(ROWS.encode() * 100)[:-20])
    with pytest.raises(UserError, match="cannot read") as caught:
        read_vector_file(path)
    assert caught.value.code == ExitCode.IO
    with pytest.raises(UserError, match="No such file") as caught:
        read_vector_file(tmp_path / "none.txt")
    assert caught.value.code == ExitCode.IO


@pytest.mark.parametrize("name", ["v.bin", "v.bin.gz"])
def test_the_binary_form_is_refused(tmp_path, name):
    (tmp_path / name).write_bytes(b"1 2\nking \0\0\0\0\0\0\0\0")
    with pytest.raises(UserError, match=r"binary form is not read\. gensim makes it text"):
        read_vector_file(tmp_path / name)


def test_vectors_of_another_size_than_the_recipe_says(tmp_path):
    (tmp_path / "v.txt").write_text("2 3\n" + ROWS)
    with pytest.raises(UserError, match=r"v.txt:1: vectors have 3 values, embedder.dim is 5"):
        read_vectors(tmp_path / "v.txt", 5, None)
    (tmp_path / "v.txt").write_text(ROWS)
    with pytest.raises(UserError, match=r"v.txt:1: expected a word and 5 values, found 3 values"):
        read_vectors(tmp_path / "v.txt", 5, None)


TABLES = st.integers(2, 4).flatmap(
    lambda dim: st.dictionaries(
        st.text(st.characters(exclude_characters="\n\r\t \ufeff", exclude_categories=["Cs"]), min_size=1),
        st.lists(st.floats(width=32, allow_nan=False, allow_infinity=False), min_size=dim, max_size=dim),
        min_size=1,
    )
)


@given(TABLES, st.sampled_from(FORMATS))
def test_what_is_written_comes_back_to_the_last_bit(tmp_path_factory, table, form):
    path = tmp_path_factory.mktemp("v") / "v.txt"
    matrix = np.array(list(table.values()), np.float32)
    lines = list(vector_lines(list(table), iter(matrix), matrix.shape[1], form))
    path.write_bytes("".join(f"{line}\n" for line in lines).encode())
    words, read = read_vector_file(path)
    assert words == list(table)
    assert read.tobytes() == matrix.tobytes()


def test_what_is_written():
    matrix = np.array([[1, 0.1], [-2.5, 1e-7]], np.float32)
    lines = {form: list(vector_lines(["a", "b c"], matrix, 2, form)) for form in FORMATS}
    rows = ["a 1 0.100000001", "b c -2.5 1.00000001e-07"]
    assert lines == {
        "word2vec": ["2 2", *rows],
        "glove": rows,
        "tsv": ["a\t1\t0.100000001", "b c\t-2.5\t1.00000001e-07"],
    }
    for word, form in (("a\nb", "glove"), ("a\tb", "tsv")):
        with pytest.raises(UserError, match="would break its line"):
            list(vector_lines([word], matrix[:1], 2, form))
