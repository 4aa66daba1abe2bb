"""The verb ``start``: what it says of a user's files, the recipe it writes, and that the commands it names work."""

from __future__ import annotations

import json
import os
import random
import shlex
import subprocess
from pathlib import Path

import pytest
from tiny import ROOT, Program, environment, write_corpus

from seqcli.recipe.load import load_recipe

GOOD, BAD = ("good", "lovely", "charming", "bright"), ("bad", "dull", "boring", "weak")
THINGS = ("film", "book", "song", "play", "meal", "room")
ONLY_DEV = "no test file: the score at the end is that of dev, which also chose the best step, so it is a little kind\n"
HEAD = "# Every option and its default: seqcli recipes show FILE; what can stand in a place: seqcli components\n"


def reviews(count: int, seed: int = 1) -> list[tuple[str, str]]:
    chance = random.Random(seed)
    return [
        (f"{chance.choice(words)} {chance.choice(THINGS)} number {number}, really {chance.choice(words)}", label)
        for number in range(count)
        for words, label in [chance.choice(((GOOD, "pos"), (BAD, "neg")))]
    ]


def text(lines: int) -> str:
    chance = random.Random(1)
    words = ("the", "old", "man", "and", "his", "sea", "were", "calm", "again")
    return "".join(" ".join(chance.choices(words, k=9)) + "\n" for _ in range(lines))


