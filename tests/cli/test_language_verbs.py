"""The verbs sample, score and complete: exact output of a model of bigrams, then of one trained in the shell."""

from __future__ import annotations

import json
import math
import os
import re
import subprocess
import sys
import tracemalloc
from decimal import Decimal
from pathlib import Path

import numpy as np
import pytest
from bigram import CAT, model_of
from hypothesis import given
from hypothesis import strategies as st
from tiny import Program, environment, run_inside

from seqcli import __version__
from seqcli.cli import complete as complete_verb
from seqcli.cli import sample as sample_verb
from seqcli.cli import score as score_verb
from seqcli.cli.language import model_and_file
from seqcli.decode.sampling import SamplingOptions
from seqcli.errors import UserError
from seqcli.pipeline.language import LanguageModel
from seqcli.pipeline.sample import grow
from seqcli.store.runs import Store

Capture = pytest.CaptureFixture[str]

STREAM = model_of(["the", "cat", "sat"], np.exp(CAT.engine.log_probs_VV), unit="stream")  # type: ignore[attr-defined]
CHARACTERS = model_of([*"abc", "▁", "％000a"], kind="characters")


def sampled(
    capsys: Capture, model: LanguageModel, *, count: int = 1, as_json: bool = False, **more: object
) -> tuple[str, str]:
    arguments = {"options": SamplingOptions(), "max_tokens": 12, "seed": 1, **more}
    samples = grow(model, count=count, **arguments)  # type: ignore[arg-type]
    if count == 1 and not as_json:
        sample_verb.print_growing(samples)
    else:
        sample_verb.print_finished(samples, as_json=as_json)
    return capsys.readouterr()


def scored(
    capsys: Capture,
    model: LanguageModel,
    *batches: list[str],
    base: str = "10",
    per_token: bool = False,
    as_json: bool = False,
    probability: bool = False,
    **more: bool,
) -> tuple[str, str]:
    writer = score_verb._writer(base, per_token, as_json, probability=probability)
    score_verb.print_scores(model, batches, writer, **more)
    return capsys.readouterr()


def test_sample_greedy(capsys: Capture) -> None:
    greedy = SamplingOptions(greedy=True)
    assert sampled(capsys, CAT, options=greedy) == ("the cat sat\n", "")
    assert sampled(capsys, CAT, options=greedy, prompt="my dog the ") == ("my dog the cat sat\n", "")
    assert sampled(capsys, CAT, options=greedy, max_tokens=2) == ("the cat\n", "")
    assert sampled(capsys, CAT, options=greedy, stop=" sa") == ("the cat\n", "")
    assert sampled(capsys, CAT, options=greedy, count=2) == ("the cat sat\nthe cat sat\n", "")


def test_a_stream_goes_on_after_a_line(capsys: Capture) -> None:
    greedy = SamplingOptions(greedy=True)
    assert sampled(capsys, STREAM, options=greedy, max_tokens=6) == ("the cat sat\nthe cat\n", "")
    assert sampled(capsys, STREAM, options=greedy, max_tokens=4) == ("the cat sat\n", "")
    assert sampled(capsys, STREAM, options=greedy, max_tokens=6, count=2) == (
        "the cat sat\nthe cat\n\nthe cat sat\nthe cat\n",
        "",
    )
    assert sampled(capsys, STREAM, options=greedy, max_tokens=6, tokens=True) == ("the cat sat\nthe cat\n", "")
    (row,) = json_lines(sampled(capsys, STREAM, options=greedy, max_tokens=4, as_json=True)[0])
    assert (row["text"], row["tokens"], row["finished"]) == ("the cat sat\n", ["the", "cat", "sat", "<EOS>"], False)


def test_records_of_several_lines_stand_apart(capsys: Capture) -> None:
    assert sampled(capsys, CHARACTERS, count=3, max_tokens=8) == ("c\nb\ncc  \n\nabb\ncccc \n", "")
    assert [row["text"] for row in json_lines(sampled(capsys, CHARACTERS, count=3, max_tokens=8, as_json=True)[0])] == [
        "c\nb\ncc  ",
        "abb",
        "cccc ",
    ]


