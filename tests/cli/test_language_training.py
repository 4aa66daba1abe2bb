"""Language models through the verbs train and evaluate: what is printed, resumed, compared and refused."""

from __future__ import annotations

import json
import math
import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from tiny import Program, environment, run_inside, write_corpus
from tiny_text import RECIPE, lines

from seqcli.errors import ExitCode, UserError
from seqcli.models.weights import load_weights, save_weights
from seqcli.pipeline.train import train
from seqcli.recipe.load import load_recipe
from seqcli.store.runs import Run, Store
from seqcli.text.pieces import train_sentencepiece
from seqcli.training.loop import StepEvent

SIGNATURE = r"\(perplexity\|tokens:whitespace\|unit:sentences\|vocabulary:12\|eos:counted\|unk:counted\|v:seqcli-.*\)"
COUNTS = ("--set", "model={kind: ngram, order: 3}", "--set", "name=counts")


def write_text(folder: Path) -> None:
    for name, seed in (("train", 1), ("dev", 2), ("test", 3)):
        (folder / f"{name}.txt").write_text(lines(60, seed))
    recipe = RECIPE.replace("train: TRAIN, dev: DEV", "train: train.txt, dev: dev.txt, test: test.txt")
    (folder / "lm.yaml").write_text(recipe.replace("floor: null", "floor: 3"))