@pytest.fixture
def empty(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("SEQCLI_RUNS", raising=False)
    return tmp_path


@pytest.fixture
def table(empty: Path) -> Path:
    rows = "".join(f'{number},"{source}",{label}\n' for number, (source, label) in enumerate(reviews(60)))
    (empty / "reviews.csv").write_text(f"id,review,stars\n{rows}")
    return empty


def test_a_table_of_reviews(seqcli: Program, table: Path) -> None:
    labels = [label for _, label in reviews(60)]
    counts = sorted(((labels.count(label), label) for label in ("pos", "neg")), reverse=True)
    assert seqcli("start", "reviews.csv") == (
        0,
        "reviews.yaml\n",
        "reviews.csv: train, csv with a header, text: 'review', label: 'stars'; 60 texts of 6 words, 360 in all\n"
        f"2 labels: {', '.join(f'{label} {count}' for count, label in counts)}\n"
        "task: classification\n"
        "no dev file: 20% of the training examples are kept for it (data.dev_share)\n"
        f"{ONLY_DEV}"
        "Next:\n"
        "  seqcli data lint reviews.csv\n"
        "  seqcli train reviews.yaml\n"
        "  seqcli evaluate reviews --split dev\n"
        "  echo 'some text' | seqcli predict reviews\n",
    )
    written = Path("reviews.yaml").read_text()
    assert written.startswith(f"# Written by 'seqcli start' for reviews.csv: a start, to be changed.\n{HEAD}")
    recipe = load_recipe("reviews.yaml").recipe
    assert (recipe.name, recipe.task.kind, recipe.model.kind) == ("reviews", "classification", "bag-of-words")
    assert (recipe.data.train, recipe.data.dev_share) == ("reviews.csv", 0.2)
    assert recipe.data.columns == {"text": "review", "label": "stars"}
    assert seqcli("start", "reviews.csv") == (
        2,
        "",
        "error: reviews.yaml: exists already. Name another with -o FILE or --name, or overwrite it with --force.\n",
    )
    assert Path("reviews.yaml").read_text() == written
    Path("reviews.yaml").write_text("mine")
    assert seqcli("start", "reviews.csv", "--force", "-q") == (0, "reviews.yaml\n", "")
    assert Path("reviews.yaml").read_text() == written


def test_the_paths_start_from_the_recipe(seqcli: Program, table: Path) -> None:
    (table / "recipes").mkdir()
    assert seqcli("start", "reviews.csv", "-o", "recipes/mine.yaml", "-q").out == "recipes/mine.yaml\n"
    assert "  train: ../reviews.csv\n" in Path("recipes/mine.yaml").read_text()
    recipe = load_recipe("recipes/mine.yaml").recipe
    assert (recipe.name, recipe.data.train) == ("mine", "reviews.csv")
    assert seqcli("train", "recipes/mine.yaml", "-q").code == 0


def commands(err: str) -> list[str]:
    return [line.strip() for line in err.split("Next:\n")[1].splitlines()]


def run(line: str) -> subprocess.CompletedProcess[str]:
    program = f'seqcli() {{ {shlex.quote(__import__("sys").executable)} -m seqcli "$@"; }}\n'
    return subprocess.run(
        ["bash", "-c", program + line],
        capture_output=True,
        text=True,
        env=environment(PYTHONPATH=str(ROOT), PYTHONWARNINGS="error"),
    )


@pytest.mark.parametrize("kind", ["table", "tags", "text"])
def test_every_command_it_names_works_as_it_stands(seqcli: Program, empty: Path, kind: str) -> None:
    write_corpus(empty)
    (empty / "my text.txt").write_text(text(60))
    for number, split in enumerate(("train", "dev", "test")):
        lines = (f"{source}\t{label}\n" for source, label in reviews(60, number))
        (empty / f"{split}.tsv").write_text("".join(lines))
    files = {"table": ["train.tsv", "dev.tsv", "test.tsv"], "tags": ["train.conll", "dev.conll", "test.conll"]}
    code, out, err = seqcli("start", *files.get(kind, ["my text.txt"]))
    assert (code, out) == (0, "my-text.yaml\n" if kind == "text" else "mine.yaml\n")
    lines = commands(err)
    assert [shlex.split(line.split("| ")[-1])[1] for line in lines] == [
        *("data", "train", "evaluate"),
        "sample" if kind == "text" else "predict",
    ]
    if kind == "tags":
        lines[1] += " --set training.epochs=1 --set training.max_steps=10"
    for line in lines:
        if "--split dev" not in line:
            done = run(line)
            assert done.returncode in ((0, 65) if "data lint" in line else (0,)), (line, done.stderr)
            assert "Traceback" not in done.stderr


def test_tags_with_a_scheme(seqcli: Program, place: Path) -> None:
    code, out, err = seqcli("start", "train.conll", "test.conll", "--name", "ents")
    assert (code, out) == (0, "ents.yaml\n")
    assert "tag scheme bio, recognised; spans: " in err
    assert "\ntest.conll: test, conll; 20 sentences of 7 to 9 words, " in err
    recipe = load_recipe("ents.yaml").recipe
    assert recipe.target is not None
    assert dict(recipe.target) | {"kind": "tags"} == {
        "kind": "tags",
        "scheme": "bio",
        "model_scheme": "bioes",
        "labels": "all",
        "merge": {},
    }
    assert (recipe.data.test, recipe.data.dev, recipe.data.dev_share) == ("test.conll", None, 0.2)
    assert recipe.training.select_by == "f1"


@pytest.mark.parametrize(
    ("tags", "scheme"),
    [
        (["I-PER", "I-PER", "O", "I-LOC"], "io"),
        (["I-PER", "B-PER", "O", "I-LOC"], "iob1"),
        (["B-PER", "E-PER", "O", "S-LOC"], "bioes"),
        (["NOUN", "NOUN", "VERB", "ADJ"], None),
    ],
)
def test_the_scheme_is_the_one_that_lint_recognises(
    seqcli: Program, empty: Path, tags: list[str], scheme: str | None
) -> None:
    sentences = ["".join(f"w{number}{place}\t{tag}\n" for place, tag in enumerate(tags)) for number in range(20)]
    Path("train.conll").write_text("\n".join(sentences))
    assert seqcli("start", "train.conll", "-q").code == 0
    recipe = load_recipe("mine.yaml").recipe
    assert recipe.target is not None
    assert dict(recipe.target)["scheme"] == scheme
    lint = seqcli("data", "lint", "train.conll").err
    assert ("tag scheme" in lint) == (scheme is not None)
    assert scheme is None or f"tag scheme {scheme}, recognised" in lint


def test_tags_that_break_their_scheme_come_with_the_command_that_mends_them(seqcli: Program, place: Path) -> None:
    with Path("train.conll").open("a") as handle:
        handle.write("\nx\tO\ny\tI-PER\n")
    code, _, err = seqcli("start", "train.conll")
    assert code == 0
    said = next(line for line in err.splitlines() if line.startswith("warning: "))
    assert said == (
        "warning: train.conll has 1 tag that cannot stand there in the scheme bio, the first in the sentence at "
        f"train.conll:{len(Path('train.conll').read_text().splitlines()) - 1}. Mend the file: seqcli data convert "
        "train.conll --from bio --to bio --repair > train.bio.conll"
    )
    assert run(said.partition("Mend the file: ")[2]).returncode == 0
    assert "warning" not in seqcli("start", "train.bio.conll", "--force").err


def test_a_text(seqcli: Program, empty: Path) -> None:
    Path("sea.txt").write_text(text(2000))
    code, out, err = seqcli("start", "sea.txt")
    assert (code, out) == (0, "sea.yaml\n")
    assert err.splitlines()[1] == (
        "task: language-model, by characters, since 18,000 words are less than 300,000; the lines are one running text"
    )
    recipe = load_recipe("sea.yaml").recipe
    assert recipe.data.blank_lines == "keep"
    assert dict(recipe.task)["unit"] == "stream"
    assert dict(recipe.source)["tokenizer"].kind == "characters"
    Path("few.txt").write_text(text(100))
    assert seqcli("start", "few.txt", "-q").code == 0
    assert load_recipe("few.yaml").recipe.model.kind == "ngram"
    Path("names.txt").write_text("".join(f"name{number}\n" for number in range(300)))
    assert "; each line stands for itself\n" in seqcli("start", "names.txt").err
    assert dict(load_recipe("my-names.yaml").recipe.task)["unit"] == "sentences"


def test_a_label_in_front_of_each_line(seqcli: Program, empty: Path) -> None:
    Path("sst.txt").write_text("".join(f"{label} {source}\n" for source, label in reviews(60)))
    assert "sst.txt: train, labelled; 60 texts" in seqcli("start", "sst.txt").err
    assert load_recipe("sst.yaml").recipe.data.format == "labelled"
    Path("talk.txt").write_text("".join(f"{label}: {source}\n" for source, label in reviews(60)))
    assert "task: language-model" in seqcli("start", "talk.txt").err
    assert seqcli("start", "sst.txt", "--task", "language-model", "-q", "--force").code == 0
    assert load_recipe("sst.yaml").recipe.task.kind == "language-model"
    Path("swapped.tsv").write_text("".join(f"{label}\t{source}\n" for source, label in reviews(60)))
    assert "text: column 1, label: column 0" in seqcli("start", "swapped.tsv").err


def test_several_labels_names_and_word_vectors(seqcli: Program, empty: Path) -> None:
    lines = (
        f"__label__{label} __label__{'long' if len(source) > 36 else 'short'} {source}\n"
        for source, label in reviews(60)
    )
    Path("many.txt").write_text("".join(lines))
    assert "\n4 labels: " in seqcli("start", "many.txt").err
    target = load_recipe("many.yaml").recipe.target
    assert target is not None
    assert dict(target)["separator"] == " "
    Path("people.tsv").write_text("".join(f"name{number}\t{'ab'[number % 2]}\n" for number in range(40)))
    assert "people.tsv: train, tsv; 40 texts of 1 word, 40 in all\n" in seqcli("start", "people.tsv").err
    assert dict(load_recipe("people.yaml").recipe.source)["tokenizer"].kind == "characters"
    Path("sea.txt").write_text(text(60))
    code, _, err = seqcli("start", "sea.txt", "--task", "word-vectors")
    assert (code, "dev" in err) == (0, False)
    recipe = load_recipe("sea.yaml").recipe
    assert (recipe.model.kind, recipe.data.dev_share) == ("cbow", None)


def test_large_files_get_larger_models(seqcli: Program, empty: Path) -> None:
    Path("many.tsv").write_text("".join(f"{source}\t{label}\n" for source, label in reviews(11_000)))
    assert seqcli("start", "many.tsv", "-q").code == 0
    recipe = load_recipe("many.yaml").recipe
    assert (dict(recipe.model)["encoder"].kind, recipe.data.dev_share) == ("cnn", 0.1)
    Path("long.txt").write_text(text(34_000))
    assert "task: language-model, by words; " in seqcli("start", "long.txt").err
    assert dict(load_recipe("long.yaml").recipe.source)["tokenizer"].kind == "words"


def test_json(seqcli: Program, table: Path) -> None:
    code, out, err = seqcli("start", "reviews.csv", "--json")
    assert (code, err) == (0, "")
    found = json.loads(out)
    assert {key: found[key] for key in ("recipe", "name", "task", "format", "columns", "scheme")} == {
        "recipe": "reviews.yaml",
        "name": "reviews",
        "task": "classification",
        "format": "csv",
        "columns": {"text": "review", "label": "stars"},
        "scheme": None,
    }
    assert found["splits"]["train"]["examples"] == 60
    assert found["next"][1] == "seqcli train reviews.yaml"


@pytest.mark.parametrize(
    ("name", "content", "code", "message"),
    [
        ("empty.csv", b"", 65, "empty.csv: the train file is empty"),
        (
            "x.xlsx",
            b"PK\x03\x04\0\0",
            65,
            "x.xlsx: is no text: there are zero bytes in it. Save it as text in UTF-8: CSV, TSV, JSON lines, CoNLL or "
            "plain lines.",
        ),
        (
            "one.tsv",
            b"".join(b"text %d\tyes\n" % number for number in range(20)),
            65,
            "one.tsv: every example has one and the same label, 'yes': there is nothing to tell apart. Is it the right "
            "column? Say which with --columns.",
        ),
        (
            "three.tsv",
            b"a b\tx\nc d\ty\ne f\tx\n",
            65,
            "three.tsv: 3 examples are too few to learn from and to measure on. Label some more: 10 at the very least, "
            "a hundred to be of use.",
        ),
        (
            "odd.csv",
            b"a,b,c\n" + b"".join(b"%d,some text of %d,other text %d\n" % (n, n, n) for n in range(20)),
            2,
            "odd.csv: which column is the label? There are: a, b, c. Say it: --columns text=b,label=c; for the text "
            "alone, --task language-model.",
        ),
        (
            "latin.txt",
            b"caf\xe9\n" * 30,
            65,
            "latin.txt:1: invalid UTF-8 at byte 4 of the line (0xe9). Convert the file (iconv -f LATIN1 -t UTF-8).",
        ),
        (
            "list.json",
            b'[{"text": "a", "label": "b"}]',
            65,
            "list.json: is one JSON list; an object a line is wanted. Such as: jq -c '.[]' list.json > list.jsonl",
        ),
        (
            "line.txt",
            b"word " * 5000,
            65,
            "line.txt: 5,000 words in so few lines (1) that none can be kept for development. Break the lines first: fold -s -w 100 "
            "line.txt > line.new.txt",
        ),
    ],
)
def test_files_that_no_recipe_can_be_made_of(
    seqcli: Program, empty: Path, name: str, content: bytes, code: int, message: str
) -> None:
    Path(name).write_bytes(content)
    assert seqcli("start", name) == (code, "", f"error: {message}\n")
    assert [path.name for path in empty.iterdir()] == [name]


def test_what_is_wrong_on_the_command_line(seqcli: Program, table: Path) -> None:
    cases = [
        (
            ["-"],
            "standard input can be read only once, and a recipe names files. Put it into a file first: cat > train.txt",
        ),
        (["reviews.csv", "--task", "taging"], "--task: unknown task 'taging'. Did you mean 'tagging'?"),
        (
            ["reviews.csv", "--task", "tagging"],
            "reviews.csv: read as csv it has a label for each text, which is not what the task tagging needs. Say how to "
            "read it with --format and --columns, or leave --task out.",
        ),
        (["reviews.csv", "--format", "cvs"], "unknown format 'cvs'. Did you mean 'csv'?"),
        (
            ["a", "b", "c", "d"],
            "4 files where there are at most three: train, dev, test. Several files of one split: --set "
            "'data.train=[a, b]'.",
        ),
    ]
    for words, message in cases:
        assert seqcli("start", *words) == (2, "", f"error: {message}\n")
    os.mkfifo("pipe")
    assert seqcli("start", "pipe") == (
        2,
        "",
        "error: pipe: can be read only once, and a recipe names files. Put it into a file first: cat pipe > train.txt\n",
    )
    code, _, err = seqcli("start", "review.csv")
    assert (code, err) == (
        74,
        f"error: review.csv: there is no such train file (looked in {table}). Did you mean 'reviews.csv'?\n",
    )
