"""The task language-model: what it refuses, overfit -> save -> load -> same output, every tokenizer, a run alone."""

from __future__ import annotations

import json
import math
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from same_model import models_of
from tiny import trained_run
from tiny_text import ENCODERS, lines, text_recipe

from seqcli.decode.sampling import SamplingOptions
from seqcli.engines.torch_engine import TorchStepper
from seqcli.errors import ExitCode, UserError, UserErrors
from seqcli.models.network import Memory
from seqcli.pipeline.evaluate import evaluate
from seqcli.pipeline.language import language_model, load_language_model
from seqcli.pipeline.model import Model
from seqcli.pipeline.prepare import open_columns
from seqcli.pipeline.sample import grow
from seqcli.pipeline.score import LineScorer
from seqcli.recipe.load import load_recipe
from seqcli.store.runs import Store
from seqcli.tasks.base import new_task
from seqcli.text.pieces import train_sentencepiece

GREEDY = SamplingOptions(greedy=True)
COUNTS = ("model={kind: ngram, order: 3}", "training={seed: 1}")


def trained(folder, *overrides, **files):
    return trained_run(text_recipe(folder, *overrides, **files), folder)


def sampled(model, **options):
    *_, last = grow(model, options=GREEDY, max_tokens=30, **options)
    return last


# -- from a recipe to hello


def test_hello_is_learned_saved_loaded_sampled_and_scored(tmp_path, cache):
    run = trained_run(load_recipe("hello", ["training.evaluate_every=60"]).recipe, tmp_path)
    model = load_language_model(run, "cpu")
    one = sampled(model)
    assert (one.text, one.finished) == ("hello", True)
    assert model.vocabulary.decode(one.ids) == [*"hello", "<EOS>"]
    (scored,) = LineScorer(model).score(["hello"])
    assert scored.log_probs.tolist() == pytest.approx(one.log_probs, abs=1e-5)
    assert math.exp(scored.log_prob) > 0.5
    assert sampled(model, prompt="he").text == "hello"
    (other,) = LineScorer(model).score(["olleh"])
    assert other.log_prob < scored.log_prob - 5


@pytest.mark.parametrize("name", ENCODERS)
def test_a_handful_is_learned_by_heart_and_said_again_after_loading(tmp_path, cache, name):
    text = "the cat sat on a log\n"
    run = trained(
        tmp_path,
        ENCODERS[name],
        "training.epochs=120",
        "training.evaluate_every=120",
        "training.optimizer.lr=0.03",
        "model.encoder.dropout=0",
        train=text,
        dev=text,
    )
    model = load_language_model(run, "cpu")
    one = sampled(model)
    assert one.text == text.strip()
    (scored,) = LineScorer(model).score([text.strip()])
    assert len(scored.tokens) == 7
    for engine, loaded in models_of(run).items():
        (other,) = LineScorer(language_model(loaded)).score([text.strip()])
        assert other.log_prob == pytest.approx(scored.log_prob, abs=1e-4), engine
        assert loaded.task.measure(loaded.engine, loaded.task.data(loaded.columns(None, "dev"))).scorer.scores()[
            "loss"
        ] == pytest.approx(-scored.log_prob / 7, abs=1e-5)
    with torch.no_grad():
        loss = loaded.engine.network.loss(loaded.task.data(loaded.columns(None, "dev")).batch(np.array([0])), Memory())
    assert loss.targets == 7
    assert loss.sum.item() == pytest.approx(-scored.log_prob, abs=1e-4)
    assert loss.sum.item() / 7 < 0.2
    assert evaluate(run, split="dev", device="cpu").scores["loss"] == pytest.approx(loss.sum.item() / 7, abs=1e-5)