@pytest.fixture
def text(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    write_text(tmp_path)
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("SEQCLI_RUNS", raising=False)
    return tmp_path


@pytest.fixture(scope="session")
def models_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("language")
    write_text(folder)
    write_corpus(folder)
    before = Path.cwd()
    os.chdir(folder)
    try:
        for arguments in (["lm.yaml"], ["lm.yaml", *COUNTS], ["tiny.yaml", "--set", "training.max_steps=1"]):
            result = run_inside("train", *arguments, "-q")
            assert result.code == 0, result.err
    finally:
        os.chdir(before)
    return folder


@pytest.fixture
def models(models_folder: Path, text: Path) -> Path:
    """A working folder with the models ``tiny-lm``, ``counts`` and ``tiny``, a tagger."""
    shutil.copytree(models_folder / "runs", text / "runs")
    return text


# -- train


def test_train_says_the_figures_and_the_floor(seqcli: Program, text: Path) -> None:
    code, out, err = seqcli("train", "lm.yaml")
    assert code == 0
    score, figures, floor, says, run = out.splitlines()
    assert re.fullmatch(r"test perplexity = \d+\.\d\d " + SIGNATURE, score)
    assert re.fullmatch(r"\d\.\d{4} nats a token, \d\.\d{4} bits a character", figures)
    assert re.fullmatch(r"3-gram, interpolated modified Kneser-Ney: perplexity = \d+\.\d\d", floor)
    assert re.fullmatch(
        r"better than 3-gram, interpolated modified Kneser-Ney by 0\.\d{4} bits a character "
        r"\(95% interval 0\.\d{4} to 0\.\d{4}, p = 0\.0\S+\)",
        says,
    )
    assert re.fullmatch(r"tiny-lm@1 in runs/tiny-lm/1: (\d+\.\d min|\d+ s), 780 parameters", run)
    told = err.splitlines()
    assert told[0] == "tiny-lm@1: language-model, tokens > lstm > softmax, 780 parameters, cpu fp32"
    assert re.fullmatch(
        r"data: train 60 \(\d+ tokens\), dev 60 \(\d+ tokens\), test 60 \(\d+ tokens\); "
        r"12 tokens in the vocabulary",
        told[1],
    )
    assert told[2].split() == ["epoch", "step", "loss", "dev", "loss", "perplex.", "bits/char", "tokens/s", "minutes"]
    assert told[-1] == "Use it:  seqcli sample tiny-lm@1 --temperature 0.8"


def test_counts_are_fitted_in_one_go(seqcli: Program, text: Path) -> None:
    code, out, err = seqcli("train", "lm.yaml", *COUNTS)
    assert code == 0
    assert re.fullmatch(r"test perplexity = \d+\.\d\d " + SIGNATURE, out.splitlines()[1])
    assert re.fullmatch(r"counts@1 in runs/counts/1: (\d+\.\d min|\d+ s), [\d,]+ parameters", out.splitlines()[3])
    assert err.splitlines()[0] == "counts@1: language-model, ngram, cpu fp32"
    assert not list((text / "runs/counts/1").glob("checkpoints*"))


@pytest.mark.parametrize("unit", ["sentences", "stream"])
def test_dry_run(seqcli: Program, text: Path, unit: str) -> None:
    code, out, err = seqcli("train", "lm.yaml", "--dry-run", "--set", f"task.unit={unit}", "--json")
    assert (code, err) == (0, "")
    plan = json.loads(out)
    assert plan["uniform_loss"] == pytest.approx(math.log(12))
    assert plan["loss"] == pytest.approx(math.log(12), abs=0.3)
    longest = {"sentences": 10, "stream": 6}[unit]
    assert plan["largest_batch"]["longest"] <= longest
    assert plan["largest_batch"]["sequences"] * plan["largest_batch"]["longest"] <= 48
    assert len(plan["batch"]["examples"]) == 3


def test_dry_run_of_counts(seqcli: Program, text: Path) -> None:
    code, out, err = seqcli("train", "lm.yaml", *COUNTS, "--dry-run")
    assert (code, out.count("\n")) == (0, 4)
    assert err == "not made by gradients: no layers and no batches to show\n"


def test_a_recipe_that_is_none_is_refused_before_anything_is_read(seqcli: Program, text: Path) -> None:
    (text / "train.txt").unlink()
    code, out, err = seqcli("train", "lm.yaml", "--set", "model.encoder.bidirectional=true")
    assert (code, out) == (2, "")
    assert err == (
        "error: --set model.encoder.bidirectional=true: model.encoder.bidirectional: a language model reads forwards only, or it would see the "
        "token it should predict. Set bidirectional: false.\n"
    )
    assert not (text / "runs").exists()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "train.txt: the train file is empty"),
        (b"\n \n\n", "train.txt: no example: the file is empty"),
        (b"the cat\n\xff\n", "train.txt:2: invalid UTF-8 at byte 1"),
    ],
)
@pytest.mark.parametrize("unit", ["sentences", "stream"])
def test_bad_text(seqcli: Program, text: Path, unit: str, content: bytes, message: str) -> None:
    (text / "train.txt").write_bytes(content)
    code, out, err = seqcli("train", "lm.yaml", "--set", f"task.unit={unit}", "-q")
    assert (code, out, err.count("\n")) == (65, "", 1)
    assert err.startswith(f"error: {message}")
    assert not list((text / "runs").rglob("*/*"))


@pytest.mark.parametrize("unit", ["sentences", "stream"])
def test_a_loss_that_is_no_number_names_the_lines(seqcli: Program, text: Path, unit: str) -> None:
    code, out, err = seqcli("train", "lm.yaml", "--set", "training.optimizer.lr=1e30", "--set", f"task.unit={unit}")
    assert (code, out) == (1, "")
    assert re.match(
        r"error: the (loss|gradient) is not a number at step \d+ \(batch: train\.txt:\d+, ", err.splitlines()[-1]
    )


# -- resume

SETS = (
    "training.epochs=4",
    "task.unit=stream",
    "task.floor=null",
    "training.batch={sequences: 4, per_epoch: 0}",
    "model.encoder.dropout=0.3",
)


def command(*more: str) -> list[str]:
    return ["train", "lm.yaml", *(word for one in SETS for word in ("--set", one)), *more]