def json_lines(out: str) -> list[dict]:
    return [json.loads(line) for line in out.splitlines()]


def test_json_has_the_models_own_log_probabilities_which_score_repeats(capsys: Capture) -> None:
    options = SamplingOptions(0.7, top_k=3)
    rows = json_lines(sampled(capsys, CAT, count=4, options=options, as_json=True)[0])
    assert [list(row) for row in rows] == [["text", "tokens", "log_probs", "finished"]] * 4
    assert all(row["finished"] for row in rows)
    again = json_lines(scored(capsys, CAT, [row["text"] for row in rows], base="e", as_json=True)[0])
    assert [(row["tokens"], row["log_probs"]) for row in rows] == [(row["tokens"], row["log_probs"]) for row in again]
    cut = json_lines(sampled(capsys, CAT, options=SamplingOptions(0), max_tokens=2, as_json=True)[0])
    assert cut == [
        {
            "text": "the cat",
            "tokens": ["the", "cat"],
            "finished": False,
            "log_probs": pytest.approx([math.log(0.5)] * 2),
        }
    ]


def test_each_token_is_written_as_it_comes(monkeypatch: pytest.MonkeyPatch) -> None:
    written: list[str] = []
    monkeypatch.setattr(sample_verb.console, "write", lambda text, flush=False: written.append(text))
    sample_verb.print_growing(grow(CAT, "the", options=SamplingOptions(0), max_tokens=9))
    assert written == ["the cat", " sat", "\n"]


def test_samples_are_printed_in_order_as_soon_as_they_can_be(monkeypatch: pytest.MonkeyPatch) -> None:
    events: list[tuple[str, int]] = []
    monkeypatch.setattr(sample_verb.console, "emit", lambda text, flush=False: events.append(("out", len(events))))
    many = list(range(6))

    def told():  # what is printed while the rest is still being made
        for one in grow(CAT, count=6, options=SamplingOptions(), max_tokens=30, seed=6):
            if one.done:
                events.append(("done", one.number))
            yield one

    sample_verb.print_finished(told(), as_json=False)
    finished = [number for kind, number in events if kind == "done"]
    assert sorted(finished) == many != finished
    before_last = [kind for kind, _ in events[: events.index(("done", finished[-1]))]]
    assert before_last.count("out") == finished[-1]


# p(the cat sat <EOS>) = 0.5 * 0.5 * 0.5 * 0.8 = 0.1; p(<EOS>) = 0.1; p(dog <EOS>) = 0.1 * 0.2 = 0.02
LINES = ["the cat sat", "", "dog"]


@pytest.mark.parametrize(
    ("base", "expected"),
    [("10", "-1.0000\n-1.0000\n-1.6990\n"), ("2", "-3.3219\n-3.3219\n-5.6439\n"), ("e", "-2.3026\n-2.3026\n-3.9120\n")],
)
def test_score_is_the_product_of_the_conditionals(capsys: Capture, base: str, expected: str) -> None:
    assert scored(capsys, CAT, LINES[:2], LINES[2:], base=base, summary=False) == (expected, "")


def test_score_summary(capsys: Capture) -> None:
    """7 tokens at p = 0.1 * 0.1 * 0.02: loss ln(5000)/7; 4 words and 3 ends; 14 characters and 3 ends."""
    out, err = scored(capsys, CAT, LINES)
    assert out == "-1.0000\n-1.0000\n-1.6990\n"
    assert err == (
        "lines                    3\n"
        "tokens                   7  4 without <EOS>; 1 unknown\n"
        "nats a token        1.2167  1.0358 without unknown tokens\n"
        "perplexity a token  3.3762  2.8173 without unknown tokens\n"
        "perplexity a word   3.3762  4 words and 3 ends\n"
        "bits a character    0.7228  14 characters and 3 line ends\n"
        f"perplexity|tokens:whitespace|unit:sentences|vocabulary:5|eos:counted|unk:counted|v:seqcli-{__version__}\n"
    )
    assert math.log(5000) / 7 == pytest.approx(1.2167, abs=1e-4)
    assert math.log(500) / 6 == pytest.approx(1.0358, abs=1e-4)
    assert math.log2(5000) / 17 == pytest.approx(0.7228, abs=1e-4)
    assert scored(capsys, CAT) == ("", "")


