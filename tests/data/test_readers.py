import gzip
import io
import json
import sys

import pytest

from seqcli.data.example import Example
from seqcli.data.formats import Reading, format_class, read_examples
from seqcli.errors import UserError


def write(tmp_path, content, name="data.txt"):
    path = tmp_path / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def pairs(examples):
    return [(example.source, example.target) for example in examples]


def read(format_name, path, on_error=None, **options):
    return read_examples(path, Reading(format_name, **options), on_error=on_error)


def failure(format_name, path, **options):
    with pytest.raises(UserError) as caught:
        list(read(format_name, path, **options))
    return caught.value


# CoNLL


def test_conll_yields_tokens_tags_and_the_first_line(tmp_path):
    path = write(tmp_path, "\n\nAngela\tB-PER\nvisited\tO\n\n \t \nParis\tB-LOC")
    assert list(read("conll", path)) == [
        Example(["Angela", "visited"], ["B-PER", "O"], f"{path}:3"),
        Example(["Paris"], ["B-LOC"], f"{path}:7"),
    ]


def test_conll_columns_by_number_and_without_tags(tmp_path):
    path = write(tmp_path, "EU NNP B-NP  S-ORG\nrejects VBZ B-VP  O\n")
    assert pairs(read("conll", path)) == [(["EU", "rejects"], ["S-ORG", "O"])]
    assert pairs(read("conll", path, columns={"token": 1, "tag": -2})) == [(["NNP", "VBZ"], ["B-NP", "B-VP"])]
    assert pairs(read("conll", path, columns={"token": 0})) == [(["EU", "rejects"], None)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("#\tO\nParis\tB-LOC\n", [(["#", "Paris"], ["O", "B-LOC"])]),  # a tweet
        ("# O\nParis B-LOC\n", [(["#", "Paris"], ["O", "B-LOC"])]),  # the same with spaces: as many columns as the file
        ("# id = 7\nParis B-LOC\n", [(["Paris"], ["B-LOC"])]),
        ("# id\nParis\tB-LOC\n\n# O\nRome\tO\n", [(["Paris"], ["B-LOC"]), (["Rome"], ["O"])]),  # a file of tabs
        ("#\nParis\tB-LOC\n", [(["Paris"], ["B-LOC"])]),
        ("# one\n# two words more\n\nParis O\n", [(["Paris"], ["O"])]),
        ("Paris O\n# O\n#fun O\n", [(["Paris", "#", "#fun"], ["O", "O", "O"])]),
        ("#fun\tO\n# x\tO\n", [(["#fun", "# x"], ["O", "O"])]),
        ("# O\n# x\n\nParis O\n", [(["#", "#"], ["O", "x"]), (["Paris"], ["O"])]),  # later lines tell the columns
        ("-DOCSTART- -X- O\n\nParis O\n", [(["Paris"], ["O"])]),
        ("-DOCSTART- O\nParis O\n", [(["Paris"], ["O"])]),
        ("New York\tB-LOC\nParis \tO\n", [(["New York", "Paris "], ["B-LOC", "O"])]),
        ("a\u00a0b O\nc\u2028d O\ne\x85f O\ng\x0ch O\n", [(["a\u00a0b", "c\u2028d", "e\x85f", "g\x0ch"], ["O"] * 4)]),
        ("a\x00b O\nc\rd O\n", [(["a\x00b", "c\rd"], ["O", "O"])]),
        ("\ufeffParis O\r\nis O\r\n\r\nRome O\r\n", [(["Paris", "is"], ["O", "O"]), (["Rome"], ["O"])]),
        ("Paris   O\n is  O \n", [(["Paris", "is"], ["O", "O"])]),
        ("Paris\tO\nRome O\n", [(["Paris", "Rome"], ["O", "O"])]),  # mixed separators are for lint to say
    ],
)
def test_conll_tokens_comments_and_blank_lines(tmp_path, text, expected):
    assert pairs(read("conll", write(tmp_path, text))) == expected


@pytest.mark.parametrize(
    ("text", "line", "message"),
    [
        ("Paris\tO\nRome\n", 2, "1 column where the file's first line has 2"),
        ("Paris\tO\n\n\nRome\tO\tO\n", 4, "3 columns where the file's first line has 2"),
        ("Paris O\n#fun\n", 2, "1 column where"),
        ("\tO\n", 1, "empty token"),
        ("Paris\t\n", 1, "empty tag"),
        ("Paris\n", 1, "token and tag are the same column"),
    ],
)
def test_conll_names_the_bad_line(tmp_path, text, line, message):
    error = failure("conll", write(tmp_path, text))
    assert (error.line, error.code) == (line, 65)
    assert message in str(error)


def test_conll_a_column_that_does_not_exist(tmp_path):
    error = failure("conll", write(tmp_path, "Paris O\n"), columns={"tag": 3})
    assert (error.line, error.message) == (1, "there is no column 3 for the tag; the line has 2 columns")


