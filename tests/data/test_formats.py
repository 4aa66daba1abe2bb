import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seqcli.data.chunks import chunks
from seqcli.data.formats import FORMATS, Reading, clean_tag, format_class, guess_format, guess_from_lines, read_examples
from seqcli.errors import UserError
from seqcli.lines import Chunk, read_batches, read_blocks, read_lines


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        (["Paris\tB-LOC", "is\tO", "", "Rome\tO"], "conll"),
        (["# id 1", "EU NNP O", "", "-DOCSTART-", "", "it PRP O"], "conll"),
        (["# text = a", "1\ta\ta\tX\tX\t_\t0\troot\t_\t_", ""], "conllu"),
        (['{"text": "a"}', '{"text": "b"}'], "jsonl"),
        (["good film\tpos", "bad film\tneg"], "tsv"),
        (["The/DT dog/NN", "", "It/PRP barks/VBZ ./."], "inline"),
        (["It was late.", "", "Nobody answered the phone and/or the door."], "lines"),
        (["Paris\tB-LOC", "is\tO", "x", "", "Rome\tO"], "conll"),  # one ragged line does not make prose of it
        ([], "lines"),
    ],
)
def test_a_format_is_guessed_from_the_lines(lines, expected):
    assert guess_from_lines(lines) == expected


SMALL = {
    "conll": ("Paris\tB-LOC\nis\tO\n\nRome\tO\n", 2),
    "conllu": ("1\ta\ta\tX\tX\t_\t0\troot\t_\t_\n", 1),
    "inline": ("The/DT dog/NN\n", 1),
    "po": ('msgid "a"\nmsgstr "b"\n', 1),
    "tsv": ("good film\tpos\nbad film\tneg\n", 2),
    "csv": ('text,label\n"a ""good"" film,\nwith a break",pos\nbad,neg\n', 2),
    "jsonl": ('{"text": "a"}\n', 1),
    "lines": ("It was late.\n\nNobody came.\n", 2),
    "records": ("Roses are red,\nviolets blue all day long.\n\nOnce\n", 2),
    "labelled": ("pos good film\n", 1),
    "ts": ("@classLabel true a\n@data\n1,2:3,4:a\n", 1),
    "frames": ("walk.csv\tx\n", 1),
    "npz": ("file\tstart\tlength\nwalk.npy\t0\t1\nwalk.npy\t0\t2\n", 2),
    "manifest": ("walk.wav\tone two\nwalk.wav\tthree\n", 2),
    "kaldi": ("walk one two\n", 1),
    "ljspeech": ("walk|1 2|one two\n", 1),
    "series": ("name,date,y\na,2020-01-01,1\nb,2020-01-01,2\na,2020-01-02,3\n", 2),
    "series-rows": ("a,1,2\nb,3,4,5\n", 2),
    "csv-folders": (None, 1),
    "media-folders": (None, 1),
}


def test_every_format_has_a_small_example():
    assert {*FORMATS} == {*SMALL, "parallel", "captions", "coco"}  # which have test files of their own


@pytest.mark.parametrize("name", SMALL)
def test_every_format_reads_its_example_whole_and_in_chunks(tmp_path, name):
    text, count = SMALL[name]
    (tmp_path / "walk.csv").write_text("1,2\n3,4\n")
    np.save(tmp_path / "walk.npy", np.eye(2))
    (tmp_path / "wav.scp").write_text("walk walk.wav\n")
    path = tmp_path / "walk.csv" if text is None else tmp_path / "example"
    if text is not None:
        path.write_text(text)
    recognised = ("conll", "conllu", "inline", "po", "tsv", "csv", "jsonl", "frames", "npz", "manifest")
    recognised += ("series", "series-rows")
    assert guess_format(path) == (name if name in recognised else "csv" if text is None else "lines")
    reading = Reading(name)
    assert format_class(name).name == name
    assert len(list(read_examples(path, reading))) == count
    parts = chunks(path, name, 1)
    assert sum(len(list(read_examples(part, reading))) for part in parts) == count
    form = format_class(name)(reading)
    before = form.fingerprint(path)
    path.write_text(path.read_text() + "\n")
    assert form.fingerprint(path) != before
    assert list(form.lint(path)) == []
    (tmp_path / "empty").write_text("")
    errors = []
    assert list(read_examples(tmp_path / "empty", reading, on_error=errors.append)) == []


def test_a_format_is_guessed_from_the_name_first(tmp_path):
    path = tmp_path / "x.conllu.gz"
    assert guess_format(path) == "conllu"  # never opened
    with pytest.raises(UserError) as caught:
        guess_format("-")
    assert caught.value.code == 2


@pytest.mark.parametrize(
    ("format_name", "columns", "message"),
    [
        ("conll", {"tok": 0}, "data.columns: unknown column 'tok'. Did you mean 'token'?"),
        ("conll", {"tag": "ner"}, "data.columns.tag: CoNLL columns have numbers, not names: 'ner'"),
        ("inline", {"tag": 1}, "data.columns: the inline format has no columns"),
        ("tsv", {"tag": 1}, "data.columns: name the column of the source or of the tokens"),
    ],
)
def test_columns_are_checked(format_name, columns, message):
    with pytest.raises(UserError) as caught:
        format_class(format_name).check_columns(columns)
    assert (str(caught.value), caught.value.code) == (message, 2)


def test_column_names_have_synonyms():
    assert format_class("tsv").check_columns({"tokens": 0, "tags": 1}) == {"token": 0, "tag": 1}
    assert format_class("jsonl").check_columns({"text": "t", "label": "l"}) == {"source": "t", "target": "l"}