def test_score_per_token_and_json(capsys: Capture) -> None:
    assert scored(capsys, CAT, LINES, per_token=True, summary=False)[0] == (
        "the\t-0.3010\t0\ncat\t-0.3010\t0\nsat\t-0.3010\t0\n<EOS>\t-0.0969\t0\n\n"
        "<EOS>\t-1.0000\t0\n\n"
        "dog\t-1.0000\t1\n<EOS>\t-0.6990\t0\n\n"
    )
    rows = json_lines(scored(capsys, CAT, LINES, as_json=True, summary=False)[0])
    assert rows[2] == {
        "text": "dog",
        "log_prob": pytest.approx(math.log10(0.02)),
        "tokens": ["dog", "<EOS>"],
        "log_probs": pytest.approx([-1, math.log10(0.2)]),
        "unknown": ["dog"],
        "base": "10",
    }
    (impossible,) = json_lines(scored(capsys, CAT, ["the"], as_json=True, summary=False)[0])
    assert (impossible["log_prob"], impossible["log_probs"][1]) == (None, None)
    assert scored(capsys, CAT, ["the"])[0] == "-inf\n"


def test_score_as_probabilities(capsys: Capture) -> None:
    assert scored(capsys, CAT, LINES, probability=True, summary=False)[0] == "1.0000e-01\n1.0000e-01\n2.0000e-02\n"
    assert scored(capsys, CAT, LINES[2:], per_token=True, probability=True, summary=False)[0] == (
        "dog\t1.0000e-01\t1\n<EOS>\t2.0000e-01\t0\n\n"
    )
    assert scored(capsys, CAT, ["the"], probability=True, summary=False)[0] == "0.0000e+00\n"  # it never ends there
    (row,) = json_lines(scored(capsys, CAT, LINES[2:], as_json=True, probability=True, summary=False)[0])
    assert row["log_prob"] == pytest.approx(math.log10(0.02))
    assert (row["probability"], row["probabilities"]) == (pytest.approx(0.02), pytest.approx([0.1, 0.2]))


def test_a_probability_too_small_for_a_float_is_not_zero(capsys: Capture) -> None:
    """A line of 500 tokens of 0.1 each, and its end of 0.2."""
    dogs = " ".join(["dog"] * 500)
    (row,) = json_lines(scored(capsys, CAT, [dogs], as_json=True, probability=True, summary=False)[0])
    text = scored(capsys, CAT, [dogs], probability=True, summary=False)[0].strip()
    assert float(text) == 0.0
    assert math.log10(float(text.partition("e")[0])) + int(text.partition("e")[2]) == pytest.approx(
        row["log_prob"], abs=1e-4
    )
    assert (row["probability"], row["probabilities"][-1]) == (None, pytest.approx(0.2))


@given(st.floats(-1e6, 0))
def test_a_probability_is_written_as_its_decimal(nats: float) -> None:
    written, exact = Decimal(score_verb.probability_text(nats)), Decimal(nats).exp()
    assert abs(written / exact - 1) < Decimal("0.00006")
    if nats > -700:
        assert float(written) == pytest.approx(math.exp(nats), rel=6e-5)


def test_score_tokens_and_streams(capsys: Capture) -> None:
    """In a stream the second line is read after the first: p(cat | <EOS>) is that of the start."""
    assert scored(capsys, CAT, ["the\tcat  sat "], tokens=True, summary=False)[0] == "-1.0000\n"
    spaced = model_of(["a", "▁"], kind="characters")
    assert scored(capsys, spaced, ["a ▁ a"], tokens=True)[0] == scored(capsys, spaced, ["a a"])[0]
    table = np.full((5, 5), 0.2)
    table[1] = [0.1, 0.6, 0.1, 0.1, 0.1]
    stream = model_of(["the", "cat", "sat"], table, unit="stream")
    fresh = scored(capsys, stream, ["the", "", "cat"], summary=False)[0]
    assert scored(capsys, stream, ["the"], ["", "cat"], stream=True, summary=False)[0] == fresh
    assert scored(capsys, stream, stream=True) == ("", "")
    with pytest.raises(UserError, match="toy@1 reads each line by itself, not a running text"):
        scored(capsys, CAT, ["the"], stream=True)


