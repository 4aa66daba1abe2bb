"""Every verb with stdin, stdout or stderr closed or full: one line or none, the right code, and no result is lost."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from media_files import sweep, write_sound
from tiny import Program, Result, environment
from tiny_text import lines

from seqcli.cli.verbs import VERBS
from seqcli.recipe.dump import dump_recipe

VECTORS = "king 1 2\nqueen 1 3\nman 2 2\nwoman 2 3\n"
FULL = "error: cannot write to stdout: No space left on device\n"
CLOSED_OUT = "error: cannot write to stdout: Bad file descriptor\n"
CLOSED_IN = "error: <stdin>: cannot read: Bad file descriptor\n"

READS_STDIN = {
    "predict tiny": "Ravi met Anna\n",
    "translate tiny-mt": "see red cats\n",
    "caption tiny-captions -": "vectors.npy\n",
    "impute gaps": "time,a,b\n2001-01-01T00:00:00,1,2\n2001-01-01T01:00:00,,2\n2001-01-01T02:00:00,3,2\n",
    "forecast waves": "Month,y\n" + "".join(f"2001-{month:02},{month}\n" for month in range(1, 13)),
    "score lm": "the cat\n",
    "neighbors --vectors v.txt": "king\n",
    "analogy --vectors v.txt": "man woman king\n",
    "recurrence": "W = 0.5\ns0 = 1\n",
    "tokenize": "the cat.\n",
    "detokenize": "the cat .\n",
    "vocab encode vocab.txt": "the cat\n",
    "bleu - reference": "the cat sat on a mat\n",
    "chrf - reference": "the cat sat on a mat\n",
    "ter - reference": "the cat sat on a mat\n",
    "wer - reference": "the cat sat on a mat\n",
    "accuracy - reference": "the cat sat on a mat\n",
}
READS_NONE = (
    "evaluate tiny",
    "sample lm --max-tokens 3 --seed 1",
    "complete lm --prompt the",
    "spans test.conll test.conll",
    "inspect tiny",
    "plot tiny",
    "curve --decompose --degrees 1,3",
    "sweep tiny.yaml --set model.encoder.dim=4..8 --dry-run",
    "models ls --json",
    "recipes ls",
    "start train.conll -o started.yaml --force",
    "components encoder",
    "data ls",
    "data stats test.conll",
    "features audio tone.wav --json -o tone.npy",
    "transcribe speech speech-0.npy",
    "--help",
    "predict --help",
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, trained_folder: Path) -> Path:
    """A tagger, a language model, a translator and files for every verb."""
    import tiny_gaps
    import tiny_images
    import tiny_pairs
    import tiny_series
    import tiny_speech
    from tiny import run_inside
    from tiny_text import RECIPE

    folder = tmp_path_factory.mktemp("streams")
    for name in ("test.conll", "train.conll", "dev.conll", "tiny.yaml"):
        (folder / name).symlink_to(trained_folder / name)
    shutil.copytree(trained_folder / "runs", folder / "runs")
    (folder / "train.txt").write_text(lines(60))
    (folder / "lm.yaml").write_text(RECIPE.replace("TRAIN", "train.txt").replace("DEV", "train.txt"))
    (folder / "v.txt").write_text(VECTORS)
    write_sound(folder / "tone.wav", sweep(0.5))
    (folder / "reference").write_text("the cat sat on the mat\n")
    before = Path.cwd()
    os.chdir(folder)
    try:
        assert run_inside("train", "lm.yaml", "--set", "name=lm", "-q").code == 0
        tiny_pairs.write_recipe(folder)
        assert run_inside("train", "tiny-mt.yaml", "-q").code == 0
        (folder / "captions.yaml").write_text(dump_recipe(tiny_images.image_recipe(folder / "images")))
        assert run_inside("train", "captions.yaml", "-q").code == 0
        (folder / "vectors.npy").symlink_to(folder / "images/features.npy")
        (folder / "gaps.yaml").write_text(dump_recipe(tiny_gaps.gap_recipe(tiny_gaps.gap_table(folder / "gaps.csv"))))
        assert run_inside("train", "gaps.yaml", "-q").code == 0
        waves = tiny_series.series_recipe(tiny_series.monthly(folder / "waves.csv"), "model={kind: last-value}")
        (folder / "waves.yaml").write_text(dump_recipe(waves))
        assert run_inside("train", "waves.yaml", "-q").code == 0
        assert run_inside("vocab", "build", "train.txt", "-o", "vocab.txt").code == 0
        tiny_speech.speech_recipe(folder)
        recipe = tiny_speech.RECIPE
        for split in ("train", "dev", "test"):
            recipe = recipe.replace(split.upper(), f"{split}.tsv")
        (folder / "speech.yaml").write_text(recipe.strip() + "\n")
        assert run_inside("train", "speech.yaml", "-q").code == 0
        (folder / "speech-0.npy").symlink_to(folder / "dev-0.npy")
    finally:
        os.chdir(before)
    return folder


def bash(folder: Path, line: str, stdin: str = "") -> Result:
    """How the program ends, called by bash with ``line``, which may redirect."""
    command = f"{sys.executable} -m seqcli {line}"
    done = subprocess.run(
        ["bash", "-c", command], input=stdin.encode(), capture_output=True, cwd=folder, env=environment(), timeout=120
    )
    return Result(done.returncode, done.stdout.decode(), done.stderr.decode())


def test_every_verb_is_here() -> None:
    here = {line.split()[0] for line in (*READS_STDIN, *READS_NONE)}
    assert here | {"train", "vectors"} == VERBS.keys() | {"--help"}


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="this system has no /dev/full")
@pytest.mark.parametrize("line", [*READS_STDIN, *READS_NONE])
def test_a_stream_is_closed_or_full(folder: Path, line: str) -> None:
    stdin = READS_STDIN.get(line, "")
    code, out, err = bash(folder, line, stdin)
    assert (code, out == "") == (0, False)
    assert bash(folder, f"{line} 2>&-", stdin) == (0, out, "")
    assert bash(folder, f"{line} 2>/dev/full", stdin) == (0, out, "")
    assert bash(folder, f"{line} <&-") == ((74, "", CLOSED_IN) if line in READS_STDIN else (0, out, err))
    assert bash(folder, f"-q {line} >&-", stdin) == (74, "", CLOSED_OUT)
    assert bash(folder, f"-q {line} >/dev/full", stdin) == (74, "", FULL)
    assert bash(folder, f"{line} >/dev/full 2>/dev/full", stdin) == (74, "", "")


@pytest.mark.parametrize("redirected", ["2>&-", "2>/dev/full", "2> >(true)"])
def test_no_training_is_lost_for_a_message(place: Path, redirected: str) -> None:
    code, out, err = bash(place, f"train tiny.yaml {redirected}")
    assert (code, err) == (0, "")
    assert out.splitlines()[3].startswith("tiny@1 in runs/tiny/1: ")
    assert (place / "runs/tiny/1/manifest.json").is_file()


def test_a_training_whose_result_cannot_be_printed_is_kept(place: Path) -> None:
    code, _, err = bash(place, "train tiny.yaml -q >&-")
    assert (code, err) == (74, CLOSED_OUT)
    assert bash(place, "models ls --json").out.count('"finished"') == 1


def test_messages_into_a_closed_pipe_cost_no_line(folder: Path) -> None:
    stdin = "Ravi met Anna\n" * 3000 + "\n" + "Ravi\n" * 2000
    code, out, _ = bash(folder, "predict tiny 2> >(true)", stdin)
    assert (code, out.count("\n")) == (0, 5001)


def test_debug_shows_a_traceback_of_lines_that_no_terminal_obeys(seqcli: Program, place: Path) -> None:
    code, out, err = seqcli("predict", "no\x1b[31m\nmodel", "--debug")
    assert (code, out) == (2, "")
    assert err.startswith("Traceback (most recent call last):\n")
    assert err.endswith(
        "error: no model 'no\\u001b[31m\\nmodel' in runs. Train one: seqcli train no\\u001b[31m\\nmodel\n"
    )