@pytest.mark.parametrize("name", ["lstm", "window", "rotary", "learned"])
@pytest.mark.parametrize("unit", ["sentences", "stream"])
def test_measuring_counts_each_token_once_whatever_the_engine(tmp_path, cache, name, unit):
    """A text of many windows: as many tokens as it has, and one figure on both engines and token by token."""
    dev = lines(700, seed=7)
    run = trained(tmp_path, ENCODERS[name], f"task.unit={unit}", "task.bptt=16", "training.max_steps=3", dev=dev)
    found = {}
    for engine, model in models_of(run).items():
        counts = model.task.measure(model.engine, model.task.data(model.columns(None, "dev"))).scorer.score().counts
        assert counts["tokens"] == len(dev.split()) + 700
        assert counts["ends"] == 700
        assert counts["words"] == len(dev.split())
        assert counts["characters"] == sum(map(len, dev.split("\n")))
        found[engine] = counts["nats"]
    assert found["used"] == pytest.approx(found["torch"], rel=1e-4)
    assert found["onnx"] == pytest.approx(found["torch"], rel=1e-4)
    torch_model = language_model(models_of(run)["torch"])
    assert isinstance(torch_model.engine, TorchStepper)
    few = [line for line in dev.split("\n")[:40] if line]
    score = LineScorer(torch_model).score_stream if unit == "stream" else LineScorer(torch_model).score
    read = [number for line in few for number in (*torch_model.encode(line), torch_model.eos)]
    log_probs, state = torch_model.engine.start(1)
    singly = []
    for number in read:
        singly.append(float(log_probs[0, number]))
        log_probs, state = (
            torch_model.engine.start(1)
            if number == torch_model.eos and unit == "sentences"
            else torch_model.engine.read(np.array([[number]]), state)
        )
    scored = np.concatenate([line.log_probs for line in score(few)])
    if torch_model.engine.context is None or unit == "sentences":
        np.testing.assert_allclose(scored, singly, atol=1e-4)
    assert len(scored) == len(singly)


def test_an_ngram_model_counts_what_stands_there(tmp_path, cache):
    """Unigrams of one text, measured on another: by hand."""
    run = trained(tmp_path, "model={kind: ngram, order: 1}", "training={seed: 1}", train="a a b\nb a a\n", dev="a b\n")
    model = load_language_model(run)
    log_probs = model.engine.start(1)[0]
    probs = dict(zip(model.vocabulary.tokens, np.exp(log_probs[0]).tolist(), strict=True))
    assert sum(probs.values()) == pytest.approx(1)
    assert probs["a"] > probs["b"] > probs["<UNK>"] > 0
    assert probs["b"] == pytest.approx(probs["<EOS>"])
    dev = run.report()["dev"]["counts"]
    assert (dev["tokens"], dev["ends"], dev["unknown"]) == (3, 1, 0)
    assert dev["nats"] == pytest.approx(-math.log(probs["a"] * probs["b"] * probs["<EOS>"]), rel=1e-5)


def test_a_language_model_predicts_nothing(tmp_path, cache):
    for overrides in (COUNTS, ("training.max_steps=1",)):
        model = Model.load(trained(tmp_path, *overrides))
        with pytest.raises(
            UserError, match=r"tiny-lm@\d is a model for language-model, which predicts nothing"
        ) as caught:
            model.predict_block(["the cat"])
        assert caught.value.code == ExitCode.USAGE


def test_counts_are_fitted_and_give_the_floor_of_a_network(tmp_path, cache):
    """The floor of a network's report is what a model of counts of the same order reports."""
    recipe = text_recipe(tmp_path, "task.floor=3", "training.max_steps=2")
    (floor,) = trained_run(recipe, tmp_path).report()["baselines"]
    report = trained(tmp_path, *COUNTS, "name=counts").report()
    assert floor["dev"]["value"] == pytest.approx(report["dev"]["value"])
    assert floor["dev"]["counts"] == report["dev"]["counts"]
    assert floor["model"] == "3-gram, interpolated modified Kneser-Ney"