def test_a_model_without_numbers_is_said(capsys: Capture) -> None:
    broken = model_of(["a"], np.full((3, 3), np.nan))
    for use in (
        lambda: scored(capsys, broken, ["a"]),
        lambda: sampled(capsys, broken),
        lambda: complete_verb.print_prompt(broken, "a", 1, as_json=False),
    ):
        with pytest.raises(UserError, match=r"the model gives no number \(NaN\) for the next token. Its training"):
            use()


def test_complete_a_prompt(capsys: Capture) -> None:
    complete_verb.print_prompt(CAT, "the cat", 3, as_json=False)
    assert capsys.readouterr() == ("sat\t0.5000\n<EOS>\t0.2500\ncat\t0.1000\n", "")
    complete_verb.print_prompt(CAT, "", 9, as_json=False)  # <UNK> is left out
    assert capsys.readouterr() == ("the\t0.5000\ncat\t0.2000\n<EOS>\t0.1000\nsat\t0.1000\n", "")
    complete_verb.print_prompt(CAT, "the dog", 1, as_json=True)
    out, err = capsys.readouterr()
    assert json.loads(out) == {"prompt": "the dog", "next": [{"token": "<EOS>", "probability": pytest.approx(0.2)}]}
    assert err == "warning: not in the model's vocabulary, read as <UNK>: dog\n"


def test_complete_lines(capsys: Capture) -> None:
    complete_verb.print_lines(CAT, [["the cat", "", "sat"], ["the"]], 2, as_json=False)
    assert capsys.readouterr() == (
        "sat\t0.5000\t<EOS>\t0.2500\nthe\t0.5000\tcat\t0.2000\n<EOS>\t0.8000\tthe\t0.0500\ncat\t0.5000\tsat\t0.2500\n",
        "",
    )
    complete_verb.print_lines(CAT, [["the cat"]], 1, as_json=True)
    assert json.loads(capsys.readouterr().out) == {
        "prompt": "the cat",
        "next": [{"token": "sat", "probability": pytest.approx(0.5)}],
    }


def test_complete_finds_the_best_of_many() -> None:
    from seqcli.pipeline.complete import complete

    model = model_of([f"w{number}" for number in range(500)])
    row = np.exp(model.engine.start(1)[0][0].astype(np.float64))
    best = [number for number in np.argsort(-row, kind="stable") if number != 0][:20]
    prompts = ["", *["w1 w2"] * 70, "w3"]
    found = complete(model, prompts, 20)
    assert found[0] == [(model.vocabulary.tokens[number], pytest.approx(row[number])) for number in best]
    assert found[1] == found[70] != found[71]


def test_one_argument_is_a_model_or_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    run = Store().create("poems")
    run.recipe_path.write_text("name: poems\n")
    for name in ("poems", "text"):
        (tmp_path / name).write_text("a\n")
    assert [
        model_and_file(one, None, None)
        for one in ("poems", "poems@1", "poems@7", "runs/poems/1", "./poems", "text", "-", "nothing", None)
    ] == [
        ("poems", None),
        ("poems@1", None),
        ("poems@7", None),
        ("runs/poems/1", None),
        (None, "./poems"),
        (None, "text"),
        (None, "-"),
        ("nothing", None),
        (None, None),
    ]
    assert model_and_file("text", "poems", None) == ("text", "poems")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            "sample tiny",
            "tiny@1 is a model for tagging; this needs one for language-model. Train one: seqcli train lm-char",
        ),
        (
            "score tiny",
            "tiny@1 is a model for tagging; this needs one for language-model or translation. Train one: seqcli train lm-char",
        ),
        ("complete", "no trained model for language-model in runs. Train one: seqcli train lm-char"),
        ("sample nothing", "no model 'nothing' in runs. Known: tiny."),
        ("sample --temperature -1", "temperature must be 0 (greedy) or more, not -1"),
        ("sample --top-p 0", "top-p must be above 0 and at most 1, not 0"),
        ("sample --stop=", "--stop: an empty text would end every sample before it begins"),
        (
            "score --base 2 --probability",
            "--base is of logarithms, and --probability prints none. Leave one of them out.",
        ),
        ("complete x y --prompt z", "--prompt and the file y: which of the two?"),
        ("score --base 3", "--base: unknown value '3'. Known: 10, 2, e."),
        ("score --invalid x", "--invalid: unknown value 'x'. Known: strict, replace."),
    ],
)
def test_what_is_wrong_is_said_before_a_model_is_opened(
    seqcli: Program, trained: Path, arguments: str, message: str
) -> None:
    assert seqcli(*arguments.split()) == (2, "", f"error: {message}\n")


