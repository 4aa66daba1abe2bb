"""``inspect`` with a view: tables, JSON, pictures and the page; what is refused, and how it is said."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
import tiny_classes
import tiny_forecasts
import tiny_pairs
import tiny_series
import tiny_speech
import tiny_text
from tiny import run_inside

from seqcli.cli import colours, console

CHARACTERS = tiny_text.RECIPE.replace("whitespace", "characters").replace("unit: sentences", "unit: stream")
TRANSFORMER = "{kind: transformer, dim: 8, heads: 2, layers: 2, feedforward: 8}"
LINES = 'He said "no (never)" to Ann.\nAnn (who) said "yes, yes" twice.\nThen "both" went (home).\n'


def lm(text, encoder=None):
    text = text.replace("TRAIN", "train.txt").replace("DEV", "dev.txt")
    return text if encoder is None else text.replace("{kind: lstm, dim: 8, bidirectional: false}", encoder)


@pytest.fixture
def recipes(tmp_path, cache, monkeypatch):
    """Recipes of language models, a translator and a forecaster, and their data; nothing is trained."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("SEQCLI_RUNS", raising=False)
    for name in ("train", "dev"):
        (tmp_path / f"{name}.txt").write_text(LINES * 8)
    (tmp_path / "lm.yaml").write_text(lm(tiny_text.RECIPE))
    (tmp_path / "char.yaml").write_text(lm(CHARACTERS))
    for name, encoder in {
        "transformer": TRANSFORMER,
        "rnn": "{kind: rnn, dim: 8, bidirectional: false}",
        "window": "{kind: window, dim: 8, right: 0}",
    }.items():
        (tmp_path / f"{name}.yaml").write_text(lm(tiny_text.RECIPE, encoder))
    tiny_pairs.write_recipe(tmp_path)
    tiny_series.monthly(tmp_path / "waves.csv")
    model = f"model: {{{tiny_forecasts.MODELS['deep-lstm']}}}"
    waves = re.sub(r"model:.*?(?=training)", model + "\n", tiny_series.RECIPE, flags=re.DOTALL)
    (tmp_path / "waves.yaml").write_text(waves.replace("TRAIN", "waves.csv"))
    return tmp_path


def view(*arguments, code=0):
    result = run_inside("inspect", *arguments)
    assert result.code == code, result.err
    return result


def numbers(*arguments):
    return json.loads(view(*arguments, "--json").out)


def texts_of(svg):
    """What is written in a picture; it must be an SVG that parses."""
    root = ElementTree.fromstring(Path(svg).read_text(encoding="utf-8"))
    assert root.tag.endswith("svg")
    return ["".join(one.itertext()).strip() for one in root.iter() if one.tag.endswith("}text")]


def test_gates_of_a_trained_tagger(trained):
    result = view("tiny", "--gates", "Anna met Ravi", "-o", "gates.svg")
    lines = result.out.splitlines()
    assert lines[0] == "encoder layer 1, LSTM, means over 8 units"
    assert lines[1].split() == ["TOKEN", "INPUT", "FORGET", "OUTPUT", "|CANDIDATE|", "|CELL|", "|HIDDEN|"]
    assert [line.split()[0] for line in lines[2:5]] == ["Anna", "met", "Ravi"]
    assert "encoder layer 1 backwards, LSTM, means over 8 units" in lines
    written = texts_of("gates.svg")
    assert {"input", "forget", "output", "cell", "Anna", "met", "Ravi"} <= {*written}
    found = numbers("tiny", "--gates", "Anna met Ravi")
    for layer in found["layers"]:
        assert layer["positions"] == ["Anna", "met", "Ravi"]
        assert np.array(layer["values"]["forget"]).shape == (3, 8)
        assert layer["means"]["forget"] == pytest.approx(np.mean(layer["values"]["forget"], 1).tolist())
        assert layer["means"]["cell"] == pytest.approx(np.abs(layer["values"]["cell"]).mean(1).tolist())
        assert layer["difference_to_layer"] <= 1e-6
    assert f"{found['layers'][0]['means']['forget'][0]:.2f}" == lines[2].split()[2]


def test_a_text_of_one_token_and_words_nobody_knows(trained):
    result = view("tiny", "--gates", "Zanzibar")
    assert result.out.splitlines()[2].split()[0] == "Zanzibar"
    assert result.err == "warning: not in the model's vocabulary, read as <UNK>: Zanzibar\n"
    assert "has one step" in view("tiny", "--gradient", "Anna", code=2).err
    assert "there is no token in '  '" in view("tiny", "--gates", "  ", code=2).err


def test_a_line_of_stdin(trained):
    given = run_inside("inspect", "tiny", "--gates", "-", stdin=b"Anna met Ravi\n")
    assert given.out == view("tiny", "--gates", "Anna met Ravi").out
    several = run_inside("inspect", "tiny", "--gates", "-", stdin=b"a\nb\n")
    assert (several.code, several.err) == (2, "error: stdin has 2 lines, and a view is of one. Give it one line.\n")


