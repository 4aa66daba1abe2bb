"""The verbs neighbors, analogy and vectors, and evaluate with analogy questions: exact output and every fault."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file
from tiny import Program

from seqcli.store.runs import Run, Store
from seqcli.text.vocabulary import Vocabulary

# man and woman, king and queen: to the right is royal, up is female
POINTS = {"man": (1, 1), "woman": (1, 3), "king": (4, 1), "queen": (4, 3), "apple": (-3, 1)}
FILE = "".join(f"{word} {x} {y}\n" for word, (x, y) in POINTS.items())
QUESTIONS = """\
: family
man woman king queen
man woman king apple
: gram1-fruit
Man WOMAN King Queen
man woman pear pears
"""


def make_run(name: str, points: dict[str, tuple[float, float]] | None, *, rows: int | None = None, age: int = 0) -> Run:
    """A finished run: with a word table, or without one (``points`` None)."""
    run = Store("runs").create(name)
    run.recipe_path.write_text(f"name: {name}\n")
    run.report_path.write_text(json.dumps({"task": "word-vectors"}))
    tensors = {"head.bias": np.zeros(3, np.float32)}
    if points is not None:
        table = np.array([(0, 0), (7, 7), *points.values()], np.float32)
        tensors["embedder.words.weight"] = table[:rows]
    save_file(tensors, run.weights_path)
    words = Vocabulary(["<PAD>", "<UNK>", *(points or [])], [0] * (2 + len(points or [])), ["<PAD>", "<UNK>"])
    words.save(run.vocabulary_path)
    run.seal(["recipe.yaml", "report.json", "model.safetensors", "vocabulary.txt"])
    os.utime(run.report_path, (1e9 - age, 1e9 - age))
    return run


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The model ``vec`` with word vectors, a newer one without, and a file of vectors."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("SEQCLI_RUNS", raising=False)
    make_run("vec", POINTS, age=10)
    make_run("counts", None)
    (tmp_path / "v.txt").write_text(FILE)
    (tmp_path / "q.txt").write_text(QUESTIONS)
    return tmp_path


NEAR_KING = "king\tqueen\t0.9216\nking\tman\t0.8575\n"


def test_neighbors(seqcli: Program, store: Path) -> None:
    assert seqcli("neighbors", "vec", "king", "-k", "2") == (0, NEAR_KING, "")
    assert seqcli("neighbors", "king", "-k", "2") == (0, NEAR_KING, "word vectors of vec@1\n")
    assert seqcli("neighbors", "runs/vec/1", "King", "-k", "1") == (0, "King\tqueen\t0.9216\n", "")
    assert seqcli("neighbors", "--vectors", "v.txt", "king", "man", "-k", "1", "--measure", "euclidean") == (
        0,
        "king\tqueen\t2.0000\nman\twoman\t2.0000\n",
        "",
    )
    assert seqcli("neighbors", "-m", "vec@1", "apple", "-k", "1", "--measure", "manhattan").out == (
        "apple\tman\t4.0000\n"
    )


def test_a_word_that_is_also_the_name_of_a_model(seqcli: Program, store: Path) -> None:
    make_run("king", POINTS)
    assert seqcli("neighbors", "king", "man", "-k", "1").out == "man\tqueen\t0.9899\n"
    assert seqcli("neighbors", "-m", "vec", "king", "-k", "2").out == NEAR_KING


def test_neighbors_as_json(seqcli: Program, store: Path) -> None:
    code, out, _ = seqcli("neighbors", "vec", "king", "man", "-k", "1", "--json")
    assert code == 0
    first, second = map(json.loads, out.splitlines())
    assert first == {
        "model": "vec@1",
        "word": "king",
        "measure": "cosine",
        "neighbors": [{"word": "queen", "similarity": pytest.approx(0.9216, abs=1e-4)}],
    }
    assert second["neighbors"][0]["word"] == "queen"
    out = seqcli("neighbors", "vec", "man", "-k", "1", "--json", "--measure", "manhattan").out
    assert json.loads(out)["neighbors"] == [{"word": "woman", "distance": 2}]


def test_words_from_a_pipe(shell: Program, store: Path) -> None:
    text = b"king\n\n man \n"
    expected = NEAR_KING + "\nman\tqueen\t0.9899\nman\twoman\t0.8944\n"
    assert shell("neighbors", "vec", "-k", "2", stdin=text) == (0, expected, "")
    assert shell("neighbors", "vec", "-", "-k", "2", stdin=text) == (0, expected, "")
    code, out, err = shell("neighbors", "--vectors", "v.txt", "-k", "2", stdin=b"king\nqueeen\nman\n")
    assert (code, out, err) == (
        65,
        NEAR_KING,
        "error: <stdin>:2: there is no vector of 'queeen'. Did you mean 'queen'?\n",
    )
    damaged = b"king\nm\xffn\n"
    code, out, err = shell("neighbors", "vec", "-k", "2", stdin=damaged)
    assert (code, out) == (65, NEAR_KING)
    assert err.startswith("error: <stdin>:2: invalid UTF-8 at byte 2 of the line (0xff).")
    code, out, err = shell("neighbors", "vec", "-k", "2", "--invalid", "replace", stdin=damaged)
    assert (code, out) == (65, NEAR_KING)
    assert err.startswith("error: <stdin>:2: there is no vector of 'm\ufffdn'")


ANSWER = "man woman king\tqueen\t"


def test_analogy(seqcli: Program, store: Path) -> None:
    assert seqcli("analogy", "vec", "man", "woman", "king", "-k", "1", "--measure", "euclidean") == (
        0,
        ANSWER + "0.0000\n",
        "",
    )
    code, out, err = seqcli("analogy", "man", "woman", "king")
    assert (code, out.splitlines()[0], len(out.splitlines()), err) == (
        0,
        ANSWER + "0.9986",
        2,
        "word vectors of vec@1\n",
    )
    assert seqcli("analogy", "--vectors", "v.txt", "man", "woman", "king", "-k", "1", "--method", "3cosmul").out == (
        ANSWER + "0.8789\n"
    )
    one = json.loads(
        seqcli("analogy", "-m", "vec", "man", "woman", "king", "-k", "1", "--method", "3cosmul", "--json").out
    )
    assert one == {
        "model": "vec@1",
        "words": ["man", "woman", "king"],
        "method": "3cosmul",
        "measure": "cosine",
        "answers": [{"word": "queen", "product": pytest.approx(0.8789, abs=1e-4)}],
    }


def test_analogies_from_a_pipe(shell: Program, store: Path) -> None:
    arguments = ["analogy", "vec", "-", "-k", "1", "--measure", "manhattan"]
    assert shell(*arguments, stdin=b"man woman king\n\nking queen man\n") == (
        0,
        ANSWER + "0.0000\n\nking queen man\twoman\t0.0000\n",
        "",
    )
    assert shell(*arguments, stdin=b"man woman king\nman woman\n") == (
        65,
        ANSWER + "0.0000\n",
        "error: <stdin>:2: an analogy is asked with three words, here are 2. Such as: man woman king.\n",
    )


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["neighbors", "vec", "queeen"], 2, "there is no vector of 'queeen'. Did you mean 'queen'?"),
        (["neighbors", "vec", "man", "queeen"], 2, "there is no vector of 'queeen'. Did you mean 'queen'?"),
        (["neighbors", "vec@7", "man"], 2, "no version '7' of 'vec' in runs. Known: vec@1."),
        (["neighbors", "counts", "man"], 2, "counts@1 has no word vectors. These models have some: vec."),
        (["neighbors", "vec", "man", "-k", "0"], 2, "k is the number of words wanted, at least 1, not 0"),
        (
            ["neighbors", "vec", "man", "--measure", "cosin"],
            2,
            "--measure: unknown value 'cosin'. Did you mean 'cosine'?",
        ),
        (
            ["neighbors", "-m", "vec", "--vectors", "v.txt", "man"],
            2,
            "word vectors of the model 'vec' or of the file v.txt, not of both",
        ),
        (["neighbors", "--vectors", "none.txt", "man"], 74, "none.txt: cannot read: No such file or directory"),
        (["neighbors", "--vectors", "q.txt", "man"], 65, "q.txt:1: a value is not a number"),
        (["analogy", "man", "woman"], 2, "an analogy is asked with three words, here are 2. Such as: man woman king."),
        (["analogy", "man"], 2, "an analogy is asked with three words, here is 1. Such as: man woman king."),
        (
            ["analogy", "vec", "man", "woman", "king", "queen"],
            2,
            "an analogy is asked with three words, here are 5. Such as: man woman king.",
        ),
        (["analogy", "vac", "man", "woman", "king"], 2, "no model 'vac' in runs. Did you mean 'vec'?"),
        (["analogy", "vec", "man", "woman", "kong"], 2, "there is no vector of 'kong'. Did you mean 'king'?"),
        (
            ["analogy", "vec", "man", "woman", "king", "--method", "3cosdiv"],
            2,
            "--method: unknown value '3cosdiv'. Did you mean '3cosadd'?",
        ),
        (
            ["analogy", "vec", "man", "woman", "king", "--method", "3cosmul", "--measure", "euclidean"],
            2,
            "3cosmul multiplies cosines; it has no euclidean form. Use 3cosadd.",
        ),
        (["vectors", "export", "counts"], 2, "counts@1 has no word vectors. These models have some: vec."),
        (
            ["vectors", "export", "vec", "--format", "word3vec"],
            2,
            "--format: unknown value 'word3vec'. Did you mean 'word2vec'?",
        ),
        (
            ["vectors", "export", "vec", "-o", "no/such/v.txt"],
            74,
            "no/such/v.txt: cannot write: No such file or directory",
        ),
        (
            ["evaluate", "vec"],
            2,
            "word vectors are measured with analogy questions, and no file of them is given. "
            "Sections ': name', then four words a line, as in questions-words.txt.",
        ),
        (["evaluate", "counts", "q.txt"], 2, "counts@1 has no word vectors. These models have some: vec."),
    ],
)
def test_faults(seqcli: Program, store: Path, arguments: list[str], code: int, message: str) -> None:
    assert seqcli(*arguments) == (code, "", f"error: {message}\n")


def test_no_model_with_word_vectors(seqcli: Program, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    expected = (2, "", "error: no trained model with word vectors in runs. Train one: seqcli train embedding\n")
    assert seqcli("neighbors", "man") == expected
    make_run("counts", None)
    assert seqcli("analogy", "man", "woman", "king") == expected
    assert seqcli("vectors", "export") == expected
    assert seqcli("vectors", "export", "counts").err == (
        "error: counts@1 has no word vectors. Train one: seqcli train embedding\n"
    )


def test_damaged_models(seqcli: Program, store: Path) -> None:
    make_run("short", POINTS, rows=5)
    assert seqcli("neighbors", "short", "man") == (
        65,
        "",
        "error: runs/short/1/model.safetensors: embedder.words.weight is 5 x 2, but vocabulary.txt has 7 rows\n",
    )
    make_run("hollow", {**POINTS, "void": (float("nan"), 0)})
    assert seqcli("neighbors", "hollow", "man") == (
        65,
        "",
        "error: runs/hollow/1/model.safetensors: embedder.words.weight holds values that are infinite or no numbers\n",
    )
    weights = store / "runs/vec/1/model.safetensors"
    data = bytearray(weights.read_bytes())
    data[-1] ^= 1
    weights.write_bytes(data)
    code, out, err = seqcli("neighbors", "vec", "man")
    assert (code, out) == (65, "")
    assert re.fullmatch(r"error: runs/vec/1/model.safetensors: .*\n", err)
    weights.write_bytes(b"\x80\x04pickle")  # sealed, but no safetensors
    (run,) = Store("runs").versions("vec")
    run.seal(["recipe.yaml", "report.json", "model.safetensors", "vocabulary.txt"])
    code, out, err = seqcli("neighbors", "vec", "man")
    assert (code, out) == (65, "")
    assert err.startswith("error: runs/vec/1/model.safetensors: not a sound safetensors file: ")


WORD2VEC = "5 2\n" + FILE


@pytest.mark.parametrize(("form", "text"), [("word2vec", WORD2VEC), ("glove", FILE), ("tsv", FILE.replace(" ", "\t"))])
def test_export(seqcli: Program, store: Path, form: str, text: str) -> None:
    assert seqcli("vectors", "export", "vec", "--format", form) == (0, text, "")
    assert seqcli("vectors", "export", "--format", form, "-o", "out.txt") == (
        0,
        "",
        "word vectors of vec@1\n5 vectors of 2 values in out.txt\n",
    )
    assert (store / "out.txt").read_text() == text
    assert seqcli("neighbors", "--vectors", "out.txt", "king", "-k", "2").out == NEAR_KING


TABLE = """\
analogy accuracy = 66.67 (analogies|method:3cosadd|case:lower|v:seqcli-VERSION)
analogy accuracy = 66.67 (analogies|method:3cosmul|case:lower|v:seqcli-VERSION)

