import pytest

from seqcli.data import convert
from seqcli.data.corpus import choose_splits
from seqcli.data.formats import Reading
from seqcli.data.lint import lint
from seqcli.data.statistics import describe, scheme_of
from seqcli.errors import UserError
from seqcli.metrics import schemes


def splits_of(tmp_path, *contents, suffix=".conll", **reading):
    paths = []
    for number, content in enumerate(contents):
        path = tmp_path / f"{number}{suffix}"
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        paths.append(str(path))
    return choose_splits(paths, Reading(**reading))[0]


def findings(tmp_path, *contents, scheme=None, **options):
    """(file name, line, kind) of each fault."""
    found = lint(splits_of(tmp_path, *contents, **options), scheme)
    return [(one.file.rpartition("/")[2], one.line, one.kind) for one in found if not one.is_note]


TRAIN = "Asha B-PER\nRao I-PER\nslept O\n\nRome B-LOC\n\nRome B-LOC\n\n"
TEST = "Rome B-LOC\n\nAsha B-PER\nwent O\nto O\nRome B-LOC\n\nOslo B-LOC\nx B-ORG\n\n"


def test_statistics_of_two_splits(tmp_path):
    train, test = describe(splits_of(tmp_path, TRAIN, TEST), "bio")
    assert (train.sentences, train.tokens, train.types, train.repeated_sentences) == (3, 5, 4, 1)
    assert train.lengths == {"min": 1, "p1": 1, "p10": 1, "p50": 1, "p90": 3, "p99": 3, "max": 3}
    assert train.mean_length == 1.67
    assert train.labels == {"B-LOC": 2, "B-PER": 1, "I-PER": 1, "O": 1}
    assert train.spans == {"LOC": 2, "PER": 1}
    assert (train.unknown_tokens, train.seen_spans) == (None, None)
    assert test.spans == {"LOC": 3, "PER": 1, "ORG": 1}
    assert (test.unknown_tokens, test.unknown_types) == (4 / 7, 4 / 6)  # went to Oslo x
    assert (test.seen_sentences, test.seen_spans) == (1 / 3, 2 / 5)
    assert test.unseen_labels == ["B-ORG"]


def test_statistics_without_tags_or_with_one_label(tmp_path):
    (lines,) = describe(splits_of(tmp_path, "a b\n\nc\n", suffix=".txt", format="lines"), None)
    assert (lines.sentences, lines.tokens, lines.labels, lines.spans) == (2, 3, {}, {})
    (tsv,) = describe(splits_of(tmp_path, "a b\tpos\nc\tneg\nd\tpos\n", suffix=".tsv"), None)
    assert (tsv.tokens, tsv.labels) == (4, {"pos": 2, "neg": 1})


@pytest.mark.parametrize(
    ("text", "scheme"),
    [
        (TRAIN, "bio"),
        ("a I-X\nb O\n\n", "io"),
        ("a S-X\nb O\n\n", "bioes"),
        ("a NN\nb DT\n\n", None),
        ("a O\nb O\n\n", None),
        ("a B-X\nb Q-X\n\n" + "a B-X\nb I-X\n\n" * 30, "bio"),  # one slip of the pen
        ("a B-X\nb\n\nc B-X\nd I-X\n\n", "bio"),  # what cannot be read is not asked
    ],
)
def test_the_scheme_of_a_file(tmp_path, text, scheme):
    assert scheme_of(splits_of(tmp_path, text)[0]) == scheme


def test_a_clean_set_has_no_fault(tmp_path):
    assert findings(tmp_path, TRAIN, "Asha B-PER\n\n", scheme="bio") == []


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a O\nb I-X\n\nc B-X\nd I-Y\n", [(2, "tags"), (5, "tags")]),
        ("a O\nb\n\nc O O\nd\n\ne O\n", [(2, "format"), (4, "format"), (5, "format")]),
        ("a\tO\nb O\n\nc \tO\n", [(2, "separators"), (4, "separators")]),
        ("a O\nb\tO\n", [(2, "separators")]),
        ("a\tO\nb\n", [(2, "format")]),
        ("a\tO\n\tO\n", [(2, "format")]),
        ("a O", [(1, "newline")]),
        (b"a O\nK\xf6ln O\n\n\xff O\n", [(2, "encoding"), (4, "encoding")]),
        ("a\x00 O\nb\x85 O\nc\u2028 O\nd\re O\nf\x0c O\n", [(number, "control") for number in range(1, 6)]),
        ("\n \n", [(None, "empty")]),
        ("x" * 50 + " O\n", [(1, "long"), (1, "format")]),
        ("# O\n# O\n", [(None, "empty")]),
        ("# note of several words\na O\n", []),
    ],
)
def test_each_fault_with_its_line(tmp_path, text, expected):
    assert [one[1:] for one in findings(tmp_path, text, scheme="bio", max_line=40)] == expected


