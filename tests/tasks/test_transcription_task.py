"""The task transcription: overfit -> save -> load -> same output -> batched = single, places of words, filters, scores."""

from __future__ import annotations

import json
import random

import numpy as np
import pytest
from tiny import trained_run
from tiny_speech import LETTERS, RECIPE, recordings, speech_recipe, spoken, write

from seqcli.decode.fusion import Lexicon, TextFusion
from seqcli.errors import ExitCode, UserError, UserErrors
from seqcli.pipeline.events import Notice
from seqcli.pipeline.model import Model
from seqcli.pipeline.prepare import open_columns
from seqcli.pipeline.train import train
from seqcli.recipe.load import recipe_from_text
from seqcli.store.runs import Store
from seqcli.tasks.base import new_task
from seqcli.tasks.transcription import Decoding, stretched

BY_HEART = ("training.epochs=40",)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("speech")
    return trained_run(speech_recipe(folder, *BY_HEART), folder)


def task_of(folder, *overrides, **files):
    """``(task, data of the training split)``."""
    recipe = speech_recipe(folder, *overrides, **files)
    task = new_task(recipe)
    columns = open_columns(recipe, task, ("train",))["train"]
    task.fit(columns)
    return task, task.data(columns)


@pytest.mark.parametrize("engine", ["auto", "torch"])
def test_a_handful_is_learned_by_heart_and_said_again_after_loading(cache, run, engine):
    model = Model.load(run, engine=engine)
    examples = recordings(seed=2)
    found = list(model.predict([frames for frames, _ in examples]))
    assert [one.text for one in found] == [text for _, text in examples]
    assert run.report()["dev"]["value"] == 0
    assert run.report()["test"]["counts"]["lines"] == 10
    for (frames, _), one in zip(examples, found, strict=True):
        (alone,) = model.predict([frames])
        assert alone.text == one.text
        assert alone.log_prob == pytest.approx(one.log_prob, abs=0.05 if engine == "auto" else 1e-4)


def test_greedy_is_what_the_narrowest_beam_finds_where_the_network_is_sure(cache, run):
    model = Model.load(run, engine="torch")
    for frames, _ in recordings(seed=2):
        outputs = model.engine.outputs(model.task.source.side([frames]))
        texts = {model.task.transcribed(outputs, [len(frames)], Decoding(beam))[0].text for beam in (1, 2, 8)}
        assert len(texts) == 1


def test_words_are_where_they_were_spoken(cache, run):
    model = Model.load(run, engine="torch")
    frames = spoken("ab nab", random.Random(5))
    (one,) = model.predict([frames])
    assert one.text == "ab nab"
    assert [word.word for word in one.words] == ["ab", "nab"]
    loud = frames.argmax(1)
    space = np.flatnonzero((loud == LETTERS.index(" ")) & (frames.max(1) > 2))
    first, second = one.words
    assert 0 <= first.start < first.end <= space[0] + 2
    assert space[-1] - 2 <= second.start < second.end <= len(frames)
    assert 0.5 < one.confidence <= 1
    document = json.loads(model.task.writer("jsonl")([one]))
    assert document["words"][1]["word"] == "nab"
    assert model.task.writer("lines")([one]) == "ab nab\n"


def test_a_lexicon_holds_a_text_to_its_words(cache, run):
    model = Model.load(run, engine="torch")
    frames = spoken("nab", random.Random(5))
    outputs = model.engine.outputs(model.task.source.side([frames]))
    fusion = TextFusion(model.task.spelling(), lexicon=Lexicon(["ban", "an"]))
    (one,) = model.task.transcribed(outputs, [len(frames)], Decoding(20, fusion))
    assert set(one.text.split()) <= {"ban", "an"}


def test_the_report_has_wer_cer_counts_and_the_most_frequent_transcript(cache, run):
    report = run.report()
    test = report["test"]
    assert test["name"] == "WER"
    assert test["signature"].startswith("wer|case:mixed|punct:yes|norm:none|jiwer:")
    assert [one["name"] for one in test["counts"]["also"]] == ["CER", "exact match"]
    assert test["counts"]["ref_len"] == sum(len(text.split()) for _, text in recordings(seed=3))
    (baseline,) = report["baselines"]
    assert baseline["model"] == "most frequent transcript"
    assert baseline["test"]["value"] > 50


def test_the_baseline_by_itself(cache, tmp_path):
    texts = ["ab", "an", "ab", "ban"]
    train = [(spoken(text, random.Random(number)), text) for number, text in enumerate(texts)]
    run = trained_run(speech_recipe(tmp_path, "model={kind: majority}", "training={seed: 1}", train=train), tmp_path)
    model = Model.load(run)
    assert [one.text for one in model.predict([train[1][0], train[3][0]])] == ["ab", "ab"]


@pytest.mark.parametrize("tokenizer", ["{kind: whitespace}", "{kind: bytes}", "{kind: sentencepiece, size: 9}"])
def test_words_bytes_and_pieces_are_units_too(cache, tmp_path, tokenizer):
    recipe = speech_recipe(tmp_path, *BY_HEART, f"target.tokenizer={tokenizer}")
    model = Model.load(trained_run(recipe, tmp_path), engine="torch")
    frames, text = recordings(seed=1)[0]
    (one,) = model.predict([frames])
    assert one.text == text
    assert [word.word for word in one.words] == text.split()


