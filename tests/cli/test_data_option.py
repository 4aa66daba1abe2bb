"""``train --data`` and ``--name``: a user's own files in place of a recipe's; and where paths in a recipe start."""

from __future__ import annotations

from pathlib import Path

import pytest
from tiny import Program

from seqcli.pipeline.own_data import splits_of
from seqcli.recipe.load import load_recipe
from seqcli.store.runs import Store

QUICK = [
    *("--set", "training.epochs=1", "--set", "model.encoder.dim=8"),
    *("--set", "training.min_steps=0", "--set", "training.batch.per_epoch=0"),
]
ONLY_DEV = "no test file: the score at the end is that of dev, which also chose the best step, so it is a little kind"
KEPT = "no dev file: 20% of train.conll is kept for development (data.dev_share)"


def kept(name: str) -> dict[str, object]:
    """The data section of the newest run, as it is seen from here."""
    return dict(load_recipe(Store().versions(name)[-1].recipe_path).recipe.data)


def test_three_files_take_the_place_of_the_catalogue(seqcli: Program, place: Path) -> None:
    code, out, err = seqcli(
        "train",
        "ner",
        "--data",
        "train.conll",
        "dev.conll",
        "test.conll",
        "--name",
        "mine",
        *QUICK,
        "--runs",
        "my runs",
    )
    assert code == 0, err
    lines = err.splitlines()
    assert lines[0] == "data: train train.conll, dev dev.conll, test test.conll"
    assert lines[1] == "train.conll: tag scheme bio, recognised"
    assert lines[2].startswith("mine@1: tagging, ")
    assert lines[3].startswith("data: train 80 (")
    assert lines[-1] == "Use it:  echo 'some text' | seqcli predict mine@1 --runs 'my runs'"
    assert out.splitlines()[0].startswith("test F1 = ")
    again = seqcli("train", "--data=train.conll", "ner", *QUICK, "--name", "mine", "--dry-run")
    assert (again.code, again.err.splitlines()[:3]) == (0, ["data: train train.conll", KEPT, ONLY_DEV])


def test_one_file_and_two(seqcli: Program, place: Path) -> None:
    code, _, err = seqcli("train", "ner", *QUICK, "--data", "train.conll")
    assert code == 0, err
    assert err.splitlines()[:3] == ["data: train train.conll", KEPT, ONLY_DEV]
    data = kept("ner")
    assert [data[name] for name in ("corpus", "train", "dev", "test", "dev_share")] == [
        *(None, "train.conll", None, None, 0.2)
    ]
    code, _, err = seqcli("train", "ner", *QUICK, "--data", "train.conll", "test.conll")
    assert code == 0, err
    assert err.splitlines()[:2] == ["data: train train.conll, test test.conll", KEPT]
    assert err.splitlines()[3].startswith("ner@2: tagging, ")


def test_what_a_recipe_says_of_its_own_files_holds_for_others(seqcli: Program, place: Path) -> None:
    lines = Path("train.conll").read_text().split("\n")
    Path("wide.conll").write_text("\n".join(f"7\t{line}\t_" if line else "" for line in lines))
    recipe = Path("tiny.yaml").read_text().replace("{train:", "{columns: {token: 1, tag: 2}, train:")
    Path("wide.yaml").write_text(recipe)
    code, _, err = seqcli("train", "wide.yaml", "--data", "wide.conll", "wide.conll", "--set", "training.epochs=1")
    assert code == 0, err
    assert kept("tiny")["columns"] == {"token": 1, "tag": 2}
    assert kept("tiny")["test"] is None
    code, _, err = seqcli("train", "wide.yaml", "--data", "wide.conll", "--set", "data.dev=wide.conll", "--dry-run")
    assert (code, err.splitlines()) == (0, ["data: train wide.conll", ONLY_DEV])


def test_wrong_uses_of_data_and_name(seqcli: Program, place: Path) -> None:
    cases = [
        (
            ["--data", "train.conll", "ner"],
            "which recipe? It comes before --data, or alone: seqcli train ner. 'seqcli recipes ls' lists ours; "
            "--from MODEL takes that of a trained model.",
        ),
        (
            ["ner", "--data", "a", "b", "c", "d"],
            "4 files where there are at most three: train, dev, test. Several files of one split: --set "
            "'data.train=[a, b]'.",
        ),
        (
            ["ner", "--name", "My Model"],
            "'My Model' cannot be the name of a model. Small letters, digits, '.', '_' and '-', with a letter or digit "
            "first.",
        ),
    ]
    for words, message in cases:
        assert seqcli("train", *words) == (2, "", f"error: {message}\n")