def test_what_is_ignored_is_only_noted(tmp_path):
    found = list(lint(splits_of(tmp_path, b"\xef\xbb\xbfa O\r\nb O\r\n"), "bio"))
    assert [(one.line, one.kind, one.is_note) for one in found] == [(1, "bom", True), (None, "crlf", True)]


def test_crlf_across_a_block_and_lines_of_many_blocks(tmp_path, monkeypatch):
    monkeypatch.setattr("seqcli.data.lint_text._BLOCK", 3)
    (note,) = lint(splits_of(tmp_path, b"aa O\r\nb O\r\n" * 50), None)
    assert note.message == "100 lines end in CRLF (the CR is ignored)"
    assert findings(tmp_path, b"aa O\n" * 50 + b"\xff O\n") == [("0.conll", 51, "encoding")]


def test_sentences_and_labels_across_splits(tmp_path):
    assert findings(tmp_path, TRAIN, TEST, scheme="bio") == [("1.conll", 1, "duplicate"), ("1.conll", 8, "label")]
    messages = [one.message for one in lint(splits_of(tmp_path, TRAIN, TEST), None)]
    assert messages == [
        f"the same sentence stands in another split, at {tmp_path}/0.conll:5",
        "label 'B-ORG' does not occur in the training data (times here: 1; this sentence is the first)",
    ]


@pytest.mark.parametrize(
    ("suffix", "text", "line"),
    [(".jsonl", '{"text": "a"}\n{"text"\n', 2), (".tsv", "a\tb\nc\n", 2), (".conllu", "1\ta\n", 1)],
)
def test_other_formats(tmp_path, suffix, text, line):
    reading = {"format": "tsv"} if suffix == ".tsv" else {}
    assert findings(tmp_path, text, suffix=suffix, **reading) == [(f"0{suffix}", line, "format")]


def test_inline_tags_are_named_by_token(tmp_path):
    (found,) = lint(splits_of(tmp_path, "a/O b/I-X\n", suffix=".txt", format="inline"), "bio")
    assert (found.line, found.message) == (1, "token 2: I-X does not continue a span of its label (bio)")


# convert


def converted(tmp_path, text, source, target, **options):
    path = tmp_path / "x.conll"
    path.write_bytes(text.encode())
    return "".join(line + "\n" for line in convert.convert_lines(path, source, target, **options))


def test_conversion_keeps_all_but_the_tags(tmp_path):
    text = "-DOCSTART- X O\n\n# id 1 of all\nMohan  NNP  I-PER\nSharma NNP I-PER \n \nEU\tNNP\tI-ORG\n\n\n"
    assert converted(tmp_path, text, "iob1", "bioes") == (
        "-DOCSTART- X O\n\n# id 1 of all\nMohan  NNP  B-PER\nSharma NNP E-PER \n \nEU\tNNP\tS-ORG\n\n\n"
    )
    assert converted(tmp_path, "I-X a\n", "io", "bio", tag=0) == "B-X a\n"


@pytest.mark.parametrize("scheme", ["iob1", "bio", "bioes", "bilou"])
def test_there_and_back(tmp_path, scheme):
    tags = ["B-X", "I-X", "B-X", "O", "B-Y", "B-X"]
    text = "".join(f"t\t{tag}\n" for tag in tags)
    there = converted(tmp_path, text, "bio", scheme)
    assert schemes.violations([line.split("\t")[1] for line in there.split("\n")[:-1]], scheme) == []
    assert converted(tmp_path, there, scheme, "bio") == text


def test_an_invalid_tag_is_not_converted_in_silence(tmp_path):
    with pytest.raises(UserError) as caught:
        converted(tmp_path, "a O\n\nb O\nc I-X\n", "bio", "bioes")
    assert (caught.value.line, caught.value.code) == (4, 65)
    assert converted(tmp_path, "a O\nc I-X\n", "bio", "bioes", repair=True) == "a O\nc S-X\n"