# -- what is trained on


def test_a_recording_too_short_for_its_text_is_left_out_and_its_line_named(cache, tmp_path):
    train_set = [*recordings(4), (np.zeros((9, 4), np.float32), "abnabb"), (np.zeros((11, 4), np.float32), "abbn")]
    task, data = task_of(tmp_path, train=train_set)
    assert data.chosen.tolist() == [0, 1, 2, 3, 5]
    (notice,) = task.notices("train", data)
    assert notice.startswith("1 train recording left out: 1 shorter than the text needs (the first at ")
    assert notice.endswith("train.tsv:5: 7 positions, and 9 frames are 5)")
    order = np.concatenate([*data.training_order(task.recipe.training.batch, seed=1, epoch=0)])
    assert sorted(order) == [0, 1, 2, 3, 5]


def test_recordings_over_the_limit_are_left_out_of_training_alone(cache, tmp_path):
    task, data = task_of(tmp_path, "data.max_length=30")
    assert 0 < len(data.chosen) < len(data.columns)
    assert "over data.max_length = 30 frames" in task.notices("train", data)[0]
    assert sum(len(rows) for rows in data.measuring_order(1000)) == len(data.columns)


def test_no_recording_left_is_an_error(cache, tmp_path):
    task, data = task_of(tmp_path, "data.max_length=2")
    with pytest.raises(UserError, match="no train recording is left") as caught:
        data.training_order(task.recipe.training.batch, seed=1, epoch=0)
    assert caught.value.code == ExitCode.DATA


def test_letters_that_training_lacks_are_told(cache, tmp_path):
    recipe = speech_recipe(tmp_path, "training.epochs=1")
    frames = spoken("ab", random.Random(1))
    write(tmp_path, "dev", [(frames, "axbz")])
    events = [*train(recipe, Store(tmp_path / "runs"), device="cpu")]
    told = [event.text for event in events if isinstance(event, Notice)]
    assert any(
        text.startswith("dev has units that the training data lacks") and text.endswith(": x z") for text in told
    )


def test_speeds_copy_the_training_examples_alone(cache, tmp_path):
    task, data = task_of(tmp_path, "task.speeds=[0.9, 1.0, 1.1]")
    assert len(data.columns) == 30
    lengths = np.asarray(data.lengths).reshape(10, 3)
    assert (lengths[:, 0] > lengths[:, 1]).all()
    assert (lengths[:, 1] > lengths[:, 2]).all()
    recipe = task.recipe
    assert len(open_columns(recipe, task, ("dev",))["dev"]) == 10


def test_stretched_frames_are_the_same_curve():
    ramp = np.arange(30, dtype=np.float32)[:, None]
    slow = stretched(ramp, 0.5)
    assert len(slow) == 60
    np.testing.assert_allclose(slow[:58, 0], np.arange(58) / 2, atol=1e-5)
    assert len(stretched(ramp, 1.1)) == 27
    assert stretched(ramp, 1.0) is ramp
    assert len(stretched(ramp[:1], 2.0)) == 1


def test_an_empty_text_is_refused_with_its_line(cache, tmp_path):
    with pytest.raises(UserError, match="the text is empty") as caught:
        task_of(tmp_path, train=[*recordings(2), (np.zeros((9, 4), np.float32), " ")])
    assert str(caught.value).split(": ")[0].endswith("train.tsv:3")


def test_a_training_that_was_interrupted_goes_on_bit_for_bit(cache, tmp_path):
    augment = "model.embedder.augment={time_width: 4, channel_width: 1}"
    whole = trained_run(
        speech_recipe(tmp_path / "a", augment, "training.epochs=4", "model.encoder.dropout=0.3"), tmp_path / "a"
    )
    recipe = speech_recipe(tmp_path / "b", augment, "training.epochs=4", "model.encoder.dropout=0.3")
    store = Store(tmp_path / "b" / "runs")
    asked = iter([None] * 5 + [ExitCode.INTERRUPTED] * 100)
    with pytest.raises(UserError, match="stopped after step"):
        for _ in train(recipe, store, device="cpu", should_stop=lambda: next(asked)):
            pass
    for _ in train(recipe, store, device="cpu", resume=True):
        pass
    assert store.resolve("speech").weights_path.read_bytes() == whole.weights_path.read_bytes()


# -- rules


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("model.head={kind: softmax}", "a softmax head cannot write text for frames"),
        ("model.embedder={kind: tokens}", "an embedder of frames is needed"),
        ("target.share=source", "have no vocabulary in common"),
        ("training.select_by=bleu", "no dev score 'bleu'"),
        ("source={kind: text}", "does not read text"),
        ("model={kind: ngram}", "ngram cannot do the task transcription"),
        ("model.pooling={kind: max}", "has none"),
        ("model.encoder=null", "needs it"),
    ],
)
def test_what_cannot_stand_together_is_refused(override, message):
    from seqcli.tasks.transcription import TranscriptionTask

    with pytest.raises((UserError, UserErrors)) as caught:
        recipe_from_text(RECIPE, overrides=[override], rules=TranscriptionTask.rules)
    assert message in str(caught.value)
