"""Running texts and records: blank lines kept, line breaks kept, files cut into parts without cutting a record."""

import gzip

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seqcli.data.chunks import chunks
from seqcli.data.corpus import open_corpus
from seqcli.data.example import Example
from seqcli.data.formats import Reading, guess_format, read_examples
from seqcli.errors import UserError
from seqcli.recipe.data import DataConfig

TUNES = "% a book\n\nX:1\nT:One\nK:C\nabc|\nX:2\nK:D\ndef|\n\nsaid of the next\nX:3\nK:E\n\n\nlost\n"


def write(tmp_path, content, name="data.txt"):
    path = tmp_path / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def read(path, **options):
    return read_examples(path, Reading("records", **options))


def test_records_stand_between_blank_lines_and_keep_their_line_breaks(tmp_path):
    path = write(tmp_path, "\n\nRoses are red\n  violets blue\n \t\n\nOne line")
    assert list(read(path)) == [
        Example("Roses are red\n  violets blue", None, f"{path}:3"),
        Example("One line", None, f"{path}:7"),
    ]


def test_a_record_begins_where_its_first_line_says_so(tmp_path):
    path = write(tmp_path, TUNES)
    assert list(read(path, record_start="X:")) == [
        Example("X:1\nT:One\nK:C\nabc|", None, f"{path}:3"),
        Example("X:2\nK:D\ndef|", None, f"{path}:7"),
        Example("X:3\nK:E", None, f"{path}:12"),
    ]


@pytest.mark.parametrize(
    "content",
    [b"\xef\xbb\xbf" + TUNES.encode(), TUNES.replace("\n", "\r\n").encode(), gzip.compress(TUNES.encode(), mtime=0)],
)
def test_a_byte_order_mark_crlf_and_gzip_change_nothing(tmp_path, content):
    path = write(tmp_path, content, "data.txt.gz" if content[:1] == b"\x1f" else "data.txt")
    plain = write(tmp_path, TUNES, "plain.txt")
    for start in (None, "X:"):
        found, expected = (
            [(one.source, one.at.rpartition(":")[2]) for one in read(file, record_start=start)]
            for file in (path, plain)
        )
        assert found == expected


@given(
    st.lists(st.sampled_from(["", " ", "a", "X:1", "X:2\r", "b c"]), max_size=30),
    st.integers(1, 40),
    st.sampled_from([None, "X:"]),
)
def test_parts_give_the_records_of_the_whole_file(tmp_path_factory, lines, size, start):
    path = write(tmp_path_factory.mktemp("parts"), "\n".join(lines))
    reading = Reading("records", record_start=start)
    parts = [example for part in chunks(path, "records", size) for example in read_examples(part, reading)]
    assert parts == list(read_examples(path, reading))


def test_an_abc_file_is_guessed_and_its_tunes_begin_with_x(tmp_path):
    path = write(tmp_path, TUNES, "tunes.abc")
    assert guess_format(path) == "records"
    corpus = open_corpus(DataConfig(train=str(path)))
    assert len(list(corpus.examples("train"))) == 3
    assert corpus.reading("train").format == "records"
    assert len(list(open_corpus(DataConfig(train=str(path), format="records")).examples("train"))) == 4


def test_blank_lines_are_kept_where_the_recipe_says_so(tmp_path):
    path = write(tmp_path, "To be,\n\n or not\r\n\n")

    def sources(**fields):
        return [one.source for one in open_corpus(DataConfig(train=str(path), **fields)).examples("train")]

    assert sources(format="lines", blank_lines="keep") == ["To be,", "", " or not", ""]
    assert sources(format="lines") == sources(format="lines", blank_lines="skip") == ["To be,", " or not"]
    kept = Reading("lines", blank_lines="keep")
    parts = [example for part in chunks(path, "lines", 4) for example in read_examples(part, kept)]
    assert [(one.source, one.at.rpartition(":")[2]) for one in parts] == [
        ("To be,", "1"),
        ("", "2"),
        (" or not", "3"),
        ("", "4"),
    ]


def test_only_blank_lines_are_no_text_even_if_kept(tmp_path):
    path = write(tmp_path, "\n \n\n")
    with pytest.raises(UserError, match="only blank lines") as caught:
        open_corpus(DataConfig(train=str(path), format="lines", blank_lines="keep"))
    assert (caught.value.code, caught.value.file) == (65, str(path))


def test_the_fingerprint_knows_blank_lines_and_record_starts(tmp_path):
    path = str(write(tmp_path, TUNES))

    def fingerprint(**fields):
        return open_corpus(DataConfig(train=path, **fields)).fingerprint("train")

    lines = fingerprint(format="lines")
    assert lines == fingerprint(format="lines", blank_lines="skip")
    assert lines != fingerprint(format="lines", blank_lines="keep")
    assert fingerprint(format="records") != fingerprint(format="records", record_start="X:")


def test_a_file_in_place_of_a_catalogue_split_is_read_as_the_catalogue_reads(tmp_path):
    path = str(write(tmp_path, "To be\n\n", "mine.txt"))
    config = {"corpus": "tinyshakespeare", "test": path, "format": "lines"}
    corpus = open_corpus(DataConfig(**config), splits=("test",))
    assert [one.source for one in corpus.examples("test")] == ["To be", ""]
    corpus = open_corpus(DataConfig(**config, blank_lines="skip"), splits=("test",))
    assert [one.source for one in corpus.examples("test")] == ["To be"]