def test_a_run_compared_with_another(tmp_path, cache):
    one = trained(tmp_path, "task.floor=3", "training.max_steps=2")
    other = trained(tmp_path, *COUNTS, "name=counts")
    (stored,) = evaluate(one, split="dev", device="cpu").compared
    found = evaluate(one, split="dev", device="cpu", against=other)
    (counts,) = found.compared
    assert (stored["model"], counts["model"]) == ("3-gram, interpolated modified Kneser-Ney", "counts@1")
    assert counts["score"]["value"] == pytest.approx(stored["score"]["value"])
    assert found.notices == []
    small = trained(tmp_path, *COUNTS, "name=small", "source.vocabulary.max_size=3")
    assert evaluate(one, split="dev", device="cpu", against=small).notices == [
        "small@1 has another vocabulary: its figures compare only as far as <UNK> means the same"
    ]
    letters = trained(tmp_path, *COUNTS, "name=letters", "source.tokenizer={kind: characters}")
    found = evaluate(one, split="dev", device="cpu", against=letters)
    assert found.notices == ["letters@1 cuts text into other tokens: only the figures a character and a word compare"]
    mine, theirs = found.score.counts, found.compared[0]["score"]["counts"]
    paired = found.compared[0]["paired"]
    assert paired["metric"] == "bits a character"
    assert paired["difference"] == pytest.approx(mine["bits_per_character"] - theirs["bits_per_character"])
    assert paired["low"] <= paired["difference"] <= paired["high"]
    (itself,) = evaluate(one, split="dev", device="cpu", against=one).compared
    assert (itself["paired"]["difference"], itself["paired"]["p"], itself["paired"]["p_randomisation"]) == (0, 1, 1)


# -- what is refused


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (
            ["model.encoder.bidirectional=true"],
            "model.encoder.bidirectional: a language model reads forwards only, or it "
            "would see the token it should predict. Set bidirectional: false.",
        ),
        (["model.encoder={kind: lstm, dim: 4}"], "model.encoder.bidirectional: a language model reads forwards only"),
        (
            ["model.encoder={kind: window, dim: 4}"],
            "model.encoder.right: a language model sees nothing to the right. Set right: 0.",
        ),
        (
            ["model.encoder={kind: bag}"],
            "model.encoder: a bag sees the token it should predict. For a language model: "
            "rnn, lstm, gru, rnn-scratch, lstm-scratch, gru-scratch, transformer, window, or model: {kind: ngram}.",
        ),
        (["model.encoder={kind: cnn}"], "model.encoder: a cnn sees the token it should predict."),
        (["model={kind: majority}"], "model.kind: majority cannot do the task language-model."),
        (["model.pooling={kind: max}"], "model.pooling: the task language-model has none. Leave it out."),
        (["model.head={kind: sigmoid}"], "model.head: sigmoid is for the task classification."),
        (["model.head={kind: crf}"], "model.head: crf is for tagging. For a language model: softmax or adaptive."),
        (
            ["model.head={kind: adaptive, cutoffs: [4, 8]}"],
            "model.head.shrink: nothing is left of a vector in the last cluster. Lower it, or take fewer cutoffs.",
        ),
        (["model.embedder.characters={kind: cnn}"], "model.embedder: a language model takes plain token vectors"),
        (["model.embedder.affixes={dim: 4}"], "model.embedder: a language model takes plain token vectors"),
        (["model.embedder.vectors={file: v.txt}"], "model.embedder: a language model takes plain token vectors"),
        (["model.embedder={kind: frames}"], "model.embedder: a language model takes plain token vectors"),
        (["model.embedder.dim=0"], "model.embedder.dim: a language model needs token vectors. Set 1 or more."),
        (
            ["model.encoder={kind: transformer, positions: learned, max_positions: 5}", "task.unit=stream"],
            "model.encoder.max_positions: 5 positions are learned, but a sequence may have 6. Raise it, or",
        ),
        (
            ["model.encoder={kind: transformer, positions: learned}", "data.max_length=1025"],
            "model.encoder.max_positions: 1024 positions are learned, but a sequence may have 1025. Raise it, or",
        ),
        (["source={kind: frames}"], "source: the task language-model does not read frames. It reads text."),
        (["target={kind: tags}"], "target: the task language-model has no target of kind tags. Leave it out."),
        (
            ["model.encoder=null"],
            "model.encoder: is missing; the task language-model needs it. 'seqcli components' lists "
            "the kinds of encoder.",
        ),
        (["model.head=null"], "model.head: is missing; the task language-model needs it."),
        (["model.embedder=null"], "model.embedder: is missing; the task language-model needs it."),
        (["model={kind: ngram, embedder: {kind: tokens}}"], "model.embedder: unknown key."),
        (["model.head={kind: softmax, label_smoothing: 0.1}"], "model.head.label_smoothing: a language model has none"),
    ],
)
def test_a_recipe_that_cannot_be_a_language_model(tmp_path, cache, overrides, message):
    with pytest.raises(UserErrors) as refused:
        text_recipe(tmp_path, *overrides)
    assert message in str(refused.value)
    assert refused.value.code == ExitCode.USAGE