def stopped(after: int) -> Run:
    """A training that SIGTERM ended after so many steps."""
    steps: list[StepEvent] = []
    events = train(
        load_recipe("lm.yaml", SETS).recipe,
        Store(),
        should_stop=lambda: ExitCode.TERMINATED if len(steps) >= after else None,
    )
    with pytest.raises(UserError) as interrupted:
        steps.extend(event for event in events if isinstance(event, StepEvent))
    assert interrupted.value.code == ExitCode.TERMINATED
    return Store().versions("tiny-lm")[-1]


@pytest.fixture
def whole(seqcli: Program, text: Path) -> bytes:
    """The weights of a training that nothing interrupts."""
    code, _, err = seqcli(*command("--runs", "whole", "-q"))
    assert code == 0, err
    return Path("whole/tiny-lm/1/model.safetensors").read_bytes()


@pytest.mark.parametrize("after", [1, 8, 20, 31])
def test_a_resumed_stream_ends_in_the_same_weights(seqcli: Program, whole: bytes, after: int) -> None:
    """The state that is carried from window to window goes through the checkpoint too."""
    run = stopped(after)
    assert list(run.checkpoints.rglob("carried.safetensors"))
    code, _, err = seqcli(*command("--resume"))
    assert code == 0, err
    assert f"resumed at step {after} of " in err
    assert run.weights_path.read_bytes() == whole


def test_kill_9_and_resume(seqcli: Program, whole: bytes) -> None:
    with subprocess.Popen(
        [sys.executable, "-m", "seqcli", *command("--set", "training.evaluate_every=3")],
        stderr=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        text=True,
        env=environment(),
    ) as process:
        assert process.stderr is not None
        for line in process.stderr:
            if "*best" in line:
                break
        time.sleep(0.05)
        process.kill()
    code, _, err = seqcli(*command("--set", "training.evaluate_every=3", "--resume", "-q"))
    assert (code, err) == (0, "") or "no unfinished training" in err  # a fast machine was done before
    seqcli(*command("--set", "training.evaluate_every=3", "--runs", "quiet", "-q"))
    assert (
        Path("runs/tiny-lm/1/model.safetensors").read_bytes() == Path("quiet/tiny-lm/1/model.safetensors").read_bytes()
    )


def test_another_model_of_pieces_is_another_recipe(seqcli: Program, text: Path) -> None:
    """The tokenizer's model is data: training does not go on with another one."""
    train_sentencepiece(["train.txt"], 25, text / "mine.model")
    sets = ["--set", "source.tokenizer={kind: sentencepiece, model: mine.model}", "--set", "training.epochs=50"]
    recipe = load_recipe("lm.yaml", sets[1::2]).recipe
    events = train(recipe, Store(), should_stop=lambda: ExitCode.TERMINATED)
    with pytest.raises(UserError):
        list(events)
    train_sentencepiece(["train.txt"], 22, text / "mine.model")
    code, _, err = seqcli("train", "lm.yaml", *sets, "--resume", "-q")
    assert code == 2
    assert err == (
        "error: cannot resume tiny-lm@1: the data changed since (dev, test, train). Restore the files, or "
        "start a new training without --resume.\n"
    )
    train_sentencepiece(["train.txt"], 25, text / "mine.model")
    assert seqcli("train", "lm.yaml", *sets, "--resume", "-q").code == 0


# -- evaluate


def test_evaluate_shows_the_figures_beside_the_floor(seqcli: Program, models: Path) -> None:
    code, out, err = seqcli("evaluate", "tiny-lm")
    assert (code, err) == (0, "")
    report = json.loads((models / "runs/tiny-lm/1/report.json").read_text())
    figures, floor = report["test"]["counts"], report["baselines"][0]["test"]
    rows = out.splitlines()
    assert re.fullmatch(rf"perplexity = {report['test']['value']:.2f} " + SIGNATURE, rows[0])
    assert rows[1] == (
        f"{figures['tokens']} tokens, 60 of them <EOS>, 0 <UNK>; {figures['words']} words, "
        f"{figures['characters']:,} characters"
    )
    assert rows[3].split() == ["tiny-lm@1", "3-gram,", "interpolated", "modified", "Kneser-Ney", "ratio"]
    table = {" ".join(row.split()[:-3]): row.split()[-3:] for row in rows[4:-1]}
    assert list(table) == [
        "nats a token",
        "perplexity a token",
        "... without <UNK>",
        "perplexity a word",
        "bits a character",
    ]
    mine, other = report["test"]["value"], floor["value"]
    assert table["perplexity a token"] == [f"{mine:.4f}", f"{other:.4f}", f"{mine / other:.3f}"]
    assert table["bits a character"][0] == f"{figures['bits_per_character']:.4f}"
    assert rows[-1].startswith("tiny-lm@1 is better than 3-gram, interpolated modified Kneser-Ney by 0.")


