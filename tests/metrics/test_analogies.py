"""The file of analogy questions, and the counts."""

import pytest

from seqcli.errors import ExitCode, UserError
from seqcli.metrics.analogies import AnalogyCount, Section, analogy_score, looks_like_questions, read_questions


def test_sections_and_questions(tmp_path):
    path = tmp_path / "q.txt"
    path.write_bytes(b": capitals\nAthens Greece  Oslo\tNorway\r\n\n:gram1\n: gram2-x\na b c d\na b c e\n")
    assert looks_like_questions(path)
    assert read_questions(path) == [
        Section("capitals", [("Athens", "Greece", "Oslo", "Norway")]),
        Section("gram1"),
        Section("gram2-x", [("a", "b", "c", "d"), ("a", "b", "c", "e")]),
    ]


@pytest.mark.parametrize(
    ("text", "place", "message"),
    [
        ("a b c d\n", ":1", "a question before the first section. A line ': name' begins one."),
        (": one\na b c\n", ":2", "a question has four words, this has 3"),
        (": one\na b c d\n\na b c d e\n", ":4", "a question has four words, this has 5"),
        (":\n", ":1", "a section without a name"),
        ("", "", "no questions"),
        (": one\n: two\n\n", "", "no questions"),
    ],
)
def test_faults_of_the_file(tmp_path, text, place, message):
    path = tmp_path / "q.txt"
    path.write_text(text)
    with pytest.raises(UserError) as caught:
        read_questions(path)
    assert (str(caught.value), caught.value.code) == (f"{path}{place}: {message}", ExitCode.DATA)


@pytest.mark.parametrize(
    ("text", "answer"), [("\n \n: x\n", True), (":x", True), ("a b c d\n", False), (":\tPUNCT\n", False), ("", False)]
)
def test_what_looks_like_questions(tmp_path, text, answer):
    (tmp_path / "q").write_text(text)
    assert looks_like_questions(tmp_path / "q") is answer


def test_totals_and_the_guess():
    score = analogy_score(
        [AnalogyCount("capitals", 10, 4, 1), AnalogyCount("gram1", 10, 6, 3), AnalogyCount("gram2", 5, 0, 0)],
        "3cosadd",
        103,
        lowercase=True,
    )
    assert (score.name, score.value) == ("analogy accuracy", 40)
    assert score.signature.startswith("analogies|method:3cosadd|case:lower|v:seqcli-")
    parts = {name: score.counts[name] for name in ("all", "semantic", "syntactic")}
    assert {name: (part["questions"], part["covered"], part["correct"]) for name, part in parts.items()} == {
        "all": (25, 10, 4),
        "semantic": (10, 4, 1),
        "syntactic": (15, 6, 3),
    }
    assert (parts["all"]["coverage"], parts["semantic"]["accuracy"]) == (40, 25)
    assert [part["accuracy"] for part in score.counts["sections"]] == [25, 50, 0]
    assert score.counts["random"] == 1
    assert analogy_score([AnalogyCount("x", 1, 0, 0)], "3cosadd", 3, lowercase=False).counts["random"] == 0