@pytest.mark.parametrize(
    ("score", "hint"),
    [
        ("perplexty", "Did you mean 'perplexity'?"),
        ("f1", "Scores: loss, perplexity, word_perplexity, bits_per_character."),
    ],
)
def test_a_score_that_the_task_does_not_have(tmp_path, score, hint):
    with pytest.raises(UserErrors) as refused:
        text_recipe(tmp_path, f"training.select_by={score}")
    assert f"training.select_by: there is no dev score '{score}'. {hint}" in str(refused.value)
    assert refused.value.code == ExitCode.USAGE


def test_data_that_is_no_text_names_its_line(tmp_path, cache):
    recipe = text_recipe(tmp_path, "data.format=jsonl", train='{"tokens": ["a", "\\n"]}\n', dev='{"text": "a"}\n')
    with pytest.raises(UserError, match=r"train\.txt:1: a token is empty or a line break") as refused:
        trained_run(recipe, tmp_path)
    assert refused.value.code == ExitCode.DATA
    assert not (tmp_path / "runs" / "tiny-lm").exists()


# -- small and odd texts


@pytest.mark.parametrize("name", ["lstm", "window", "rotary"])
@pytest.mark.parametrize("text", ["a b c\n", "a\n"])
def test_a_text_shorter_than_a_window_trains(tmp_path, cache, name, text):
    run = trained(tmp_path, ENCODERS[name], "task.unit=stream", "task.bptt=64", train=text, dev=text)
    assert run.report()["dev"]["counts"]["tokens"] == len(text.split()) + 1
    load_language_model(run, "cpu").engine.score([np.array([1])])


@pytest.mark.parametrize("overrides", [[], COUNTS, ["model.head={kind: adaptive}"]], ids=["lstm", "ngram", "adaptive"])
def test_a_vocabulary_of_one(tmp_path, cache, overrides):
    run = trained(tmp_path, *overrides, train="a a a\na\n", dev="a b\n")
    model = load_language_model(run, "cpu")
    assert model.vocabulary.tokens == ("<UNK>", "<EOS>", "a")
    assert sampled(model).text.replace(" ", "").strip("a") == ""
    assert run.report()["dev"]["counts"]["unknown"] == 1


@pytest.mark.parametrize("overrides", [[], COUNTS], ids=["lstm", "ngram"])
def test_nothing_but_unknown_words(tmp_path, cache, overrides):
    """No word is frequent enough for a row: only <UNK> and <EOS> are left."""
    run = trained(tmp_path, *overrides, "source.vocabulary.min_count=99", train="a b\nc\n", dev="d\n")
    model = load_language_model(run, "cpu")
    assert len(model.vocabulary) == 2
    assert run.report()["dev"]["counts"]["unknown"] == 1
    assert sampled(model).text == ""


@pytest.mark.parametrize("unit", ["sentences", "stream"])
def test_a_lower_perplexity_is_better(tmp_path, cache, unit):
    """Chosen by perplexity or by loss, the best step is the same one."""
    best = [
        trained(
            tmp_path,
            f"training.select_by={score}",
            f"task.unit={unit}",
            "training.evaluate_every=2",
            "training.optimizer.lr=0.5",
            f"name=by-{score.replace('_', '-')}",
        ).report()["best_step"]
        for score in ("loss", "perplexity", "word_perplexity", "bits_per_character")
    ]
    assert len(set(best)) == 1


def test_blank_lines_of_a_stream_are_line_ends(tmp_path, cache):
    run = trained(
        tmp_path, "task.unit=stream", "data.blank_lines=keep", "training.max_steps=1", dev="the cat\n\n\na dog\n"
    )
    counts = run.report()["dev"]["counts"]
    assert (counts["tokens"], counts["ends"], counts["words"], counts["characters"]) == (8, 4, 4, 12)