def test_invalid_utf8_names_line_and_byte_or_is_replaced(tmp_path):
    path = write(tmp_path, b"Paris O\nK\xf6ln O\n")
    error = failure("conll", path)
    assert str(error).startswith(f"{path}:2: invalid UTF-8 at byte 2 of the line (0xf6)")
    assert pairs(read("conll", path, on_invalid="replace")) == [(["Paris", "K\ufffdln"], ["O", "O"])]


def test_a_long_line_is_refused_with_its_number_and_read_when_allowed(tmp_path):
    path = write(tmp_path, b"a O\n\n" + b"x" * 10_000_000 + b" O\n")
    error = failure("conll", path, max_line=1_000_000)
    assert (error.line, error.code) == (3, 65)
    assert "--max-line" in str(error)
    assert len(list(read("conll", path))[1].source[0]) == 10_000_000


def test_gzip_and_a_damaged_gzip(tmp_path):
    path = write(tmp_path, gzip.compress(b"Paris O\n"), "data.conll.gz")
    assert pairs(read("conll", path)) == [(["Paris"], ["O"])]
    path.write_bytes(path.read_bytes()[:-12])
    assert failure("conll", path).code == 74


def test_standard_input_is_answered_as_it_comes(monkeypatch):
    """A sentence is out before the next one is in."""
    asked = []

    class Slow(io.RawIOBase):
        def __init__(self):
            self.parts = [b"Paris O\n\n", b"Rome", b" O\n\n"]

        def readable(self):
            return True

        def readinto(self, buffer):
            asked.append(len(self.parts))
            part = self.parts.pop(0) if self.parts else b""
            buffer[: len(part)] = part
            return len(part)

    class Stdin:
        buffer = io.BufferedReader(Slow())

    monkeypatch.setattr(sys, "stdin", Stdin)
    examples = read("conll", "-")
    assert next(examples).at == "<stdin>:1"
    assert asked == [3]
    assert next(examples).source == ["Rome"]


# CoNLL-U


def word(number, form, upos):
    return f"{number}\t{form}\tlemma\t{upos}\tX\t_\t0\troot\t_\t_\n"


def test_conllu_skips_ranges_and_empty_nodes(tmp_path):
    text = (
        "# text = don't\n"
        + word("1-2", "don't", "_")
        + word(1, "do", "AUX")
        + word(2, "n't", "PART")
        + word("2.1", "go", "VERB")
        + "\n"
        + word(1, "#", "SYM")
    )
    path = write(tmp_path, text)
    assert list(read("conllu", path)) == [
        Example(["do", "n't"], ["AUX", "PART"], f"{path}:1"),
        Example(["#"], ["SYM"], f"{path}:7"),
    ]
    assert pairs(read("conllu", path, columns={"token": "lemma", "tag": "xpos"}))[1] == (["lemma"], ["X"])
    assert pairs(read("conllu", path, columns={"token": "form"}))[1] == (["#"], None)


@pytest.mark.parametrize(
    ("text", "line", "message"),
    [
        ("1\ta\tb\n", 1, "3 tab-separated columns where CoNLL-U has 10"),
        (word(1, "a", "X") + word("x", "a", "X"), 2, "'x' is no word number"),
        (word(1, "", "X"), 1, "empty cell"),
    ],
)
def test_conllu_names_the_bad_line(tmp_path, text, line, message):
    error = failure("conllu", write(tmp_path, text))
    assert (error.line, error.code) == (line, 65)
    assert message in error.message


def test_conllu_suggests_a_column(tmp_path):
    error = failure("conllu", write(tmp_path, word(1, "a", "X")), columns={"tag": "upso"})
    assert (str(error), error.code) == ("CoNLL-U has no column 'upso'. Did you mean 'upos'?", 2)


# inline, TSV, JSONL, lines


def test_inline_cuts_at_the_last_separator(tmp_path):
    path = write(tmp_path, "1/2/CD  //SYM\tdog/NN\n\n \nand/or/CC")
    assert list(read("inline", path)) == [
        Example(["1/2", "/", "dog"], ["CD", "SYM", "NN"], f"{path}:1"),
        Example(["and/or"], ["CC"], f"{path}:4"),
    ]
    assert pairs(read("inline", write(tmp_path, "a_b_X"), separator="_")) == [(["a_b"], ["X"])]


@pytest.mark.parametrize(
    ("item", "message"),
    [("dog", "'dog' has no '/' before a tag"), ("dog/", "'dog/' has no tag"), ("/NN", "'/NN' has no token")],
)
def test_inline_names_line_and_column(tmp_path, item, message):
    path = write(tmp_path, f"the/DT\nthe/DT {item} x/Y")
    assert str(failure("inline", path)) == f"{path}:2:8: {message}"


