import hashlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seqcli.errors import ExitCode, UserError
from seqcli.text.vocabulary import Vocabulary, count_tokens


def test_order_is_by_count_then_token() -> None:
    vocabulary = Vocabulary.build(["b", "a", "c", "b", "c", "d"])
    assert vocabulary.tokens == ("<PAD>", "<UNK>", "<BOS>", "<EOS>", "b", "c", "a", "d")
    assert vocabulary.counts == (0, 0, 0, 0, 2, 2, 1, 1)
    assert vocabulary.unk_id == 1


def test_the_lecture_gets_its_10002_rows() -> None:
    counts = {f"word{number}": number + 1 for number in range(12_000)}
    vocabulary = Vocabulary.build(counts, max_size=10_000, specials=("<UNK>", "<EOS>"))
    assert len(vocabulary) == 10_002
    assert (vocabulary.unk_id, vocabulary.id_of("<EOS>")) == (0, 1)
    assert vocabulary.id_of("word11999") == 2
    assert vocabulary.counts[0] == sum(range(1, 2_001))  # what the 2,000 rarest words lost
    assert vocabulary.encode(["word0", "word2000"]) == [0, 10_001]


def test_min_count_and_unknown_count() -> None:
    vocabulary = Vocabulary.build({"a": 3, "b": 1, "c": 1}, min_count=2, specials=("<unk>",))
    assert vocabulary.tokens == ("<unk>", "a")
    assert vocabulary.counts == (2, 3)
    assert "b" not in vocabulary
    assert "a" in vocabulary


def test_rows_for_another_text_follow_those_there_are() -> None:
    first = Vocabulary.build({"a": 5, "b": 3, "rare": 1}, min_count=2, specials=("<PAD>", "<UNK>"))
    text = {"c": 4, "b": 2, "d": 4, "e": 2, "once": 1, "<PAD>": 3, "rare": 2}
    assert first.extended(text, min_count=2).tokens == ("<PAD>", "<UNK>", "a", "b", "c", "d", "e", "rare")
    assert first.extended(text, min_count=2).counts == (0, 1 + 1 + 3, 5, 3 + 2, 4, 4, 2, 2)
    assert first.extended(text, max_size=3).tokens == ("<PAD>", "<UNK>", "a", "b", "c")
    assert first.extended(text, max_size=1).tokens == first.tokens
    assert first.extended({}) == first


def test_text_cannot_forge_a_special_token() -> None:
    vocabulary = Vocabulary.build(["a", "<EOS>", "<EOS>", "<EOS>"])
    assert len(vocabulary) == 5
    assert vocabulary.encode(["a", "<EOS>", "<UNK>"]) == [4, 1, 1]
    assert vocabulary.id_of("<EOS>") == 3
    assert vocabulary.counts[1] == 3
    assert vocabulary.unknown({"a": 1, "<EOS>": 2}) == {"<EOS>": 2}


def test_without_unknown_a_new_token_is_an_error() -> None:
    vocabulary = Vocabulary.build(["a"], specials=())
    assert vocabulary.encode(["a", "a"]) == [0, 0]
    for use in (lambda: vocabulary.encode(["b"]), lambda: vocabulary.id_of("b")):
        with pytest.raises(UserError, match="'b' is not in the vocabulary, which has no <UNK>"):
            use()


@pytest.mark.parametrize("number", [-1, 5])
def test_decode_refuses_ids_without_a_row(number: int) -> None:
    vocabulary = Vocabulary.build(["a"])
    assert vocabulary.decode([4, 1]) == ["a", "<UNK>"]
    with pytest.raises(UserError, match=f"id {number} has no row: the vocabulary has ids 0 to 4"):
        vocabulary.decode([number])


@pytest.mark.parametrize("specials", [("<A>", "<A>"), ("",), ("a b",)])
def test_wrong_specials(specials: tuple) -> None:
    with pytest.raises(UserError) as caught:
        Vocabulary.build(["a"], specials=specials)
    assert caught.value.code == ExitCode.USAGE


