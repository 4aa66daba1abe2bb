"""The task transcription: overfit -> save -> load -> same output -> batched = single, places of words, filters, scores."""

from __future__ import annotations

import json
import random

import numpy as np
import pytest
import torch
from tiny import trained_run
from tiny_speech import ATTENTION, DECODERS, LETTERS, RECIPE, recordings, speech_recipe, spoken, write

from seqcli.decode.ctc import forward_score
from seqcli.decode.fusion import Lexicon, TextFusion
from seqcli.errors import ExitCode, UserError, UserErrors
from seqcli.models.encoder_decoder import EncoderDecoder
from seqcli.models.network import Memory
from seqcli.models.weights import load_weights
from seqcli.pipeline.events import Notice, Started
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
        ("task.ctc_weight=0.2", "weighs CTC against a decoder, and this model has none"),
        ("task.ctc_score=0.2", "weighs CTC against a decoder, and this model has none"),
        ((ATTENTION, "model.decoder=null"), "an encoder-decoder needs it"),
        ((ATTENTION, "model.head={kind: ctc}"), "a ctc head cannot write text"),
        ((ATTENTION, "model.embedder={kind: tokens}"), "an embedder of frames is needed"),
        ((ATTENTION, "model.tied=all"), "speech has no vocabulary that the text could share"),
        ((ATTENTION, "model.decoder.attention=dot"), "dot compares vectors of 32 and of 16 values"),
        ((ATTENTION, "task.ctc_weight=0", "task.ctc_score=0.3"), "there is no CTC to be asked"),
        ((ATTENTION, "task.ctc_weight=1"), "less than 1"),
    ],
)
def test_what_cannot_stand_together_is_refused(override, message):
    from seqcli.tasks.transcription import TranscriptionTask

    with pytest.raises((UserError, UserErrors)) as caught:
        recipe_from_text(
            RECIPE, overrides=[override] if isinstance(override, str) else override, rules=TranscriptionTask.rules
        )
    assert message in str(caught.value)


# -- a decoder


@pytest.fixture(scope="module")
def writers(tmp_path_factory):
    """A finished run of each of `DECODERS` that knows its recordings by heart."""
    made = {}

    def run(name):
        if name not in made:
            folder = tmp_path_factory.mktemp(name)
            overrides = (*DECODERS[name], *BY_HEART, "training.optimizer.lr=0.03", "training.evaluate_every=160")
            recipe = speech_recipe(folder, *overrides)
            made[name] = trained_run(recipe, folder)
        return made[name]

    return run


@pytest.mark.parametrize("name", DECODERS)
def test_a_decoder_learns_a_handful_by_heart_and_says_it_again_after_loading(cache, writers, name):
    run = writers(name)
    assert run.report()["engine"]["kind"] == "onnx"
    assert run.report()["engine"]["difference"] < 1e-4
    examples = recordings(seed=1)
    texts = {}
    for engine in ("onnx", "torch"):
        model = Model.load(run, engine=engine)
        found = list(model.predict([frames for frames, _ in examples]))
        texts[engine] = [one.text for one in found]
        for (frames, _), one in zip(examples, found, strict=True):
            (alone,) = model.predict([frames])
            assert alone.text == one.text
            assert alone.log_prob == pytest.approx(one.log_prob, abs=0.05)
    assert texts["onnx"] == texts["torch"] == [text for _, text in examples]


def test_the_loss_of_dev_is_what_training_sums(cache, writers):
    """Cross-entropy of the decoder and the CTC loss, weighed, by the network's own `loss`."""
    model = Model.load(writers("joint"), engine="torch")
    data = model.task.data(model.columns(None, "dev"))
    batch = data.batch(np.arange(len(data.columns)))
    with torch.no_grad():
        loss = model.network.loss(batch, Memory())
    scorer = model.task.measure(model.engine, data).scorer
    assert scorer.units == loss.targets
    assert scorer.nats == pytest.approx(float(loss.sum), rel=1e-4)
    model.task.select_by = "loss"
    assert scorer._all()["loss"].signature.startswith("joint-loss|ctc:0.3|unit:nats-a-unit|")