@pytest.mark.parametrize(
    ("tag", "clean"),
    [
        ("np-tl", "np"),
        ("fw-in+nn-tl-hl", "in+nn"),
        ("--", "--"),
        ("---hl", "--"),
        ("(-hl", "("),
        ("-hl", "-hl"),
        ("fw-", "fw-"),
        ("fw-*-tl", "*"),
    ],
)
def test_brown_tags_lose_prefixes_and_suffixes(tag, clean):
    assert clean_tag(tag, ("fw-",), ("-tl", "-hl", "-nc")) == clean


CELL = st.text(st.characters(codec="utf-8", exclude_characters="\n\t\r "), min_size=1, max_size=3).filter(
    lambda text: text[0] not in "#-\ufeff"
)
SENTENCE = st.lists(st.tuples(CELL, CELL), min_size=1, max_size=4)
BLANK = st.sampled_from(["\n", " \n", "\t\n", "\n\n", "\r\n"])


@given(
    st.lists(st.tuples(SENTENCE, BLANK), max_size=8),
    st.sampled_from("\t "),
    st.sampled_from(["\n", "\r\n"]),
    st.integers(1, 40),
)
@settings(max_examples=150, deadline=None)
def test_the_parts_of_a_conll_file_are_the_file(tmp_path_factory, content, separator, end, size):
    path = tmp_path_factory.mktemp("parts") / "x.conll"
    text = "".join("".join(f"{a}{separator}{b}{end}" for a, b in rows) + blank for rows, blank in content)
    path.write_bytes(text.encode())
    reading = Reading("conll")
    whole = list(read_examples(path, reading))
    assert [(example.source, example.target) for example in whole] == [
        ([a for a, _ in rows], [b for _, b in rows]) for rows, _ in content
    ]
    parts = chunks(path, "conll", size)
    assert [example for part in parts for example in read_examples(part, reading)] == whole
    assert [part.start for part in parts[1:]] == [part.end for part in parts[:-1]]


def lines_of(data: bytes) -> list[str]:
    """What line-exact reading means, in the fewest words."""
    *ended, rest = data.removeprefix(b"\xef\xbb\xbf").split(b"\n")
    raws = [raw.removesuffix(b"\r") for raw in ended] + ([rest] if rest else [])
    return [raw.decode("utf-8", "replace") for raw in raws]


@given(
    st.one_of(
        st.binary(max_size=200),
        st.lists(st.sampled_from([b"a", b"\n", b"\r\n", b"\r", b"\xef\xbb\xbf", b"\xff", b"\xc3"])).map(b"".join),
    ),
    st.integers(1, 50),
)
@settings(max_examples=200, deadline=None)
def test_lines_end_at_line_feeds_however_they_are_read(tmp_path_factory, data, size):
    path = tmp_path_factory.mktemp("blocks") / "x.txt"
    path.write_bytes(data)
    expected = list(enumerate(lines_of(data), 1))
    assert list(read_lines(path, on_invalid="replace")) == expected
    assert [line for lines in read_batches(path, on_invalid="replace", block=size) for line in lines] == lines_of(data)
    parts = chunks(path, "lines", size)
    assert [
        (number, line)
        for part in parts
        for first, lines in read_blocks(part, on_invalid="replace")
        for number, line in enumerate(lines, first)
    ] == expected


@given(st.lists(st.sampled_from([b"ab", b"a\xff", b"abcdef", b"c\r", b""]), max_size=6), st.integers(1, 50))
@settings(max_examples=100, deadline=None)
def test_the_lines_before_a_bad_one_are_read(tmp_path_factory, lines, size):
    path = tmp_path_factory.mktemp("bad") / "x.txt"
    path.write_bytes(b"".join(line + b"\n" for line in lines))
    bad = next((index for index, line in enumerate(lines) if line in (b"a\xff", b"abcdef")), None)
    good = []

    def read(read_some):
        for some in read_some:
            good.append(some[1])

    if bad is None:
        read(read_lines(path, max_line=5))
    else:
        for reader in (read_blocks(path, max_line=5, block=size), read_lines(path, max_line=5)):
            good.clear()
            with pytest.raises(UserError) as caught:
                read(reader)
            assert (caught.value.line, caught.value.code) == (bad + 1, 65)
    assert good == lines_of(b"".join(line + b"\n" for line in lines[:bad]))


def test_an_error_in_a_part_names_the_line_of_the_file(tmp_path):
    path = tmp_path / "x.conll"
    path.write_text("a O\n\n" * 50 + "b O\nbad\n")
    parts = chunks(path, "conll", 40)
    assert len(parts) > 5
    with pytest.raises(UserError) as caught:
        list(read_examples(parts[-1], Reading("conll")))
    assert caught.value.line == 102


def test_a_part_has_the_layout_and_the_header_of_its_file(tmp_path):
    path = tmp_path / "x.conll"
    path.write_text("a\tO\n\n# O\nb\tO\n")
    assert [example.source for example in read_examples(Chunk(path, 5, None, 3), Reading("conll"))] == [["b"]]
    path = tmp_path / "x.tsv"
    path.write_text("text\tlabel\na b\tX\nc\tY\n")
    reading = Reading("tsv", {"source": "text", "target": "label"})
    parts = chunks(path, "tsv", 5)
    assert [(e.source, e.target, e.at[-2:]) for part in parts for e in read_examples(part, reading)] == [
        ("a b", "X", ":2"),
        ("c", "Y", ":3"),
    ]


def test_parts_of_a_missing_file(tmp_path):
    with pytest.raises(UserError) as caught:
        chunks(tmp_path / "no.conll", "conll")
    assert caught.value.code == 74