def test_tsv_by_number_header_and_lists(tmp_path):
    path = write(tmp_path, 'good film\tpos\n"quoted\tneg\n')
    assert pairs(read("tsv", path)) == [("good film", "pos"), ('"quoted', "neg")]
    path = write(tmp_path, "id\ttags\twords\n7\tD N\ta dog\n")
    assert pairs(read("tsv", path, columns={"token": "words", "tag": "tags"})) == [(["a", "dog"], ["D", "N"])]
    assert pairs(read("tsv", path, columns={"source": "words"})) == [("a dog", None)]


@pytest.mark.parametrize(
    ("text", "columns", "line", "message"),
    [
        ("a\tb\na\tb\tc\n", None, 2, "3 tab-separated columns where the file's first line has 2"),
        ("a b\tX\n", {"token": 0, "tag": 1}, 1, "2 tokens but 1 tag"),
        ("text\tlabel\n", {"source": "txt"}, 1, "the header has no column 'txt'"),
        ("a\tb\n", {"source": 5}, 1, "there is no column 5 for the source; the line has 2 (tabs between them)"),
    ],
)
def test_tsv_names_the_bad_line(tmp_path, text, columns, line, message):
    error = failure("tsv", write(tmp_path, text), columns=columns)
    assert (error.line, error.message, error.code) == (line, message, 65)


def test_jsonl_keys_are_found_or_named(tmp_path):
    def read_record(record, **options):
        return pairs(read("jsonl", write(tmp_path, json.dumps(record) + "\n\n"), **options))

    assert read_record({"tokens": ["a"], "tags": ["X"]}) == [(["a"], ["X"])]
    assert read_record({"text": "a b", "label": 3}) == [("a b", "3")]
    assert read_record({"source": "a"}) == [("a", None)]
    assert read_record({"w": ["a"], "p": ["X"]}, columns={"token": "w", "tag": "p"}) == [(["a"], ["X"])]


def test_jsonl_of_translations(tmp_path):
    def read_record(record, **options):
        return pairs(read("jsonl", write(tmp_path, json.dumps(record) + "\n\n"), **options))

    assert read_record({"source": "a b", "target": ["x y", "z"]}) == [("a b", ["x y", "z"])]
    languages = {"id": 7, "translation": {"en": "a b", "de": "x y z"}}
    assert read_record(languages) == [("a b", "x y z")]
    columns = {"source": "translation.de", "target": "translation.en"}
    assert read_record(languages, columns=columns) == [("x y z", "a b")]
    assert read_record({"a.b": "dot", "a": {"b": "in"}}, columns={"source": "a.b"}) == [("dot", None)]
    look = format_class("jsonl")(Reading("jsonl")).look([json.dumps(languages)])
    assert look.roles == {"text": "translation.en", "label": "translation.de"}


@pytest.mark.parametrize(
    ("text", "line", "message"),
    [
        ('{"text": "a"}\n{"text"', 2, "no JSON"),
        ("[1]\n", 1, "not a JSON object"),
        ('{"x": 1}\n', 1, "none of the keys tokens, text, source; found x"),
        ('{"text": "a", "label": "b"}\n{"text": "a"}\n', 2, "no key 'label'"),
        ('{"tokens": ["a", "b"], "tags": ["X"]}\n', 1, "2 tokens but 1 tag"),
        ('{"translation": {"en": "a", "de": "b"}}\n{"translation": {"en": "a"}}\n', 2, "no key 'de'"),
        ('{"translation": {"en": "a"}}\n', 1, "none of the keys tokens, text, source; found translation"),
        ('{"text": {}}\n', 1, "'text' is neither text, a whole number nor a list of them"),
        ('{"text": "\\ud800"}\n', 1, "half a surrogate pair"),
        ("[" * 100_000 + "\n", 1, "JSON"),
    ],
)
def test_jsonl_names_the_bad_line(tmp_path, text, line, message):
    error = failure("jsonl", write(tmp_path, text))
    assert (error.line, error.code) == (line, 65)
    assert message in error.message


def test_plain_lines_end_at_line_feeds_only(tmp_path):
    path = write(tmp_path, "a\u2028b\x0cc\rd\n\n e \n")
    assert list(read("lines", path)) == [
        Example("a\u2028b\x0cc\rd", None, f"{path}:1"),
        Example(" e ", None, f"{path}:3"),
    ]
    assert [example.source for example in read("lines", path, blank_lines="keep")] == ["a\u2028b\x0cc\rd", "", " e "]


def test_errors_can_be_collected_instead(tmp_path):
    errors = []
    path = write(tmp_path, "a O\n\nb\nc\n\nd O\n")
    assert [example.source for example in read("conll", path, on_error=errors.append)] == [["a"], ["d"]]
    assert [error.line for error in errors] == [3, 4]