def test_gates_of_series_by_number(recipes):
    found = numbers("waves.yaml", "--gates", "2")
    assert [layer["layer"] for layer in found["layers"]] == ["encoder layer 1", "encoder layer 2"]
    assert found["layers"][0]["positions"] == [str(number) for number in range(1, 9)]
    assert found != numbers("waves.yaml", "--gates")
    assert "there is no number 999" in view("waves.yaml", "--gates", "999", code=2).err
    assert "reads steps, no text" in view("waves.yaml", "--gates", "a text", code=2).err


def test_gradient_of_the_data_a_file_and_a_text(recipes):
    (recipes / "other.txt").write_text("He said no to Ann\n" * 9)
    own, file, text = (numbers("lm.yaml", "--gradient", *more) for more in ((), ("other.txt",), ("He said no to Ann",)))
    assert (own["of"], file["of"], text["of"]) == ("the dev split", "other.txt", "the text")
    assert text["sequences"] == 1
    assert len(text["layers"][0]["norms"]) == 5
    assert text["layers"][0]["pairs"] == [5, 4, 3, 2, 1]
    for found in (own, file, text):
        assert all(one["difference"] <= 1e-6 for one in found["through_time"])
        assert found["clipping"]["clip_norm"] == 5.0
        assert found["clipping"]["clipped"] == sum(norm > 5 for norm in found["clipping"]["norms"])
        assert len(found["matrices"]) == 4


def test_gradient_compared_as_lines(recipes):
    result = view("lm.yaml", "--gradient", "--compare", "-o", "gradient.svg")
    lines = result.out.splitlines()
    assert [line.split("  ")[1] for line in lines[2:8]] == [
        "encoder layer 1",
        "RNN tanh, U uniform, untrained",
        "RNN tanh, U orthogonal, untrained",
        "RNN ReLU, U identity, untrained",
        "LSTM, forget bias 1, untrained",
        "GRU, untrained",
    ]
    assert any(line.startswith("largest difference between the sum and autograd's gradient: ") for line in lines)
    assert lines[-1].startswith("Norm of the gradient of ")
    assert "clip_norm 5 would act on 0 of them" in lines[-1]
    written = texts_of("gradient.svg")
    assert {"distance t - k in steps", "encoder layer 1", "GRU, untrained"} <= {*written}


def test_clipping_would_have_acted(recipes):
    (recipes / "tight.yaml").write_text(lm(tiny_text.RECIPE).replace("epochs: 3", "clip_norm: 0.01, epochs: 3"))
    found = numbers("tight.yaml", "--gradient")
    assert found["clipping"]["clipped"] == len(found["clipping"]["norms"]) > 0
    (recipes / "loose.yaml").write_text(lm(tiny_text.RECIPE).replace("epochs: 3", "clip_norm: null, epochs: 3"))
    assert view("loose.yaml", "--gradient").out.endswith("training clips none (clip_norm: null)\n")


def test_attention_of_a_language_model(recipes):
    result = view("transformer.yaml", "--attention", "He said $1 no", "-o", "heads.svg")
    lines = result.out.splitlines()
    assert lines[0] == "encoder layer 1"
    assert lines[1].split() == ["TOKEN", "LOOKS", "AT", "MEAN", "HEAD", "1", "HEAD", "2"]
    assert lines[2].split()[:3] == ["<EOS>", "<EOS>", "1.00"]
    found = numbers("transformer.yaml", "--attention", "He said $1 no")
    assert [np.array(layer["weights"]).shape for layer in found["layers"]] == [(2, 5, 5)] * 2
    written = texts_of("heads.svg")
    assert {"encoder layer 2, head 2", "<EOS>", "said", "$1"} <= {*written}
    assert "$1" in result.err  # not in the vocabulary


def test_attention_of_a_translator(recipes):
    found = numbers("tiny-mt.yaml", "--attention", "see red cats")
    (layer,) = found["layers"]
    assert layer["columns"] == ["see", "red", "cats", "<EOS>"]
    np.testing.assert_allclose(np.sum(layer["weights"], -1), 1, atol=1e-6)


def test_attribution(classifiers):
    result = view("tiny", "--attribution", "a charming film", "-o", "bars.svg")
    lines = result.out.splitlines()
    found = numbers("tiny", "--attribution", "a charming film")
    assert lines[0] == f"{found['label']}, p = {found['probabilities'][found['label']]:.2f}"
    predicted = run_inside("predict", "tiny", "--attribution", stdin=b"a charming film\n").out
    for token, share, line in zip(found["positions"], found["shares"], lines[2:], strict=True):
        assert line.split()[:2] == [token, f"{share:+.3f}"]
        assert ("|█" in line) == (share > 0 and "█" in line)
        assert f"{token}({share:+.2f})" in predicted
    assert {"a", "charming", "film"} <= {*texts_of("bars.svg")}