def test_evaluate_against_another_model_on_any_file(seqcli: Program, models: Path) -> None:
    code, out, err = seqcli("evaluate", "tiny-lm", "dev.txt", "--against", "counts", "--json")
    assert (code, err) == (0, "")
    found = json.loads(out)
    counts = json.loads(seqcli("evaluate", "counts", "dev.txt", "--json").out)
    (compared,) = found["compared"]
    assert (compared["model"], compared["score"]) == ("counts@1", counts["score"])
    bits = [one["score"]["counts"]["bits_per_character"] for one in (found, counts)]
    assert compared["paired"]["metric"] == "bits a character"
    assert compared["paired"]["difference"] == pytest.approx(bits[0] - bits[1])
    assert found["score"]["counts"]["sequences"] == 60
    assert "compared" not in json.loads(seqcli("evaluate", "tiny-lm", "dev.txt", "--json").out)


def test_evaluate_of_a_text_of_unknown_words(seqcli: Program, models: Path) -> None:
    """There is no figure without them, only with them; the ends are known."""
    (models / "odd.txt").write_text("zzz\n")
    code, out, _ = seqcli("evaluate", "tiny-lm", "odd.txt", "--against", "counts")
    assert code == 0
    assert out.splitlines()[1] == "2 tokens, 1 of them <EOS>, 1 <UNK>; 1 words, 3 characters"


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        ("tiny-lm dev.txt --against tiny", 2, "tiny@1 is a model for tagging, and tiny-lm@1 one for language-model"),
        ("tiny --against tiny-lm", 2, "tiny-lm@1 is a model for language-model, and tiny@1 one for tagging"),
        (
            "tiny-lm --errors x.tsv",
            2,
            "errors can be listed for taggers, classifiers and what writes text; tiny-lm@1 is a model for language-model",
        ),
        ("tiny-lm dev.txt --against nothing", 2, "no model 'nothing' in runs. Known: counts, tiny, tiny-lm."),
        ("tiny-lm blank.txt", 65, "blank.txt: no example: the file is empty or has only blank lines"),
        ("tiny-lm nowhere.txt", 74, "nowhere.txt: there is no such test file"),
    ],
)
def test_evaluate_refuses(seqcli: Program, models: Path, arguments: str, code: int, message: str) -> None:
    (models / "blank.txt").write_text("\n\n")
    found = seqcli("evaluate", *arguments.split())
    assert (found.code, found.out, found.err.count("\n")) == (code, "", 1)
    assert found.err.startswith(f"error: {message}")


def test_evaluate_without_a_test_split(seqcli: Program, text: Path) -> None:
    assert seqcli("train", "lm.yaml", "--set", "data.test=null", "--set", "training.max_steps=1", "-q").code == 0
    assert seqcli("evaluate", "tiny-lm") == (
        2,
        "",
        "error: the data that the model was trained with has no test split. Give a file, or another --split.\n",
    )
    assert seqcli("evaluate", "tiny-lm", "--split", "dev").code == 0


def spoil(run: Run, value: float) -> None:
    weights = {name: torch.full_like(one, value) for name, one in load_weights(run.weights_path).items()}
    save_weights(run.weights_path, weights)
    run.seal(["recipe.yaml", "model.safetensors", "report.json", "environment.json", "vocabulary.txt"])