@given(st.dictionaries(st.text(min_size=1), st.integers(1, 10**12)), st.booleans())
def test_saved_and_loaded_is_the_same(tmp_path_factory, counts: dict, special: bool) -> None:
    path = tmp_path_factory.getbasetemp() / "vocab.txt"
    vocabulary = Vocabulary.build(counts, specials=("<UNK>", "\\n") if special else ())
    vocabulary.save(path)
    loaded = Vocabulary.load(path)
    assert loaded == vocabulary
    assert loaded.content_hash() == vocabulary.content_hash() == hashlib.sha256(path.read_bytes()).hexdigest()
    known = [token for token in counts if token not in vocabulary.specials]
    assert loaded.decode(loaded.encode(known)) == known


def test_the_file_is_readable_text() -> None:
    vocabulary = Vocabulary.build({"a\tb": 2, "\\": 1, "\0": 1, "\r": 1, "\n": 1}, specials=("<UNK>",))
    assert vocabulary.to_bytes().decode() == (
        "#seqcli-vocabulary 1\t<UNK>\n<UNK>\t0\na\\tb\t2\n\\0\t1\n\\n\t1\n\\r\t1\n\\\\\t1\n"
    )


@pytest.mark.parametrize(
    ("content", "line", "message"),
    [
        ("", 1, "empty file, not a vocabulary"),
        ("the\t3\n", 1, "not a vocabulary: the first line must start with '#seqcli-vocabulary 1'"),
        ("#seqcli-vocabulary 2\n", 1, "not a vocabulary"),
        ("#seqcli-vocabulary 1\t<A>\t<A>\n", 1, "special token '<A>' is named twice"),
        ("#seqcli-vocabulary 1\na\t1\nb\t1\na\t2\n", 4, "'a' has a row already"),
        ("#seqcli-vocabulary 1\na 1\n", 2, "a row is a token, a tab and a count"),
        ("#seqcli-vocabulary 1\na\t-1\n", 2, "a row is a token, a tab and a count"),
        ("#seqcli-vocabulary 1\na\t" + "9" * 5000 + "\n", 2, "a row is a token, a tab and a count"),
        ("#seqcli-vocabulary 1\n\t1\n", 2, "a row is a token, a tab and a count"),
        ("#seqcli-vocabulary 1\n\n", 2, "a row is a token, a tab and a count"),
        ("#seqcli-vocabulary 1\na\\x\t1\n", 2, "'\\x' is not an escape"),
        ("#seqcli-vocabulary 1\t<UNK>\na\t1\n", 2, "row of special token '<UNK>' expected, 'a' found"),
        ("#seqcli-vocabulary 1\t<UNK>\t<EOS>\n<UNK>\t1\n", 3, "row of special token '<EOS>' is missing"),
        (b"#seqcli-vocabulary 1\na\xff\t1\n", 2, "invalid UTF-8 at byte 2"),
    ],
)
def test_broken_files_name_their_line(tmp_path: Path, content: str | bytes, line: int, message: str) -> None:
    path = tmp_path / "v.txt"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(UserError) as caught:
        Vocabulary.load(path)
    assert (caught.value.code, caught.value.line, caught.value.file) == (ExitCode.DATA, line, str(path))
    assert message in str(caught.value)


def test_a_file_edited_on_windows_loads(tmp_path: Path) -> None:
    path = tmp_path / "v.txt"
    path.write_bytes(b"\xef\xbb\xbf#seqcli-vocabulary 1\t<UNK>\r\n<UNK>\t0\r\na\t1\r\n")
    assert Vocabulary.load(path) == Vocabulary.build(["a"], specials=("<UNK>",))


@given(st.lists(st.lists(st.sampled_from("abcd"))))
def test_count_tokens(lines: list) -> None:
    counts = count_tokens(lines)
    assert counts == {token: sum(line.count(token) for line in lines) for token in set("".join(map("".join, lines)))}