def test_the_joint_loss_is_that_of_its_parts(cache, writers):
    network = Model.load(writers("joint"), engine="torch").network
    task = Model.load(writers("joint")).task
    batch = task.data(Model.load(writers("joint")).columns(None, "dev")).batch(np.arange(4))
    with torch.no_grad():
        joint = float(network.loss(batch, Memory()).sum)
        written = float(EncoderDecoder.loss(network, batch, Memory()).sum)
        outputs = network(batch.source)
    spoken = -sum(
        forward_score(log_probs_SV[: int(positions)].double().numpy(), ids[: length - 1].tolist(), task.blank)
        for log_probs_SV, positions, ids, length in zip(
            outputs["log_probs_BSV"],
            outputs["positions_B"],
            batch.target.arrays["ids_BT"],
            batch.target.lengths_B,
            strict=True,
        )
    )
    assert joint == pytest.approx(0.7 * written + 0.3 * spoken, rel=1e-5)


def test_words_of_a_decoder_with_ctc_have_places_and_those_of_one_alone_have_none(cache, writers):
    frames = spoken("ab nab", random.Random(5))
    for name in ("joint-transformer", "alone"):
        model = Model.load(writers(name), engine="torch")
        (one,) = model.predict([frames])
        if name == "alone":
            assert one.words == []
            assert 0 < one.confidence < 1
        else:
            assert [word.word for word in one.words] == one.text.split()
            assert all(word.start < word.end <= len(frames) for word in one.words)
            assert one.confidence == min(word.confidence for word in one.words)


def test_a_lexicon_holds_a_decoder_to_its_words_too(cache, writers):
    model = Model.load(writers("joint"), engine="torch")
    side = model.task.source.side([spoken("nab", random.Random(5))])
    fusion = TextFusion(model.task.spelling(), lexicon=Lexicon(["ban", "an"]))
    (one,) = model.task.transcribe(model.engine, side, Decoding(8, fusion, ctc=0.3))
    assert set(one.text.split()) <= {"ban", "an"}


def test_a_decoder_goes_on_bit_for_bit_after_an_interruption(cache, tmp_path):
    overrides = (*DECODERS["joint"], "model.encoder.dropout=0.3", "training.epochs=3")
    whole = trained_run(speech_recipe(tmp_path / "a", *overrides), tmp_path / "a")
    store = Store(tmp_path / "b" / "runs")
    recipe = speech_recipe(tmp_path / "b", *overrides)
    asked = iter([None] * 5 + [ExitCode.INTERRUPTED] * 100)
    with pytest.raises(UserError, match="stopped after step"):
        for _ in train(recipe, store, device="cpu", should_stop=lambda: next(asked)):
            pass
    for _ in train(recipe, store, device="cpu", resume=True):
        pass
    assert store.resolve("speech").weights_path.read_bytes() == whole.weights_path.read_bytes()


def test_a_decoder_starts_from_one_that_knew_fewer_letters_and_from_ctc_alone(cache, tmp_path, writers, run):
    """Rows of known letters are taken, of both heads; of a network that has CTC alone, what both have."""
    frames = spoken("ab", random.Random(1))
    still = ("training.optimizer.lr=1e-30", "training.max_steps=1")
    for origin, taken in ((writers("joint"), True), (run, False)):
        folder = tmp_path / str(taken)
        recipe = speech_recipe(folder, ATTENTION, *still, train=[*recordings(6), (frames, "ac")])
        events = [*train(recipe, Store(folder / "runs"), device="cpu", origin=origin)]
        (started,) = [event for event in events if isinstance(event, Started)]
        before = load_weights(origin.weights_path)
        after = load_weights(Store(folder / "runs").resolve("speech").weights_path)
        assert started.tables["target words"].new == 1
        taken_names = [name for name in before if name.startswith("encoder.")]
        taken_names += ["ctc.output.weight", "head.output.bias"] if taken else []
        for name in taken_names:
            assert torch.equal(after[name][: len(before[name])], before[name]), name
        assert len(after["ctc.output.weight"]) == len(after["head.output.bias"])


def test_a_text_longer_than_its_positions_teaches_a_decoder_alone(cache, tmp_path):
    """CTC needs a position between two letters that are alike, a decoder does not."""
    train_set = [*recordings(4), (np.zeros((11, 4), np.float32), "abbban")]
    for overrides, left in ((DECODERS["joint"], 4), (DECODERS["alone"], 5)):
        _, data = task_of(tmp_path / str(left), *overrides, train=train_set)
        assert len(data.chosen) == left
