"""Every verb that reads a stream answers each line before a bad one, then says what is wrong in one line and ends in 65.

The number of answers depends neither on a pipe or a file nor on how lines are batched.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
import tiny_text
from tiny import environment, run_inside

import seqcli as library
from seqcli.errors import UserError
from seqcli.lines import batches

MAX_LINE = "300"
LATIN1 = b"caf\xe9\n"
LONG = b"x" * 301 + b"\n"


class Stream(NamedTuple):
    """A verb (FILE stands for its input), what it reads: a good example, and what opens the input."""

    verb: str
    good: bytes
    many: int = 3000
    head: bytes = b""


TAGS = Stream("predict tiny FILE --runs taggers", b"Ravi met Anna Kumar in Paris .\n")
CLASS = Stream("predict tiny FILE", b"a charming film\n")
BAG = Stream("predict bag FILE", b"a charming film, not dull at all\n")
FRAMES = Stream("predict motion FILE", b"0,3,6,9:1,4,7,10:up\n", 70, b"@dimensions 2\n@classLabel true up\n@data\n")
SCORE = Stream("score words FILE --no-summary", b"the cat sat on a mat\n")

STREAMS = [
    TAGS,
    *(TAGS._replace(verb=f"{TAGS.verb} {more}") for more in ("--tokens", "--jsonl", "--scores", "--format conll")),
    CLASS,
    *(CLASS._replace(verb=f"{CLASS.verb} {more}") for more in ("--tokens", "--jsonl", "--scores", "--top 2")),
    CLASS._replace(verb="predict tiny FILE --attribution", many=30),
    BAG,
    *(BAG._replace(verb=f"{BAG.verb} {more}") for more in ("--tokens", "--jsonl")),
    BAG._replace(verb="predict bag FILE --attribution", many=300),
    BAG._replace(verb="predict most FILE"),
    FRAMES,
    *(FRAMES._replace(verb=f"{FRAMES.verb} {more}") for more in ("--jsonl", "--attribution")),
    FRAMES._replace(verb="predict pool FILE"),
    SCORE,
    *(SCORE._replace(verb=f"{SCORE.verb} {more}") for more in ("--per-token", "--json", "--tokens")),
    SCORE._replace(verb="score grams FILE --no-summary"),
    SCORE._replace(verb="score running FILE --no-summary --stream"),
    Stream("tokenize FILE", b"Angela's friend didn't pay.\n"),
    Stream("tokenize FILE -k bytes", b"pay\n"),
    Stream("detokenize FILE", b"Angela 's friend did n't pay .\n"),
    Stream("vocab encode vocab.txt FILE", b"the cat sat\n"),
    Stream("vocab decode vocab.txt FILE", b"4 5 6\n"),
    Stream("complete words", b"the cat\n"),
    Stream("complete words --json", b"the cat\n", 300),
    Stream("neighbors --vectors vectors.txt -k 2", b"cat\n"),
    Stream("analogy --vectors vectors.txt", b"cat dog mat\n"),
    Stream("data convert FILE --from bio --to bioes", b"Ravi\tB-PER\nmet\tO\n\n"),
    Stream("bleu FILE references.txt --sentence -q", b"the dog hid under the bed\n", 300),
    Stream("chrf FILE references.txt --sentence -q", b"the dog hid under the bed\n", 300),
    Stream("ter FILE references.txt --sentence -q", b"the dog hid under the bed\n", 300),
    Stream("wer FILE references.txt --sentence -q", b"the dog hid under the bed\n", 300),
]
HAVE_NO_LIMIT = ("bleu", "chrf", "ter", "wer")
READ_STDIN_ONLY = ("complete", "neighbors", "analogy")


@pytest.fixture(scope="module")
def folder(trained_folder: Path, classifiers_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Models of every kind that reads a stream; the test works in it."""
    place = tmp_path_factory.mktemp("streams")
    (place / "runs").symlink_to(classifiers_folder / "runs")
    (place / "taggers").symlink_to(trained_folder / "runs")
    (place / "vectors.txt").write_text("cat 1 1\ndog 1 3\nmat 4 1\nlog 4 3\n")
    (place / "text.txt").write_text(tiny_text.lines())
    (place / "references.txt").write_text("the dog is hiding under the bed\n" * 4000)
    before = Path.cwd()
    os.chdir(place)
    try:
        data = "data={train: text.txt, dev: text.txt, format: lines}"
        (place / "lm.yaml").write_text(tiny_text.RECIPE.replace("TRAIN", "text.txt").replace("DEV", "text.txt"))
        ngram = ["model={kind: ngram}", "task={kind: language-model}", "training={seed: 1}"]
        for name, changes in (("words", []), ("running", ["task.unit=stream"]), ("grams", ngram)):
            sets = [word for change in (f"name={name}", data, *changes) for word in ("--set", change)]
            done = run_inside("train", "lm.yaml", *sets, "-q")
            assert done.code == 0, done.err
        assert run_inside("vocab", "build", "text.txt", "-o", "vocab.txt").code == 0
        yield place
    finally:
        os.chdir(before)