def test_the_command_that_goes_on_has_data_and_name(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from tiny import run_inside

    from seqcli.cli import signals
    from seqcli.errors import ExitCode

    class Stopped:
        def __enter__(self) -> object:
            return lambda: ExitCode.TERMINATED

        def __exit__(self, *_: object) -> None: ...

    monkeypatch.setattr(signals, "stop_requests", lambda say: Stopped())
    words = ["train", "tiny.yaml", "--data", "train.conll", "dev.conll", "--name", "mine"]
    code, _, err = run_inside(*words, "--set", "training.epochs=2", "--runs", "r")
    assert code == 143
    assert err.splitlines()[-1] == (
        "error: stopped after step 1, saved in r/mine/1. Go on with: seqcli train tiny.yaml --data train.conll "
        "dev.conll --name mine --set training.epochs=2 --runs r --resume"
    )
    monkeypatch.undo()
    monkeypatch.chdir(place)
    code, _, err = run_inside(*words, "--set", "training.epochs=2", "--runs", "r", "--resume")
    assert code == 0, err
    assert "resumed at step 1 of " in err


@pytest.mark.parametrize(
    ("files", "splits"),
    [
        ("a", "train"),
        ("a b", "train dev"),
        ("a b c", "train dev test"),
        ("a my.test.csv", "train test"),
        ("train valid.csv", "train dev"),
        ("train test-1.tsv dev-1.tsv", "train test dev"),
        ("contest latest", "train dev"),
        ("a test.csv test.b.csv", "train dev test"),
    ],
)
def test_which_file_is_which_split(files: str, splits: str) -> None:
    assert list(splits_of(files.split())) == splits.split()
    assert list(splits_of(files.split()).values()) == files.split()


# -- paths


def test_paths_in_a_recipe_start_from_its_folder(seqcli: Program, place: Path) -> None:
    (place / "sub").mkdir()
    text = Path("tiny.yaml").read_text()
    Path("sub/tiny.yaml").write_text(text)
    assert seqcli("train", "sub/tiny.yaml") == (
        74,
        "",
        f"error: sub/train.conll: there is no such train file (looked in {place / 'sub'}). Is it 'train.conll' here? "
        "Paths in a recipe start from the recipe's folder.\n",
    )
    for split in ("train", "dev", "test"):
        Path(f"{split}.conll").rename(f"sub/{split}.conll")
    assert seqcli("train", "sub/tiny.yaml", "--set", "training.epochs=1", "-q").code == 0
    assert "train: ../../../sub/train.conll\n" in Path("runs/tiny/1/recipe.yaml").read_text()
    assert seqcli("evaluate", "tiny").code == 0
    assert kept("tiny")["test"] == "sub/test.conll"
    # what stands on the command line starts from where we are
    Path("sub/test.conll").rename("here.conll")
    assert seqcli("train", "sub/tiny.yaml", "--set", "data.test=here.conll", "--dry-run", "-q").code == 0
    assert kept("tiny")["test"] == "sub/test.conll"


def test_the_other_files_of_a_recipe_start_there_too(seqcli: Program, place: Path) -> None:
    (place / "sub").mkdir()
    words = sorted({line.split("\t")[0] for line in Path("train.conll").read_text().split("\n") if line})
    Path("sub/words.vec").write_text("".join(f"{word} {'0.5 ' * 8}\n" for word in words))
    text = Path("tiny.yaml").read_text().replace("dim: 8}\n  encoder", "dim: 8, vectors: {file: words.vec}}\n  encoder")
    text = text.replace("{train: train.conll, dev: dev.conll, test: test.conll}", "{train: ../train.conll}")
    Path("sub/tiny.yaml").write_text(text)
    code, _, err = seqcli("train", "sub/tiny.yaml", "--set", "training.epochs=1", "--set", "training.select_by=f1")
    assert code == 0, err
    assert "file: ../../../sub/words.vec\n" in Path("runs/tiny/1/recipe.yaml").read_text()
    assert seqcli("predict", "tiny", stdin=b"Anna met Ravi\n").code == 0


def test_a_recipe_from_a_pipe_starts_from_here(shell: Program, place: Path) -> None:
    recipe = Path("tiny.yaml").read_bytes()
    assert shell("train", "/dev/stdin", "--dry-run", stdin=recipe).code == 0
