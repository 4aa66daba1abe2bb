"""benchmarks/music.py: spans copied from training, tunes that parse, bars that are complete."""

import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

ROOT = Path(__file__).resolve().parents[2]
SCRIPT = ROOT / "benchmarks" / "music.py"


def load():
    spec = importlib.util.spec_from_file_location("music_benchmark", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


music = load()

GOOD = "X:1\nT:Up\nM:2/4\nL:1/8\nK:D\nA|d2 d2|f2 f2|a2 f2|d3:|\nA|(3ABc d2|f4|"
LONG_BAR = "X:1\nM:2/4\nL:1/8\nK:D\nd2 d2|d2 d2 d|d4|"
DOUBLE_BAR = LONG_BAR.replace("d2 d2 d|", "d4 d4|")
SHORT_BAR = "X:1\nM:2/4\nL:1/8\nK:D\nd2 d2|d2|d4|d4|"


def test_the_longest_copy_by_hand():
    assert music.longest_copy("xabcdx", "zabcyabcdz") == music.Copied(1, 4)
    assert music.longest_copy("abab", "ab") == music.Copied(0, 2)
    assert music.longest_copy("xyz", "abc") == music.Copied(0, 0)
    assert music.longest_copy("", "abc") == music.Copied(0, 0)


@given(st.text(alphabet="ab|", max_size=20), st.text(alphabet="ab|", max_size=30))
def test_the_longest_copy_is_the_longest_of_all_spans(text, training):
    spans = [text[i:j] for i in range(len(text)) for j in range(i, len(text) + 1) if text[i:j] in training]
    found = music.longest_copy(text, training)
    assert found.length == max(map(len, spans), default=0)
    assert text[found.begin : found.begin + found.length] in training


def test_no_span_reaches_over_two_tunes():
    assert music.longest_copy("abcd", music.joined(["ab", "cd"])).length == 2


def test_the_body_is_what_follows_the_key():
    assert music.body(GOOD).startswith("A|d2")
    assert music.body("X:1\nK:C") == ""


def test_bars_are_complete_but_for_upbeats():
    pytest.importorskip("music21", reason="needs music21 (the extra 'music')")
    assert music.bars_complete(music.parse(GOOD))
    assert not music.bars_complete(music.parse(LONG_BAR))
    assert not music.bars_complete(music.parse(SHORT_BAR))
    assert not music.bars_complete(music.parse(DOUBLE_BAR))  # music21 itself would make two bars of it
    assert not music.bars_complete(music.parse(GOOD.replace("M:2/4\n", "M:none\n")))


@pytest.mark.parametrize("text", ["garbage", "X:1\nT:no key\nabc", "X:1\nK:C", "X:1\nL:1/8\nK:D\n[[ (( {"])
def test_what_is_no_music_does_not_parse(text):
    pytest.importorskip("music21", reason="needs music21 (the extra 'music')")
    assert music.parse(text) is None


def test_the_report_without_parsing():
    tunes = [GOOD, "X:2\nK:C\nCDEF|"]
    assert music.report(tunes, music.joined(["zz", "CDEF|", "|f2 f2|"]), parsing=False) == [
        "tunes: 2",
        "longest span copied from training: 7 of 39 characters (tune 1)",
        "longest copied span a tune: mean 6.0, median 6 of 22 characters",
        "copied whole: 1 of 2 (50.0%)",
    ]


def test_the_script_in_a_pipe(tmp_path):
    train = tmp_path / "train.abc"
    train.write_text(GOOD + "\n")
    command = [sys.executable, str(SCRIPT), "--train", str(train)]
    environment = {"PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin"}
    done = subprocess.run(command, input=GOOD.encode(), capture_output=True, env=environment)
    assert done.returncode == 0
    lines = done.stdout.decode().splitlines()
    assert lines[0] == "tunes: 1"
    assert lines[-3:] == [
        "longest span copied from training: 39 of 39 characters (tune 1)",
        "longest copied span a tune: mean 39.0, median 39 of 39 characters",
        "copied whole: 1 of 1 (100.0%)",
    ]
    done = subprocess.run(command, input=b"no tune\n", capture_output=True, env=environment)
    assert (done.stdout, done.stderr, done.returncode) == (b"", b"no tune: none of the lines begins with X:\n", 65)