def answers(stream: Stream, data: bytes, where: str, *more: str) -> tuple[int, str, str]:
    """How the verb ends on this input, from a file or from standard input."""
    if where == "file":
        name = "input.ts" if stream.head else "input.conll" if stream.verb.startswith("data") else "input.txt"
        Path(name).write_bytes(data)
        words = stream.verb.replace("FILE", name).split()
        return run_inside(*words, *more)
    return run_inside(*stream.verb.replace("FILE", "-").split(), *more, stdin=data)


@pytest.mark.parametrize("stream", STREAMS, ids=lambda stream: stream.verb)
def test_every_line_before_a_bad_one_is_answered(folder: Path, stream: Stream) -> None:
    verb = stream.verb.split()[0]
    for where in ("pipe",) if verb in READ_STDIN_ONLY else ("pipe", "file"):
        for before in (0, 3, stream.many):
            good = stream.head + stream.good * before
            number = good.count(b"\n") + 1
            expected = answers(stream, good, where).out if before else ""
            assert expected.count("\n") >= before
            for bad, message in ((LATIN1, "invalid UTF-8 at byte 4"), (LONG, f"longer than {MAX_LINE} bytes")):
                if bad is LONG and verb in HAVE_NO_LIMIT:
                    continue
                limit = ("--max-line", MAX_LINE) if bad is LONG else ()
                code, out, err = answers(stream, good + bad + stream.good * 3, where, *limit)
                assert code == 65
                assert out == expected
                *warnings, error = err.splitlines()
                assert message in error
                assert error.startswith("error: ")
                assert f":{number}: " in error
                assert all(line.startswith("warning: ") for line in warnings)


@pytest.mark.parametrize("verb", ["predict tiny --runs taggers", "score words -q", "tokenize"])
def test_as_processes_that_wait_for_a_pipe(folder: Path, verb: str) -> None:
    with subprocess.Popen(
        [sys.executable, "-m", "seqcli", *verb.split()],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=environment(),
    ) as process:
        out, err = process.communicate(b"the cat met Ravi\n" * 4000 + b"caf\xe9\n" + b"the cat\n" * 50_000)
    assert (process.returncode, out.count(b"\n"), err.count(b"\n")) == (65, 4000, 1)
    assert err.startswith(b"error: <stdin>:4001: invalid UTF-8 at byte 4 of the line (0xe9).")


@pytest.mark.parametrize("model", ["tiny", "bag"])
def test_the_library_answers_what_comes_before(folder: Path, model: str) -> None:
    predictions = library.load(model).predict(["a film", ["a", "film"], 5, "boring"])
    assert next(predictions).ranked(1) == next(predictions).ranked(1)
    with pytest.raises(UserError, match="this recipe reads text, and here is none"):
        next(predictions)


def test_batches_give_what_came_before_an_error() -> None:
    def numbers() -> Iterator[int]:
        yield from range(5)
        raise UserError("no more")

    found: list[list[int]] = []
    with pytest.raises(UserError, match="no more"):
        found.extend(batches(numbers(), 2))
    assert found == [[0, 1], [2, 3], [4]]
    assert list(batches(range(5), 5)) == [[0, 1, 2, 3, 4]]
    assert list(batches((), 5)) == []