@pytest.mark.parametrize("verb", ["sample", "score", "complete"])
def test_help_needs_no_torch(verb: str) -> None:
    body = (
        f"import sys; from seqcli.cli.app import run_guarded, _run; run_guarded(lambda: _run('{verb}', "
        f"['{verb}', '--help'])); assert not {{'torch', 'numpy', 'pydantic'}} & set(sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", body], capture_output=True, env=environment())
    assert (done.returncode, done.stderr) == (0, b"")
    assert b"Examples:" in done.stdout


# From here on: a model trained in the shell.

RECIPE = """\
name: poem
task: {kind: language-model}
data: {train: poem.txt, dev: poem.txt, test: poem.txt, format: lines}
source: {kind: text, tokenizer: {kind: UNIT}}
model:
  embedder: {kind: tokens, dim: 16}
  encoder: {kind: lstm, dim: 32, bidirectional: false}
  head: {kind: softmax}
training:
  optimizer: {kind: adamw, lr: 1e-2}
  batch: {tokens: 64, per_epoch: 0}
  epochs: 30
  min_steps: 0
"""
POEM = "the cat sat on the mat\nthe dog sat on the log\na cat and a dog sat\n\n" * 5


@pytest.fixture(scope="session")
def poem_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("poem")
    (folder / "poem.txt").write_text(POEM)
    before = Path.cwd()
    os.chdir(folder)
    try:
        for name, kind, unit in (("words", "whitespace", "sentences"), ("letters", "characters", "stream")):
            (folder / f"{name}.yaml").write_text(RECIPE.replace("UNIT", kind))
            result = run_inside("train", f"{name}.yaml", "-q", "--set", f"name={name}", "--set", f"task.unit={unit}")
            assert result.code == 0, result.err
    finally:
        os.chdir(before)
    return folder