section      questions  covered      %  3CosAdd  3CosMul
family               2        2  100.0    50.00    50.00
gram1-fruit          2        1   50.0   100.00   100.00
semantic             2        2  100.0    50.00    50.00
syntactic            2        1   50.0   100.00   100.00
all                  4        3   75.0    66.67    66.67

covered: all four words are among the 5 that have a vector; a guess is right in 50.0000%
"""


def test_evaluate_with_analogy_questions(seqcli: Program, store: Path) -> None:
    code, out, err = seqcli("evaluate", "vec", "q.txt")
    assert (code, re.sub(r"seqcli-[\d.]+\S*(?=\))", "seqcli-VERSION", out), err) == (0, TABLE, "")
    document = json.loads(seqcli("evaluate", "vec", "q.txt", "--json").out)
    assert (document["model"], document["data"]) == ("vec@1", "q.txt")
    assert [score["counts"]["all"]["correct"] for score in document["scores"]] == [2, 2]
    (store / "q.txt").write_text(QUESTIONS + "man woman king\n")
    assert seqcli("evaluate", "vec", "q.txt") == (65, "", "error: q.txt:7: a question has four words, this has 3\n")


def test_neither_torch_nor_pydantic_is_loaded(shell: Program, store: Path) -> None:
    import subprocess
    import sys

    from tiny import environment

    for arguments in (
        ["neighbors", "king"],
        ["analogy", "vec", "man", "woman", "king"],
        ["vectors", "export"],
        ["evaluate", "vec", "q.txt"],
    ):
        done = subprocess.run(
            [sys.executable, "-X", "importtime", "-m", "seqcli", *arguments],
            capture_output=True,
            text=True,
            env=environment(),
            cwd=store,
        )
        assert done.returncode == 0
        loaded = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines()}
        assert "numpy" in loaded
        assert not loaded & {"torch", "pydantic", "gensim", "rich.console"}