def test_long_sentences_are_cut_and_counted_once(tmp_path, cache):
    run = trained(tmp_path, "data.max_length=4", "training.max_steps=1", dev="the cat sat on a mat and ran\na dog\n")
    counts = run.report()["dev"]["counts"]
    assert (counts["tokens"], counts["ends"], counts["words"], counts["characters"]) == (12, 2, 10, 33)


# -- tokenizers

PIECES = "source.tokenizer={kind: sentencepiece, size: 30}"
TEXT = lines(60).replace("cat", "Katze").replace("dog", "naïve Dog")


def moved(run, folder, cache):
    """The run alone, elsewhere; the data and the cache it was made with are gone."""
    shutil.move(run.path, folder)
    shutil.rmtree(cache)
    return Store(folder.parent / "runs").resolve(str(folder))


TOKENIZERS = {
    "pieces": [PIECES],
    "bpe": ["source.tokenizer={kind: sentencepiece, size: 30, algorithm: bpe}"],
    "bytes": ["source.tokenizer={kind: bytes}"],
    "characters": ["source.tokenizer={kind: characters}"],
    "words": ["source.tokenizer={kind: words}"],
    "whitespace": ["source.tokenizer={kind: whitespace}"],
}


@pytest.mark.parametrize("lower", [False, True], ids=["cased", "lower"])
@pytest.mark.parametrize("kind", ["lstm", "ngram"])
@pytest.mark.parametrize("tokenizer", TOKENIZERS)
def test_a_run_alone_samples_and_scores(tmp_path, cache, tokenizer, kind, lower):
    """`evaluate` of the dev lines and `score` of the same lines are one figure, also in lower case."""
    run = trained(
        tmp_path,
        *TOKENIZERS[tokenizer],
        f"source.vocabulary.lowercase={str(lower).lower()}",
        *(COUNTS if kind == "ngram" else ["training.max_steps=3"]),
        train=TEXT,
        dev=TEXT,
    )
    report = run.report()["dev"]["counts"]
    alone = moved(run, tmp_path / "elsewhere", cache)
    for name in ("train.txt", "dev.txt"):
        (tmp_path / name).unlink()
    model = load_language_model(alone, "cpu")
    scorer = LineScorer(model)
    scored = scorer.score(TEXT.split("\n")[:-1])
    assert scorer.totals.tokens == report["tokens"]
    assert scorer.totals.nats == pytest.approx(report["nats"], rel=1e-5)
    assert (scorer.totals.words, scorer.totals.characters, scorer.totals.unknown) == (
        report["words"],
        report["characters"],
        0,
    )
    assert len(scored) == 60
    *_, one = grow(model, options=SamplingOptions(), max_tokens=20, seed=2)
    assert model.engine.score([np.array(one.ids)])[0].tolist() == pytest.approx(one.log_probs, abs=1e-4)
    if lower:
        assert one.text == one.text.lower()
        assert scorer.score(["THE KATZE"])[0].log_prob == scorer.score(["the katze"])[0].log_prob


def test_pieces_are_trained_on_the_training_text_alone(tmp_path, cache):
    """Not on the JSON around it, and not on the share that is kept for development."""
    rows = "".join(json.dumps({"qqq": "ZZ", "text": line}) + "\n" for line in TEXT.split("\n") if line)
    recipe = text_recipe(
        tmp_path, "data.format=jsonl", "data.columns={source: text}", PIECES, *COUNTS, train=rows, dev=rows
    )
    run = trained_run(recipe, tmp_path)
    symbols = "".join(load_language_model(run, "cpu").tokenizer.pieces())
    assert not set('q{"Z}') & set(symbols)

    text = "".join(f"{chr(0x4E00 + number)} the cat\n" for number in range(60))
    recipe = text_recipe(
        tmp_path,
        "data.dev=null",
        "data.dev_share=0.5",
        "source.tokenizer={kind: sentencepiece, size: 39}",
        *COUNTS,
        "name=shared",
        train=text,
    )
    task = new_task(recipe)
    columns = open_columns(recipe, task, ("train", "dev"))
    pieces = set("".join(task.source.tokenizer.pieces()))
    kept_out = [chr(0x4E00 + number) for number in range(60) if chr(0x4E00 + number) not in pieces]
    assert len(kept_out) == len(columns["dev"])


