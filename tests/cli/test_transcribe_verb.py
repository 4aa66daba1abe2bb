"""``transcribe``: recordings of tones to text, subtitles and tables, cut at silences, from files, folders and stdin."""

from __future__ import annotations

import itertools
import json
import random

import numpy as np
import pytest
import soundfile
from tiny import run_inside, trained_run

from seqcli.pipeline.transcribe import Transcript, pieces_of, quietest
from seqcli.pipeline.transcripts import FORMATS, clock, cues
from seqcli.recipe.load import recipe_from_text
from seqcli.tasks.transcription import Spoken

RATE = 8000
TONES = {"low": 300.0, "high": 1800.0}
RECIPE = """
name: tones
task: {kind: transcription}
data: {train: TRAIN, dev: TRAIN, format: manifest}
source: {kind: frames, features: {kind: log-mel, rate: 8000, bins: 8}}
target: {kind: text, tokenizer: {kind: whitespace}}
model:
  embedder: {kind: convolution, dim: 16, filters: 16, kernel: 3, layers: 2, subsampling: 4}
  encoder: {kind: cnn, widths: [3], filters: 16}
  head: {kind: ctc}
training: {optimizer: {kind: adamw, lr: 0.01}, batch: {tokens: 500, per_epoch: 0}, epochs: 40, select_by: loss, min_steps: 0}
"""


