"""``seqcli inspect``: the layer table of a recipe and of a model, the lectures' exercise, models that have no layers."""

import json
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest
import tiny_corpus
from tiny import run_inside

ROOT = Path(__file__).parents[2]
SVG = "{http://www.w3.org/2000/svg}text"
EXERCISE = {"U1": 239_616, "V1": 1_048_576, "U2": 524_288, "V2": 262_144, "W": 7_680}
MERGED = "target={kind: tags, scheme: bio, merge: {LOC: PER, PER: PER}}"


def exercise(folder):
    """The recipe's network over a corpus written here: 233 words and <UNK>, 15 tags."""
    words = [f"w{number}" for number in range(233)]
    rows = [f"{word}\tT{number % 15}\n" for number, word in enumerate(words)]
    (folder / "train.conll").write_text("".join(rows) + "\n")
    text = (ROOT / "recipes" / "pos-rnn.yaml").read_text()
    text = text.replace("corpus: ud-english-ewt", "train: train.conll").replace(
        "  columns: {token: form, tag: upos}\n", ""
    )
    (folder / "exercise.yaml").write_text(text)
    return str(folder / "exercise.yaml")


def test_the_exercise_of_the_lecture(tmp_path):
    file = exercise(tmp_path)
    done = run_inside("inspect", file)
    assert done.code == 0, done.err
    for name, number in EXERCISE.items():
        assert any(line.startswith(f"{name} ") and line.endswith(f"= {number:,}") for line in done.out.splitlines())
    assert any(line.split()[:2] == ["total", "2,082,304"] for line in done.out.splitlines())
    assert max(map(len, done.out.splitlines())) <= 100
    values = json.loads(run_inside("inspect", file, "--json").out)
    weights = {one["name"]: one["parameters"] for layer in values["layers"] for one in layer["weights"]}
    assert weights == EXERCISE
    assert values["parameters"] == sum(EXERCISE.values())
    assert values["flops"] == {"token": 2 * sum(EXERCISE.values())}


def test_a_recipe_that_comes_with_seqcli_goes_by_its_name(place):
    assert run_inside("inspect", "hello").out == run_inside("inspect", str(ROOT / "recipes" / "hello.yaml")).out != ""


@pytest.mark.mirror
def test_the_shipped_recipe_is_that_exercise():
    values = json.loads(run_inside("inspect", str(ROOT / "recipes" / "pos-rnn.yaml"), "--json").out)
    assert {one["name"]: one["parameters"] for layer in values["layers"] for one in layer["weights"]} == EXERCISE


def test_a_trained_model_and_its_picture(trained, tmp_path):
    file = tmp_path / "layers.svg"
    done = run_inside("inspect", "tiny", "--plot", str(file))
    assert done.code == 0, done.err
    recipe = run_inside("inspect", "tiny.yaml")
    assert done.out == recipe.out
    assert "encoder.back.0" in {one.text.strip() for one in ET.parse(file).iter(SVG)}


def test_a_model_of_counts_says_what_it_has(tmp_path, monkeypatch):
    (tmp_path / "train.conll").write_text(tiny_corpus.conll())
    (tmp_path / "often.yaml").write_text(
        "name: often\ntask: {kind: tagging}\ndata: {train: train.conll, dev: train.conll}\n"
        "model: {kind: most-frequent-tag}\n"
    )
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("SEQCLI_RUNS", raising=False)
    assert run_inside("train", "often.yaml", "-q").code == 0
    done = run_inside("inspect", "often")
    assert done.code == 0, done.err
    assert done.out.startswith("often@1 is no network: most frequent tag")
    values = json.loads(run_inside("inspect", "often", "--json").out)
    assert [array["name"] for array in values["arrays"]]
    refused = run_inside("inspect", "often.yaml")
    assert refused == (
        2,
        "",
        "error: often.yaml is a model of kind most-frequent-tag, which has no layers to look into. "
        "'seqcli models show' says what it is made of.\n",
    )


@pytest.mark.parametrize(
    ("arguments", "code", "err"),
    [
        (("nothing",), 2, "no model"),
        (("tiny.yaml", "--plot", "out.bmp"), 2, "--plot: out.bmp is none of .png, .svg, .pdf"),
        (("tiny.yaml", "--plot", "no/such/out.png"), 74, "No such file or directory"),
    ],
)
def test_bad_input(place, arguments, code, err):
    done = run_inside("inspect", *arguments)
    assert (done.code, done.out) == (code, "")
    assert err in done.err
    assert done.err.count("\n") == 1


def test_the_unrolled_network_has_its_letters(place, tmp_path):
    file = tmp_path / "out.svg"
    done = run_inside("inspect", "tiny.yaml", "--graph", str(file), "Ravi met Zorro")
    assert (done.code, done.err) == (0, f"drawn in {file}\n")
    assert done.out.splitlines()[1] == "h1_t, s1_t = LSTM(U1 e_t + V1 h1_{t-1} + b1; s1_{t-1})"
    words = [one.text.strip() for one in ET.parse(file).iter(SVG) if one.text]
    assert {"Ravi", "met", "Zorro", "<UNK>", "U1", "V1", "U1'", "V1'", "W", "T", "y: tags"} <= set(words)
    assert words.count("V1") == 2
    assert words.count("U1") == 3
    values = json.loads(run_inside("inspect", "tiny.yaml", "--graph", str(tmp_path / "a.png"), "Ravi", "--json").out)
    assert values["tokens"] == ["Ravi"]
    assert not [edge for edge in values["edges"] if edge["weight"] == "V1"]  # one position: nothing before it
    assert (tmp_path / "a.png").read_bytes().startswith(b"\x89PNG")


def test_sentences_that_cannot_be_drawn(place):
    assert run_inside("inspect", "tiny.yaml", "--graph", "a.svg", " ") == (2, "", "error: the sentence has no token\n")
    done = run_inside("inspect", "tiny.yaml", "--graph", "a.svg", "a b c d e f g h i j k l m n")
    assert done.err.startswith("the first 12 of 14 tokens are drawn: more cannot be read in print\n")
    assert done.code == 0
    assert run_inside("inspect", "tiny.yaml", "--graph", "a.gif", "a").code == 2


def test_what_reads_no_text_is_drawn_without_a_sentence(tmp_path, monkeypatch):
    import tiny_classes

    from seqcli.recipe.dump import dump_recipe

    monkeypatch.chdir(tmp_path)
    Path("frames.yaml").write_text(dump_recipe(tiny_classes.frame_recipe(tmp_path)))
    done = run_inside("inspect", "frames.yaml", "--graph", "a.svg")
    assert done.code == 0, done.err
    refused = run_inside("inspect", "frames.yaml", "--graph", "a.svg", "a sentence")
    assert (refused.code, refused.err) == (
        2,
        "error: frames.yaml reads frames, not a sentence. Leave the sentence out.\n",
    )