def test_colours_on_a_terminal_alone(classifiers, monkeypatch):
    monkeypatch.setattr(colours, "wanted", lambda: True)
    line = view("tiny", "--attribution", "a charming film").out.splitlines()[1]
    assert re.sub(r"\x1b\[[0-9;]*m", "", line) == "a charming film"
    assert "\x1b[48;5;" in line
    sneaky = view("tiny", "--attribution", "a \x1b[31mcharming film").out
    assert "\x1b[31m" not in sneaky


def test_neurons(recipes, monkeypatch):
    (recipes / "book.txt").write_text(LINES * 4)
    result = view("char.yaml", "--neurons", "book.txt", "-o", "neurons.svg")
    lines = result.out.splitlines()
    rules = ["inside quotes", "inside brackets", "position in the line", "position in the word", "a capital letter"]
    assert [line.partition("  ")[0] for line in lines[1:7]] == [*rules, "between words"]
    assert any(line.startswith("He said") for line in lines)
    found = numbers("char.yaml", "--neurons", "book.txt")
    assert "".join(found["text"]) == LINES * 4
    for one in found["neurons"]:
        half = len(found["text"]) // 2
        for part, r in ((slice(half), one["r_first_half"]), (slice(half, None), one["r_second_half"])):
            expected = np.corrcoef(one["activations"][part], one["rule_values"][part])[0, 1]
            assert r == pytest.approx(expected, abs=1e-9)
    assert any(text.startswith("inside quotes: encoder layer 1, unit ") for text in texts_of("neurons.svg"))
    monkeypatch.setattr(colours, "wanted", lambda: True)
    painted = view("char.yaml", "--neurons", "book.txt").out
    assert "\x1b[48;5;" in painted
    assert 'He said "no' in re.sub(r"\x1b\[[0-9;]*m", "", painted)


def test_neurons_of_a_text_without_occasion(recipes):
    given = run_inside("inspect", "char.yaml", "--neurons", "-", stdin=b"said he to Ann\nhe went Twice\n")
    assert given.err == "the text has no occasion for: inside quotes, inside brackets\n"
    empty = run_inside("inspect", "char.yaml", "--neurons", "-", stdin=b"")
    assert (empty.code, empty.err) == (65, "error: -: there is no text\n")


@pytest.mark.parametrize(
    "arguments",
    [
        ("lm.yaml", "--gradient", "--compare"),
        ("tiny-mt.yaml", "--gates", "see red cats"),
        ("transformer.yaml", "--attention", "He said no to Ann"),
        ("char.yaml", "--neurons", "train.txt"),
    ],
)
def test_eighty_columns_are_enough(recipes, monkeypatch, arguments):
    monkeypatch.setattr(console, "terminal_width", lambda: 80)
    lines = view(*arguments).out.splitlines()
    assert max(map(len, lines)) <= 80


REFUSED = [
    (
        ("transformer.yaml", "--gates", "He"),
        "has no gates: no layer of it is recurrent",
        "its attention is in --attention",
    ),
    (("window.yaml", "--gates", "He"), "has no gates", "it reads a fixed window of neighbours"),
    (("rnn.yaml", "--gates", "He"), "has no gates: an RNN has its state alone", "--gradient"),
    (("lm.yaml", "--attention", "He"), "has no attention: it has encoder lstm", "A transformer has it"),
    (("transformer.yaml", "--gradient"), "has no gradient through time", "--attention"),
    (("lm.yaml", "--attribution", "He"), "is a model for language-model", "a classifier"),
    (("lm.yaml", "--neurons", "train.txt"), "is no language model of characters", "letter by letter"),
    (("char.yaml", "--neurons"), "--neurons needs a text to read", "Give a file"),
    (("lm.yaml", "--gates"), "this view needs a text to look at", "'a text'"),
    (("lm.yaml", "He"), "the layers need no text", "--gates"),
    (("lm.yaml", "--gates", "--gradient"), "--gates and --gradient are two views", "--html has all"),
    (("lm.yaml", "--compare"), "--compare compares gradients", "Add --gradient"),
    (("lm.yaml", "--gates", "He", "-o", "gates.gif"), "--plot: gates.gif is none of .png, .svg, .pdf", ""),
    (("lm.yaml", "--html", "x.html", "--json"), "--html writes all views to one page", "one of them"),
]


@pytest.mark.parametrize(("arguments", "what", "hint"), REFUSED)
def test_refused(recipes, arguments, what, hint):
    result = view(*arguments, code=2)
    assert result.out == ""
    assert result.err.startswith("error: ")
    assert what in result.err
    assert hint in result.err