@pytest.fixture
def poem(poem_folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(poem_folder)
    monkeypatch.delenv("SEQCLI_RUNS", raising=False)
    return poem_folder


Models = pytest.mark.parametrize("model", ["words", "letters"])


@Models
def test_shell_sample_repeats_with_its_seed(seqcli: Program, poem: Path, model: str) -> None:
    code, out, err = seqcli("sample", model, "--max-tokens", "30", "-n", "3")
    assert code == 0
    seed = re.fullmatch(r"seed (\d+)\n", err)[1]  # type: ignore[index]
    assert seqcli("sample", model, "--max-tokens", "30", "-n", "3", "--seed", seed) == (0, out, "")
    one = seqcli("sample", model, "--max-tokens", "30", "--seed", seed)
    five = seqcli("sample", model, "--max-tokens", "30", "--seed", seed, "-n", "5")
    assert out.startswith(one.out)
    assert five.out.startswith(out)


@Models
@pytest.mark.parametrize("options", [[], ["--json"]])
def test_shell_samples_without_end_are_printed_as_they_are_made(poem: Path, model: str, options: list[str]) -> None:
    flags = ["--max-tokens", "4", "--seed", "1", *options]
    with subprocess.Popen(
        [sys.executable, "-m", "seqcli", "sample", model, "-n", "100000000", *flags],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=environment(),
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        lines = [process.stdout.readline() for _ in range(1000)]
        process.stdout.close()
        assert process.stderr.read() == b""
    assert process.returncode == 141
    few = run_inside("sample", model, "-n", "400", *flags).out
    assert few.encode().startswith(b"".join(lines[:400]))


def test_samples_take_no_memory_once_they_are_done() -> None:
    def most(count: int) -> int:
        tracemalloc.start()
        done = sum(one.done for one in grow(CAT, count=count, options=SamplingOptions(), max_tokens=12, seed=1))
        assert done == count
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return peak

    assert most(3000) < 1.2 * most(600)


@pytest.mark.parametrize("temperature", ["1e300", "1.7e308"])
def test_shell_samples_at_a_temperature_without_end(shell: Program, poem: Path, temperature: str) -> None:
    code, out, err = shell("sample", "words", "--temperature", temperature, "--seed", "1", "--max-tokens", "400")
    assert (code, err) == (0, "")
    hot = shell("sample", "words", "--temperature", "1e30", "--seed", "1", "--max-tokens", "400")
    assert hot.out == out


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ("--temperature=inf", "temperature must be 0 (greedy) or more, not inf"),
        ("--temperature=nan", "temperature must be 0 (greedy) or more, not nan"),
        ("--temperature=-1", "temperature must be 0 (greedy) or more, not -1"),
        ("--temperature=1e400", "temperature must be 0 (greedy) or more, not inf"),
        ("--top-k=0", "top-k must be 1 or more, not 0"),
        ("--top-p=nan", "top-p must be above 0 and at most 1, not nan"),
        ("--min-p=nan", "min-p must be from 0 to 1, not nan"),
    ],
)
def test_shell_sampling_options_that_are_none(seqcli: Program, poem: Path, options: str, message: str) -> None:
    assert seqcli("sample", "words", options) == (2, "", f"error: {message}\n")


@pytest.mark.parametrize(
    "options",
    ["--temperature=1e-300", "--top-k=99999999999999999999", "--top-p=1e-300", "--typical=5e-324", "--top-k=1"],
)
def test_shell_sampling_options_at_their_edge(seqcli: Program, poem: Path, options: str) -> None:
    code, out, err = seqcli("sample", "words", options, "--seed", "1")
    assert (code, err) == (0, "")
    if options not in ("--top-k=99999999999999999999", "--typical=5e-324"):
        assert out == seqcli("sample", "words", "--greedy").out


@Models
def test_shell_score_of_a_sample_is_what_the_sample_said(seqcli: Program, poem: Path, model: str) -> None:
    flags = ("--seed", "7", "-n", "4", "--temperature", "1.5", "--top-k", "6")
    rows = json_lines(seqcli("sample", model, *flags, "--json").out)
    for row in rows:
        if model == "words":
            again = json_lines(seqcli("score", model, "--json", "--base", "e", "-q", stdin=row["text"].encode()).out)
            assert row["finished"]
        else:
            again = json_lines(
                seqcli("score", model, "--json", "--base", "e", "-q", "--stream", stdin=row["text"].encode()).out
            )
        log_probs = [value for line in again for value in line["log_probs"]]
        tokens = [token for line in again for token in line["tokens"]]
        count = len(row["tokens"])
        assert tokens[:count] == row["tokens"]
        assert log_probs[:count] == pytest.approx(row["log_probs"], abs=1e-4)


def test_shell_score_keeps_every_line(shell: Program, seqcli: Program, poem: Path) -> None:
    text = b"the cat sat on the mat\n\nmat the on sat cat the\nzzz\n"
    code, out, err = seqcli("score", "words", stdin=text)
    lines = [float(line) for line in out.splitlines()]
    assert (code, len(lines)) == (0, 4)
    assert lines[0] > lines[2]
    assert all(value < 0 for value in lines)
    assert err.splitlines()[1].split() == ["tokens", "17", "13", "without", "<EOS>;", "1", "unknown"]
    assert seqcli("score", "words", "-q", stdin=text) == (0, out, "")
    (poem / "text.txt").write_bytes(text)
    assert shell("score", "words", "text.txt", "--no-summary") == (0, out, "")
    assert seqcli("score", "text.txt", "--no-summary").err == "using letters@1\n"