def spoken(text: str, chance: random.Random) -> np.ndarray:
    """A tone of 0.2 seconds a word, 0.25 seconds of near silence before, between and behind."""
    pause = np.zeros(RATE // 4)
    parts = [pause]
    for word in text.split():
        times = np.arange(RATE // 5) / RATE
        parts += [0.4 * np.sin(2 * np.pi * TONES[word] * times), pause]
    samples = np.concatenate(parts)
    noise = np.array([chance.gauss(0, 0.001) for _ in range(len(samples))])
    return (samples + noise).astype(np.float32)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Recordings with a manifest, and the model that was trained on them."""
    path = tmp_path_factory.mktemp("tones")
    chance = random.Random(1)
    lines = []
    for number in range(16):
        text = " ".join(chance.choices([*TONES], k=chance.randint(1, 4)))
        soundfile.write(path / f"{number:02}.wav", spoken(text, chance), RATE)
        lines.append(f"{number:02}.wav\t{text}\n")
    (path / "train.tsv").write_text("".join(lines))
    recipe = recipe_from_text(RECIPE.replace("TRAIN", str(path / "train.tsv"))).recipe
    run = trained_run(recipe, path)
    assert run.report()["dev"]["value"] == 0
    return path


@pytest.fixture
def talk(folder, tmp_path):
    path = tmp_path / "talk.wav"
    soundfile.write(path, spoken("low high high low", random.Random(7)), RATE)
    return path


def transcribe(folder, *arguments, **options):
    return run_inside("transcribe", *map(str, arguments), "--runs", str(folder / "runs"), **options)


def test_one_recording_is_a_line(folder, talk):
    assert transcribe(folder, "tones", talk) == (0, "low high high low\n", "")
    found = transcribe(folder, talk)
    assert (found.code, found.out, found.err) == (0, "low high high low\n", "using tones@1\n")


def test_standard_input_is_a_recording(folder, talk):
    found = transcribe(folder, "tones", "-", stdin=talk.read_bytes())
    assert (found.code, found.out) == (0, "low high high low\n")


def test_a_folder_and_a_manifest_name_their_lines(folder):
    wanted = (folder / "train.tsv").read_text()
    assert transcribe(folder, "tones", folder).out == wanted
    assert transcribe(folder, "tones", folder / "train.tsv").out == wanted


def test_words_have_times_and_confidence(folder, talk):
    found = json.loads(transcribe(folder, "tones", talk, "--to", "json").out)
    assert found["text"] == "low high high low"
    assert found["seconds"] == pytest.approx(2.05)
    for number, word in enumerate(found["words"]):
        begin = 0.25 + 0.45 * number
        assert begin - 0.15 < word["start"] < word["end"] < begin + 0.35
        assert 0.5 < word["confidence"] <= 1
    rows = transcribe(folder, "tones", talk, "--to", "csv").out.splitlines()
    assert rows[0] == "file,start,end,word,confidence"
    assert len(rows) == 5


def test_files_of_every_format_in_one_pass(folder, talk, tmp_path):
    out = tmp_path / "out"
    found = transcribe(folder, "tones", talk, "--to", "txt,srt,vtt,json,csv", "--max-words", "2", "-o", out)
    assert (found.code, found.out) == (0, "")
    names = sorted(path.relative_to(out).as_posix() for path in out.rglob("*.*"))
    assert [name.rpartition("talk.")[2] for name in names] == ["csv", "json", "srt", "txt", "vtt"]
    (srt,) = out.rglob("talk.srt")
    assert srt.read_text().count(" --> ") == 2


def test_a_long_recording_is_cut_at_its_silences(folder, tmp_path):
    chance = random.Random(3)
    text = " ".join(chance.choices([*TONES], k=60))
    path = tmp_path / "long.wav"
    soundfile.write(path, spoken(text, chance), RATE)
    found = transcribe(folder, "tones", path, "--longest", "3")
    assert found.out == f"{text}\n"
    words = json.loads(transcribe(folder, "tones", path, "--longest", "3", "--to", "json").out)["words"]
    starts = [word["start"] for word in words]
    assert starts == sorted(starts)
    assert starts[-1] == pytest.approx(0.25 + 0.45 * 59, abs=0.15)


def test_stereo_another_rate_and_silence(folder, talk, tmp_path):
    import soxr

    samples, _ = soundfile.read(talk, dtype="float32")
    other = soxr.resample(samples, RATE, 44100)
    path = tmp_path / "stereo.wav"
    soundfile.write(path, np.stack([other, other], 1), 44100)
    assert transcribe(folder, "tones", path).out == "low high high low\n"
    soundfile.write(path, np.zeros(RATE), RATE)
    assert transcribe(folder, "tones", path) == (0, "\n", "")


def test_a_bad_recording_stops_or_is_skipped(folder, talk, tmp_path):
    some = tmp_path / "some"
    some.mkdir()
    (some / "a.wav").write_bytes(talk.read_bytes())
    (some / "b.wav").write_bytes(b"")
    (some / "c.wav").write_bytes(talk.read_bytes())
    found = transcribe(folder, "tones", some)
    assert found.code == 65
    assert "b.wav: the file is empty" in found.err
    found = transcribe(folder, "tones", some, "--skip-bad")
    assert (found.code, found.out) == (0, "a.wav\tlow high high low\nc.wav\tlow high high low\n")
    assert "skipped: " in found.err
    only = tmp_path / "only"
    only.mkdir()
    (only / "b.wav").write_bytes(b"RIFF")
    assert transcribe(folder, "tones", only, "--skip-bad").code == 65


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--to", "txt,srt"), "several formats take files"),
        (("--to", "doc"), "--to: unknown value 'doc'"),
        (("--lm", "tones"), "language-model"),
        (("--ctc-weight", "0.5"), "--ctc-weight weighs CTC against a decoder, and the model has not both"),
    ],
)
def test_what_cannot_be_meant(folder, talk, arguments, message):
    found = transcribe(folder, "tones", talk, *arguments)
    assert found.code == 2
    assert message in found.err


def test_a_lexicon_is_obeyed(folder, talk, tmp_path):
    lexicon = tmp_path / "words.txt"
    lexicon.write_text("low\n")
    found = transcribe(folder, "tones", talk, "--lexicon", lexicon)
    assert found.code == 0
    assert set(found.out.split()) == {"low"}


def test_a_language_model_of_words_has_a_say(folder, talk, tmp_path):
    (tmp_path / "lm.txt").write_text("high high high high\n" * 20 + "low\n")
    recipe = f"""
name: words
task: {{kind: language-model, floor: null}}
data: {{train: {tmp_path / "lm.txt"}, dev: {tmp_path / "lm.txt"}, format: lines}}
model: {{kind: ngram, order: 2}}
"""
    trained_run(recipe_from_text(recipe).recipe, folder)
    assert transcribe(folder, "tones", talk, "--lm", "words", "--lm-weight", "0").out == "low high high low\n"
    assert set(transcribe(folder, "tones", talk, "--lm", "words", "--lm-weight", "50").out.split()) <= {"high"}


DECODER = "model.decoder={kind: gru, dim: 16, attention: additive}"
WRITERS = {"joint": "0.3", "alone": "0"}


@pytest.fixture(scope="module")
def writers(folder):
    """Decoders over the same recordings: one with CTC beside it, one alone."""
    for name, weight in WRITERS.items():
        overrides = [
            f"name={name}",
            "model.kind=encoder-decoder",
            "model.head={kind: softmax}",
            DECODER,
            f"task.ctc_weight={weight}",
            "training.epochs=60",
            "training.evaluate_every=100",
        ]
        text = RECIPE.replace("TRAIN", str(folder / "train.tsv"))
        trained_run(recipe_from_text(text, overrides=overrides).recipe, folder)
    return folder


def test_a_decoder_with_ctc_beside_it_writes_words_with_times(writers, talk):
    """The recording is longer than any it was trained on, so much of the weight is CTC's."""
    both = ("--ctc-weight", "0.9")
    assert transcribe(writers, "joint", talk, "--beam", "4", *both) == (0, "low high high low\n", "")
    assert transcribe(writers, "joint", talk, "--ctc-weight", "1").out == "low high high low\n"
    words = json.loads(transcribe(writers, "joint", talk, "--to", "json", *both).out)["words"]
    assert [word["word"] for word in words] == ["low", "high", "high", "low"]
    assert all(one["start"] < other["start"] for one, other in itertools.pairwise(words))


def test_two_recognisers_are_compared_by_their_words(writers, folder):
    arguments = [str(folder / "train.tsv"), "--against", "joint", "--runs", str(folder / "runs"), "--json"]
    found = json.loads(run_inside("evaluate", "tones", *arguments).out)
    (other,) = found["compared"]
    paired = other["paired"]
    assert (paired["metric"], paired["less_is_better"]) == ("WER", True)
    wer = [
        next(one["value"] for one in (score, *score["counts"]["also"]) if one["name"] == "WER")
        for score in (found["score"], other["score"])
    ]
    assert paired["difference"] == pytest.approx(wer[0] - wer[1])


def test_a_decoder_alone_knows_no_times_and_says_so(writers, folder, talk):
    found = transcribe(writers, "alone", talk)
    assert (found.code, len(found.out.splitlines()), found.err) == (0, 1, "")
    found = transcribe(writers, "alone", talk, "--to", "txt,srt", "-o", folder / "out")
    assert found == (
        2,
        "",
        "error: --to srt: alone@1 has no CTC, so it does not know when words are said. Say --to txt; a decoder with "
        "CTC beside it (task.ctc_weight above 0) knows.\n",
    )
    assert transcribe(writers, "alone", talk, "--ctc-weight", "0.5").code == 2


# -- pieces and subtitles


def test_pieces_are_all_there_and_cut_where_it_is_quiet():
    chance = np.random.default_rng(1)
    loud = chance.normal(size=5 * RATE).astype(np.float32)
    quiet = 0.01 * chance.normal(size=RATE // 2).astype(np.float32)
    samples = np.concatenate([loud, quiet, loud, quiet, loud])
    blocks = [samples[at : at + 1000] for at in range(0, len(samples), 1000)]
    pieces = [*pieces_of(blocks, RATE, 6.0)]
    np.testing.assert_array_equal(np.concatenate([piece for _, piece in pieces]), samples)
    assert max(len(piece) for _, piece in pieces) <= 6 * RATE
    starts = [start for start, _ in pieces]
    assert starts[0] == 0
    assert starts[1] == pytest.approx(5.25, abs=0.2)
    assert starts[2] == pytest.approx(10.75, abs=0.2)


def test_what_is_too_short_to_look_at_is_not_cut():
    assert quietest(np.zeros(100, np.float32), RATE) == 100


def word(text, start, end):
    return Spoken(text, start, end, 0.5)


TALK = Transcript(
    "talk.wav",
    4.0,
    "a & b",
    [word("hello", 0.0, 0.5), word("my", 0.6, 0.8), word("<b>", 0.9, 1.2), word("world", 3.0, 3661.25)],
)


def test_golden_subtitles():
    assert FORMATS["srt"](TALK, 2) == (
        "1\n00:00:00,000 --> 00:00:00,900\nhello my\n\n"
        "2\n00:00:00,900 --> 00:00:01,900\n<b>\n\n"
        "3\n00:00:03,000 --> 01:01:01,250\nworld\n"
    )
    assert FORMATS["vtt"](TALK, 10) == (
        "WEBVTT\n\n00:00:00.000 --> 00:00:01.200\nhello my &lt;b&gt;\n\n00:00:03.000 --> 01:01:01.250\nworld\n"
    )
    assert FORMATS["csv"](TALK, 10).splitlines()[1] == "talk.wav,0.000,0.500,hello,0.5000"
    assert FORMATS["srt"](Transcript("x", 1.0, "", []), 10) == ""


def test_no_subtitle_is_longer_than_two_lines():
    words = [word("x" * 20, number, number + 0.9) for number in range(9)]
    assert max(len(text) for _, _, text in cues(words, 100)) <= 84
    assert clock(59.9996, ",") == "00:01:00,000"