def test_pieces_have_a_floor_too(tmp_path, cache):
    run = trained(tmp_path, PIECES, "task.floor=2", "training.max_steps=1", train=TEXT, dev=TEXT)
    (floor,) = run.report()["baselines"]
    assert floor["dev"]["counts"]["tokens"] == run.report()["dev"]["counts"]["tokens"]
    assert floor["dev"]["signature"] == run.report()["dev"]["signature"]


def test_a_model_file_of_pieces_comes_along(tmp_path, cache):
    (tmp_path / "text.txt").write_text(TEXT, encoding="utf-8")
    model = tmp_path / "mine.model"
    train_sentencepiece([tmp_path / "text.txt"], 30, model)
    run = trained(
        tmp_path,
        f"source.tokenizer={{kind: sentencepiece, model: {model}}}",
        "training.max_steps=1",
        train=TEXT,
        dev=TEXT,
    )
    model.unlink()
    assert (run.path / "tokenizer.model").exists()
    assert load_recipe(run.recipe_path).recipe.source.tokenizer.model == str(run.path / "tokenizer.model")
    assert LineScorer(load_language_model(run, "cpu")).score(["the Katze"])[0].log_prob < 0
    assert evaluate(run, split="dev", device="cpu").score.value == pytest.approx(run.report()["dev"]["value"])


@pytest.mark.parametrize(
    ("options", "content", "message", "code"),
    [
        ("model: MODEL", None, "MODEL: cannot read: No such file or directory", ExitCode.IO),
        ("model: MODEL", b"no model", "MODEL: not a sentencepiece model", ExitCode.DATA),
        (
            "size: 10",
            None,
            "a vocabulary of 10 pieces is too small: the characters of the corpus alone need ",
            ExitCode.USAGE,
        ),
    ],
)
def test_pieces_that_cannot_be_had(tmp_path, cache, options, content, message, code):
    model = tmp_path / "bad.model"
    if content is not None:
        model.write_bytes(content)
    options = options.replace("MODEL", str(model))
    with pytest.raises(UserError) as refused:
        trained(tmp_path, f"source.tokenizer={{kind: sentencepiece, {options}}}", train=TEXT, dev=TEXT)
    assert str(refused.value).startswith(message.replace("MODEL", str(model)))
    assert refused.value.code == code
    if "size" in options:
        assert "source.tokenizer.size=" in str(refused.value)
        assert "--size" not in str(refused.value)


def test_vocabulary_in_the_order_of_frequency(tmp_path, cache):
    recipe = text_recipe(
        tmp_path, "source.vocabulary={max_size: 2, lowercase: true}", train="The the cat\nTHE Cat dog\n"
    )
    task = new_task(recipe)
    task.fit(open_columns(recipe, task, ("train",))["train"])
    assert task.source.words.tokens == ("<UNK>", "<EOS>", "the", "cat")
    assert task.source.words.counts == (1, 2, 3, 2)
    assert task.summary() == {"tokens in the vocabulary": 4}
    data = task.data(open_columns(recipe, task, ("train",))["train"])
    assert task.describe(data, [1]) == ["the cat <UNK> <EOS>"]


def test_lower_and_upper_case_have_arrays_of_their_own(tmp_path, cache):
    """The cache must not give one training the tokens of the other."""
    for lowercase, expected in (("true", ("the",)), ("false", ("The", "the")), ("true", ("the",))):
        recipe = text_recipe(tmp_path, f"source.vocabulary.lowercase={lowercase}", train="The the\n")
        task = new_task(recipe)
        task.fit(open_columns(recipe, task, ("train",))["train"])
        assert sorted(task.source.words.tokens[2:]) == sorted(expected)


def test_a_run_folder_named_by_path(tmp_path, cache, monkeypatch):
    run = trained(tmp_path, *COUNTS)
    monkeypatch.chdir(tmp_path)
    assert load_language_model(Store("runs").resolve("tiny-lm@1"), "cpu").run == "tiny-lm@1"
    assert Path(run.path).name == "1"