NO_NUMBER = (
    "error: the model gives no number (NaN) for the next token. Its training went wrong; train it again, with "
    "a lower learning rate.\n"
)


@pytest.mark.parametrize(
    "arguments",
    [
        "evaluate tiny-lm dev.txt",
        "evaluate tiny-lm dev.txt --json",
        "evaluate counts dev.txt --against tiny-lm",
        "score tiny-lm dev.txt",
        "complete tiny-lm --prompt the",
        "sample tiny-lm --seed 1",
    ],
)
def test_weights_that_are_no_numbers(seqcli: Program, models: Path, arguments: str) -> None:
    spoil(Store().resolve("tiny-lm"), math.nan)
    assert seqcli(*arguments.split()) == (1, "", NO_NUMBER)


def test_a_figure_beyond_every_number_is_inf_and_null_in_json(seqcli: Program, models: Path) -> None:
    """A line without spaces is one word, whose perplexity may be too large for a number."""
    letters = ("--set", "source.tokenizer={kind: characters}", "--set", "name=letters", "--set", "training.max_steps=1")
    assert seqcli("train", "lm.yaml", *letters, "-q").code == 0
    (models / "letters.txt").write_text("thecatsat" * 90 + "\n")
    code, out, err = seqcli("evaluate", "letters", "letters.txt")
    assert (code, err) == (0, "")
    row = next(line for line in out.splitlines() if line.startswith("perplexity a word"))
    assert row.split()[-1] == "inf"
    code, out, _ = seqcli("evaluate", "letters", "letters.txt", "--json", "--against", "letters")
    found = json.loads(out)
    assert (code, found["scores"]["word_perplexity"]) == (0, None)
    assert found["compared"][0]["score"]["counts"]["word_perplexity"] is None
    code, out, _ = seqcli("evaluate", "letters", "letters.txt", "--against", "letters")
    assert next(line for line in out.splitlines() if line.startswith("perplexity a word")).split()[-3:] == [
        "inf",
        "inf",
        "-",
    ]


# -- the rest of the bad input


def test_an_empty_prompt_is_no_prompt(seqcli: Program, models: Path) -> None:
    assert seqcli("sample", "tiny-lm", "--greedy", "--prompt", "") == seqcli("sample", "tiny-lm", "--greedy")
    assert seqcli("complete", "tiny-lm", "--prompt", "").code == 0


@pytest.mark.parametrize("model", ["tiny-lm", "counts"])
def test_temperature_0_is_greedy(seqcli: Program, models: Path, model: str) -> None:
    assert seqcli("sample", model, "--temperature", "0") == seqcli("sample", model, "--greedy")


def test_a_tagger_cannot_sample_and_a_language_model_cannot_tag(seqcli: Program, models: Path) -> None:
    assert seqcli("sample", "tiny") == (
        2,
        "",
        "error: tiny@1 is a model for tagging; this needs one for language-model. Known: counts@1, tiny-lm@1.\n",
    )
    assert seqcli("predict", "counts", stdin=b"x\n") == (
        2,
        "",
        "error: counts@1 is a model for language-model; this needs one for classification, forecasting, tagging or transcription. Known: tiny@1.\n",
    )


@pytest.mark.parametrize("verb", ["sample", "score", "complete", "evaluate"])
def test_a_damaged_model_is_named(seqcli: Program, models: Path, verb: str) -> None:
    for name in ("tiny-lm", "counts"):
        path = models / "runs" / name / "1" / "model.safetensors"
        data = bytearray(path.read_bytes())
        data[len(data) // 2] ^= 4
        path.write_bytes(data)
        arguments = ["dev.txt"] if verb in ("score", "evaluate") else []
        code, out, err = seqcli(verb, name, *arguments, stdin=b"the\n")
        assert (code, out, err.count("\n")) == (65, "", 1)
        assert err.startswith(f"error: runs/{name}/1/model.safetensors: ")
