"""One is one: messages that count use the singular."""

from __future__ import annotations

from pathlib import Path

import pytest
from tiny import Program

from seqcli.errors import plural

ONE = "Ravi B-PER\nTata\n"


def test_plural() -> None:
    assert [plural(count, "line") for count in (0, 1, 2, 2000)] == ["0 lines", "1 line", "2 lines", "2,000 lines"]
    assert (plural(1, "match", "matches"), plural(2, "match", "matches")) == ("1 match", "2 matches")


@pytest.mark.parametrize(
    ("files", "words", "message"),
    [
        ({"a": "1\t2\n", "b": "x\n"}, "bleu b a --num-refs 3", "2 tab-separated references, but"),
        ({"a": "x\n", "b": "x\n"}, "bleu b a --num-refs 3", "a:1: 1 tab-separated reference, but --num-refs says 3"),
        ({"a": "x B\n\n", "b": "x B\ny O\n\n"}, "spans b a", "a:1: the sentence has 1 token, but 2 in b:1"),
        ({"a.conll": ONE}, "data lint a.conll --format conll", "a.conll:2: 1 column where the file's first line has 2"),
        (
            {"v.txt": "cat 1 2\ndog 1\n"},
            "neighbors cat --vectors v.txt",
            "expected a word and 2 values, found 1 value.",
        ),
        ({"a": "the cat\n"}, "vocab train-pieces a -o m --size 1", "a vocabulary of 1 piece is too small"),
    ],
)
def test_messages_that_count(
    seqcli: Program, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, files: dict[str, str], words: str, message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    for name, text in files.items():
        Path(name).write_text(text)
    code, out, err = seqcli(*words.split())
    assert code in (2, 65)
    assert message in out + err