def test_labels_of_an_untrained_classifier(recipes):
    (recipes / "train.tsv").write_text(tiny_classes.tsv())
    text = (
        tiny_classes.TEXT_RECIPE.replace("TRAIN", "train.tsv").replace("DEV", "train.tsv").replace("TEST", "train.tsv")
    )
    (recipes / "classes.yaml").write_text(text)
    assert "is not trained" in view("classes.yaml", "--attribution", "boring", code=2).err


def test_ctc_is_refused_by_name(recipes):
    text = tiny_speech.RECIPE
    for split in ("train", "dev", "test"):
        file = tiny_speech.write(recipes / "sound", split, tiny_speech.recordings(4))
        text = text.replace(split.upper(), str(file))
    (recipes / "speech.yaml").write_text(text)
    assert "CTC sums over all alignments" in view("speech.yaml", "--gradient", code=2).err
    assert numbers("speech.yaml", "--gates", "1")["layers"][0]["kind"] == "LSTM"


@pytest.mark.parametrize("option", ["-o", "--html"])
def test_places_where_nothing_can_be_written(recipes, option):
    file = "nowhere/view.svg"
    arguments = ("--gates", "He", "-o", file) if option == "-o" else ("--html", file, "He")
    assert view("lm.yaml", *arguments, code=74).err == f"error: {file}: cannot write: No such file or directory\n"
    (recipes / "locked").mkdir(mode=0o500)
    if os.access(recipes / "locked", os.W_OK):
        return  # whoever may write everywhere cannot be refused
    arguments = tuple(one.replace("nowhere", "locked") for one in arguments)
    assert "Permission denied" in view("lm.yaml", *arguments, code=74).err


def test_without_matplotlib(recipes, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    for arguments in (("--gates", "He", "-o", "x.svg"), ("--html", "x.html", "He")):
        assert (
            view("lm.yaml", *arguments, code=1).err == "error: drawing needs matplotlib. pip install 'seqcli[plots]'\n"
        )
    assert view("lm.yaml", "--gates", "He").out


def test_a_page_of_all_views(classifiers):
    result = view("tiny", "--html", "page.html", "a <b>charming</b> film & more")
    assert result.out == ""
    assert result.err.endswith(
        "Layers, The network, unrolled, Gates, Gradient through time, Attribution in page.html\n"
    )
    page = Path("page.html").read_text(encoding="utf-8")
    assert "<b>charming" not in page
    assert "&lt;b&gt;charming&lt;/b&gt; film &amp; more" in page
    svgs = re.findall(r"<svg.*?</svg>", page, re.DOTALL)
    assert len(svgs) == 5
    for one in svgs:
        ElementTree.fromstring(one)
    ids = re.findall(r'\bid="([^"]+)"', page)
    assert len(ids) == len({*ids})
    assert {*re.findall(r'href="#([^"]+)"|url\(#([^)]+)\)', page)} <= {(one, "") for one in ids} | {
        ("", one) for one in ids
    }
    assert "<script" not in page
    others = [one for one in re.findall(r'(?:href|src)="([^"#]+)"', page) if not one.startswith("data:")]
    assert others == []


def test_a_page_without_a_text_has_what_needs_none(recipes):
    result = view("lm.yaml", "--html", "page.html")
    assert result.err == "Layers, The network, unrolled, Gradient through time in page.html\n"
    assert "needs a text" not in Path("page.html").read_text(encoding="utf-8")
    assert view("transformer.yaml", "--html", "page.html", "He said").err.endswith(
        "Layers, The network, unrolled, Attention in page.html\n"
    )


CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)


@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium is installed")
def test_the_page_in_a_browser(classifiers):
    """Every picture has a size there, nothing is wider than the window, and the text is on it."""
    view("tiny", "--html", "page.html", "a charming film")
    page = Path("page.html").read_text(encoding="utf-8")
    measure = (
        "<script>document.title = JSON.stringify({wide: document.documentElement.scrollWidth, "
        "sizes: [...document.querySelectorAll('svg')].map(one => one.getBoundingClientRect().width)})</script></body>"
    )
    Path("measured.html").write_text(page.replace("</body>", measure), encoding="utf-8")
    arguments = ["--headless", "--no-sandbox", "--disable-gpu", "--window-size=900,2000", "--user-data-dir=profile"]
    done = subprocess.run(
        [CHROMIUM, *arguments, "--dump-dom", Path("measured.html").resolve().as_uri()], capture_output=True, timeout=120
    )
    shown = done.stdout.decode()
    found = json.loads(re.search(r"<title>(.*?)</title>", shown)[1])
    assert found["wide"] <= 900
    assert len(found["sizes"]) == 5  # one a view
    assert all(200 < size <= 900 for size in found["sizes"])
    assert "charming" in shown
