"""The verbs of a translator at the prompt: translate, score, evaluate, start; one tiny model by heart."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import pytest
from tiny import run_inside, run_outside, trained_run
from tiny_pairs import BY_HEART, FEW, MODELS, pair_recipe, write_pairs

from seqcli.errors import ExitCode


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("translator")
    trained_run(pair_recipe(folder, *MODELS["lstm-attention"], *BY_HEART, train=FEW, dev=FEW), folder)
    return folder


@pytest.fixture
def here(folder, tmp_path, monkeypatch):
    shutil.copytree(folder / "runs", tmp_path / "runs")
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("SEQCLI_RUNS", raising=False)
    return tmp_path


def lines(*some: str) -> bytes:
    return "".join(f"{line}\n" for line in some).encode()


def test_a_line_out_for_each_line_in_blank_ones_stay(here):
    found = run_inside("translate", stdin=lines("red", "", "see red cats", "  ", "two dogs"))
    assert found == (0, "rot\n\nKatzen rot sehen\n\nHunde zwei\n", "using tiny-mt@1\n")


def test_a_file_and_a_model_by_name(here):
    Path("in.en").write_bytes(lines("red", "two dogs"))
    for arguments in (("tiny-mt", "in.en"), ("in.en",), ("tiny-mt@1", "in.en", "--beam", "3")):
        assert run_inside("translate", *arguments, "-q").out == "rot\nHunde zwei\n"


def test_several_translations_are_numbered_and_ranked(here):
    found = run_inside("translate", "-q", "--n-best", "3", "--scores", "--alignments", stdin=lines("red", "two dogs"))
    rows = [line.split("\t") for line in found.out.splitlines()]
    assert [row[0] for row in rows] == ["1"] * 3 + ["2"] * 3
    assert [rows[0][2], rows[3][2]] == ["rot", "Hunde zwei"]
    assert re.fullmatch("[01]-0 [01]-1", rows[3][3])
    for some in (rows[:3], rows[3:]):
        scores = [float(row[1]) for row in some]
        assert scores == sorted(scores, reverse=True)
        assert len({row[2] for row in some}) == 3


def test_json_has_all_there_is(here):
    (document,) = map(json.loads, run_inside("translate", "-q", "--jsonl", stdin=lines("two dogs")).out.splitlines())
    best = document["translations"][0]
    assert (document["line"], document["tokens"]) == (1, ["two", "dogs"])
    assert (best["text"], best["tokens"], best["ended"]) == ("Hunde zwei", ["Hunde", "zwei"], True)
    assert [target for _, target in best["alignment"]] == [0, 1]
    assert best["score"] == pytest.approx(best["log_prob"] / 3, rel=0.2)  # with <EOS>; <UNK> is barred


def test_samples_are_the_same_for_the_same_seed_whatever_stands_around(here):
    # torch: a graph in eight bits scales its numbers by the whole batch
    options = ("translate", "-q", "--engine", "torch", "--temperature", "20", "--n-best", "2")
    one = run_inside(*options, "--seed", "5", stdin=lines("red", "two dogs")).out.splitlines()
    more = run_inside(*options, "--seed", "5", stdin=lines("red", "two dogs", "see red cats")).out.splitlines()
    other = run_inside(*options, "--seed", "6", stdin=lines("red", "two dogs")).out.splitlines()
    assert more[:4] == one != other
    assert re.fullmatch(r"seed \d+\n", run_inside("translate", "tiny-mt", "--sample", stdin=lines("red")).err)


def test_what_a_translation_begins_with_how_long_it_is_and_no_repetition(here):
    assert run_inside("translate", "-q", "--prefix", "Hunde", stdin=lines("red")).out.startswith("Hunde")
    assert run_inside("translate", "-q", "--max-length", "1", stdin=lines("see red cats")).out == "Katzen\n"
    words = run_inside("translate", "-q", "--min-length", "5", "--no-repeat", "1", stdin=lines("red")).out.split()
    assert len(words) >= 5
    assert len({*words}) == len(words)


def test_models_that_write_together(here):
    shutil.copytree("runs/tiny-mt/1", "runs/twin/1")
    report = Path("runs/twin/1/report.json")
    assert report.exists()
    found = run_inside("translate", "runs/tiny-mt/1", "-q", "--with", "runs/twin/1", stdin=lines("two dogs"))
    assert found == (0, "Hunde zwei\n", "")


def test_models_of_other_words_cannot_write_together(here, tmp_path_factory):
    other = tmp_path_factory.mktemp("other")
    trained_run(pair_recipe(other, "name=other", "training.epochs=1"), other)
    shutil.copytree(other / "runs" / "other", "runs/other")
    found = run_inside("translate", "tiny-mt", "--with", "other", stdin=lines("red"))
    assert (found.code, found.out) == (ExitCode.USAGE, "")
    assert "other@1 has another vocabulary or source than tiny-mt@1" in found.err


def test_long_lines_are_split_and_said_or_refused(folder, here):
    shutil.rmtree("runs")
    short = pair_recipe(here / "data", *MODELS["lstm-attention"], *BY_HEART, "data.max_length=3", train=FEW, dev=FEW)
    trained_run(short, here)
    found = run_inside("translate", "tiny-mt", stdin=lines("red", "see red cats two dogs"))
    assert found.code == 0
    assert found.out.startswith("rot\nKatzen rot sehen ")
    assert "<stdin>:2: a line of more than 3 tokens is translated in parts" in found.err
    refused = run_inside("translate", "tiny-mt", "--long", "refuse", stdin=lines("red", "see red cats two dogs"))
    assert refused.code == ExitCode.DATA
    assert "line 2 has 5 tokens; the model takes 3 in one piece" in refused.err
    assert refused.out in ("", "rot\n")


def test_a_line_of_unknown_words_alone_is_said(here):
    found = run_inside("translate", "tiny-mt", stdin=lines("red", "¿ ¿", "blue sky", "red sky"))
    assert (found.code, len(found.out.splitlines())) == (0, 4)
    assert found.err == (
        "warning: <stdin>:2: the model knows none of the line's tokens, so its translation means nothing\n"
    )


def test_a_picture_of_where_it_looked(here):
    pytest.importorskip("matplotlib")
    found = run_inside("translate", "-q", "--attention", "dogs.png", stdin=lines("two dogs"))
    assert found == (0, "Hunde zwei\n", "")
    assert Path("dogs.png").read_bytes().startswith(b"\x89PNG")
    wrong = run_inside("translate", "-q", "--attention", "dogs.doc", stdin=lines("two dogs"))
    assert (wrong.code, wrong.err.strip()) == (2, "error: --attention: dogs.doc is none of .png, .svg, .pdf")
    two = run_inside("translate", "-q", "--attention", "dogs.png", stdin=lines("red", "two dogs"))
    assert (two.code, "draws one sentence, and <stdin> has 2" in two.err) == (2, True)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--beam", "2", "--n-best", "3"), "3 hypotheses cannot come out of a beam of 2"),
        (("--sample", "--beam", "2"), "sampling follows one sequence at a time"),
        (("--min-length", "9", "--max-length", "3"), "min-length 9 is above max-length 3"),
        (("--long", "cut"), "--long: unknown value 'cut'"),
        (("--temperature", "-1"), "temperature"),
    ],
)
def test_options_that_cannot_be(here, arguments, message):
    found = run_inside("translate", "tiny-mt", *arguments, stdin=lines("red"))
    assert (found.code, found.out) == (ExitCode.USAGE, "")
    assert message in found.err


def test_a_model_of_another_task_is_refused(trained):
    found = run_inside("translate", "tiny", stdin=lines("red"))
    assert (found.code, found.out) == (ExitCode.USAGE, "")
    assert "tiny@1 is a model for tagging" in found.err


def test_lines_before_a_bad_one_are_answered(here):
    found = run_inside("translate", "-q", stdin=lines("red", "two dogs") + b"\xff\nred\n")
    assert (found.code, found.out) == (ExitCode.DATA, "rot\nHunde zwei\n")
    assert "<stdin>:3: invalid UTF-8 at byte 1" in found.err


def test_how_probable_a_target_is(here):
    found = run_inside("score", "tiny-mt", stdin=lines("red\trot", "red\tzwei", "two dogs\tHunde zwei"))
    right, wrong, other = map(float, found.out.splitlines())
    assert min(right, other) > -0.5 > -1 > wrong
    assert "tokens                    7  4 without <EOS>; 0 unknown" in found.err
    tokens = run_inside("score", "tiny-mt", "-q", "--per-token", stdin=lines("two dogs\tHunde zwei")).out
    assert [row.split("\t")[0] for row in tokens.splitlines()] == ["Hunde", "zwei", "<EOS>", ""]
    bad = run_inside("score", "tiny-mt", "-q", stdin=lines("red\trot", "red"))
    assert (bad.code, len(bad.out.splitlines())) == (ExitCode.DATA, 1)
    assert "<stdin>:2: 1 tab-separated column where a source and a target should be" in bad.err


def test_evaluate_against_itself(here):
    write_pairs(here / "test.tsv", FEW)
    (other,) = json.loads(run_inside("evaluate", "tiny-mt", "test.tsv", "--against", "tiny-mt", "--json").out)[
        "compared"
    ]
    paired = other["paired"]
    assert (paired["metric"], paired["difference"], paired["p"], paired["p_randomisation"]) == ("exact match", 0, 1, 1)
    assert paired["says"].startswith("tiny-mt@1 and tiny-mt@1 cannot be told apart: +0.00 exact match")


def test_evaluate_and_its_worst_lines(here):
    write_pairs(here / "test.tsv", [("red", "rot"), ("two dogs", "zwei Hunde")])
    found = run_inside("evaluate", "tiny-mt", "test.tsv", "--errors", "worst.tsv")
    assert found.code == 0, found.err
    assert found.out.startswith("exact match = 50.00 (exact|tokens:whitespace|references:nearest|")
    assert "2 lines, 1 of them equal to a reference" in found.out
    head, row = Path("worst.tsv").read_text().splitlines()
    assert head.split("\t") == ["place", "chrf", "source", "reference", "translation"]
    assert row.split("\t")[2:] == ["two dogs", "zwei Hunde", "Hunde zwei"]


def test_start_writes_a_recipe_for_pairs(here):
    some = [(f"{source} {number}", f"{target} {number}") for number in range(10) for source, target in FEW]
    write_pairs(here / "pairs.tsv", some)
    for side, language in enumerate(("en", "de")):
        (here / f"c.{language}").write_text("".join(f"{pair[side]}\n" for pair in some))
    for file, name in (("pairs.tsv", "pairs"), ("c.{en,de}", "c")):
        found = run_inside("start", file)
        assert found.code == 0, found.err
        assert "task: translation" in found.err
        assert f"echo 'some text' | seqcli translate {name}" in found.err
        assert run_inside("recipes", "validate", f"./{name}.yaml").code == 0
    swapped = [("good" if number % 2 else "bad", f"a film {number}") for number in range(40)]
    write_pairs(here / "swapped.tsv", swapped)
    assert "task: classification" in run_inside("start", "swapped.tsv").err  # one text for many is no translation


def test_translate_loads_no_torch(here):
    found = run_outside("translate", "tiny-mt", "-q", stdin=lines("red"), env={"PYTHONPROFILEIMPORTTIME": "1"})
    assert found.out == "rot\n"
    assert not re.search(r"\btorch\b", found.err)