def test_shell_complete(seqcli: Program, poem: Path) -> None:
    code, out, err = seqcli("complete", "words", "--prompt", "the cat sat on", "-k", "2")
    rows = [line.split("\t") for line in out.splitlines()]
    assert (code, rows[0][0], len(rows), err) == (0, "the", 2, "")
    assert float(rows[0][1]) > 0.9
    one_line = seqcli("complete", "words", "-k", "2", stdin=b"the cat sat on\n\n")
    assert (one_line.code, one_line.out.split("\n")[0].split("\t")) == (0, [cell for row in rows for cell in row])
    assert one_line.out.count("\n") == 2


def test_shell_complete_a_file(seqcli: Program, poem: Path) -> None:
    """The same lines from a file, from a pipe and of the newest model: one out for each in, a blank one too."""
    lines = b"the cat sat on\n\nthe dog\n\n"
    (poem / "prompts.txt").write_bytes(lines)
    from_file = seqcli("complete", "letters", "prompts.txt", "-k", "3")
    assert (from_file.code, from_file.out.count("\n"), from_file.err) == (0, 4, "")
    assert from_file == seqcli("complete", "letters", "-k", "3", stdin=lines)
    assert from_file == seqcli("complete", "letters", "-", "-k", "3", stdin=lines)
    assert seqcli("complete", "prompts.txt", "-k", "3") == (0, from_file.out, "using letters@1\n")
    second, fourth = from_file.out.splitlines()[1::2]
    assert second == fourth != ""
    rows = json_lines(seqcli("complete", "words", "prompts.txt", "--json").out)
    assert [row["prompt"] for row in rows] == ["the cat sat on", "", "the dog", ""]
    assert seqcli("complete", "words", "none.txt") == (
        74,
        "",
        "error: none.txt: cannot read: No such file or directory\n",
    )


def test_shell_score_as_probabilities(seqcli: Program, poem: Path) -> None:
    text = b"the cat sat on the mat\n\nzzz\n"
    logs = seqcli("score", "words", "-q", "--base", "e", stdin=text).out.split()
    out = seqcli("score", "words", "--probability", "-q", stdin=text).out
    assert [float(line) for line in out.split()] == pytest.approx([math.exp(float(one)) for one in logs], rel=1e-3)
    assert all(re.fullmatch(r"\d\.\d{4}e[-+]\d\d+", line) for line in out.split())


def test_shell_unknown_words_and_the_newest_model(seqcli: Program, poem: Path) -> None:
    code, out, err = seqcli("sample", "--greedy", "--max-tokens", "3", "--prompt", "7")
    assert (code, out[0]) == (0, "7")
    assert err == "using letters@1\nwarning: not in the model's vocabulary, read as <UNK>: 7\n"


def test_shell_head_is_quiet(poem: Path) -> None:
    script = f"set -o pipefail; {sys.executable} -m seqcli sample letters --seed 1 --max-tokens 100000 | head -n 1"
    done = subprocess.run(["bash", "-c", script], capture_output=True, env=environment(), timeout=120)
    assert (done.returncode, done.stdout.count(b"\n"), done.stderr) == (141, 1, b"")


def test_shell_score_answers_each_line_before_the_next(poem: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-m", "seqcli", "score", "words", "-q"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env=environment(),
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        for line in (b"the cat", b"", b"a dog"):
            process.stdin.write(line + b"\n")
            process.stdin.flush()
            assert float(process.stdout.readline()) < 0
        process.stdin.close()
        assert process.stdout.read() == b""
    assert process.returncode == 0


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="this system has no /dev/full")
@pytest.mark.parametrize("verb", ["sample words --seed 1", "score words poem.txt -q", "complete words --prompt the"])
def test_shell_stdout_on_a_full_device(poem: Path, verb: str) -> None:
    with open("/dev/full", "wb") as full:
        done = subprocess.run(
            [sys.executable, "-m", "seqcli", *verb.split()], stdout=full, stderr=subprocess.PIPE, env=environment()
        )
    assert (done.returncode, done.stderr) == (74, b"error: cannot write to stdout: No space left on device\n")
