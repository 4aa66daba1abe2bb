"""CTranslate2 writes what the network writes, and refuses what it cannot run."""

from __future__ import annotations

import json
import os
import random
import shutil
import subprocess
import sys
from dataclasses import replace
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from networks import large
from tiny import Program, environment, run_inside

pytest.importorskip("ctranslate2", reason="CTranslate2 is an extra: pip install 'seqcli[fast]'")

from seqcli.data.batch import InputSizes, Side
from seqcli.decode.generate import GenerateOptions, Hypothesis
from seqcli.decode.sampling import SamplingOptions
from seqcli.engines.ctranslate2_engine import About, CTranslate2Engine
from seqcli.engines.ctranslate2_export import export
from seqcli.engines.torch_engine import TorchEngine
from seqcli.errors import UserError
from seqcli.models.encoder_decoder import EncoderDecoder
from seqcli.pipeline.model import Model
from seqcli.recipe.models import EncoderDecoderConfig
from seqcli.store.manifest import FileRecord, read_manifest
from seqcli.store.runs import Run, Store

WORDS, EOS, UNK, POSITIONS = 17, 2, 0, 40
BLOCKS: dict[str, Any] = {"kind": "transformer", "dim": 16, "heads": 2, "layers": 2, "feedforward": 24}
SHAPES: dict[str, dict[str, Any]] = {
    "plain": {},
    "gelu": {
        "encoder": {**BLOCKS, "activation": "gelu", "layers": 1},
        "decoder": {**BLOCKS, "activation": "gelu", "layers": 3},
    },
    "unlike": {
        "embedder": {"kind": "tokens", "dim": 12},
        "encoder": {**BLOCKS, "dim": 24, "heads": 3},
        "decoder": {**BLOCKS, "heads": 4},
    },
    "two tables": {"tied": "none"},
    "one table": {"tied": "all"},
    "shared inputs": {"tied": "source-target"},
}
each_shape = pytest.mark.parametrize("shape", SHAPES)


def made(words: int = WORDS, **changes: Any) -> EncoderDecoder:
    """A network with large random weights; ``words`` of the source."""
    sections = {
        "kind": "encoder-decoder",
        "embedder": {"kind": "tokens", "dim": 16},
        "encoder": {**BLOCKS, "activation": "relu"},
        "decoder": BLOCKS,
        "head": {"kind": "softmax"},
        **changes,
    }
    config = EncoderDecoderConfig.model_validate(sections)
    sizes = [InputSizes(words=size, padded=False) for size in (words, WORDS)]
    network: EncoderDecoder = large(EncoderDecoder(config, *sizes, shared=config.tied in ("all", "source-target")))
    return network.requires_grad_(False)


def exported(network: EncoderDecoder, *, words: int = WORDS, int8: bool = False) -> CTranslate2Engine:
    return export(network, "", words, WORDS, eos=EOS, unk=UNK, positions=POSITIONS, int8=int8).engine()


ENGINES: dict[str, tuple[TorchEngine, CTranslate2Engine]] = {}


def both(shape: str) -> tuple[TorchEngine, CTranslate2Engine]:
    if shape not in ENGINES:
        words = 23 if shape == "two tables" else WORDS
        network = made(words, **SHAPES[shape])
        ENGINES[shape] = TorchEngine(network, EOS), exported(network, words=words)
    return ENGINES[shape]


def side(sources: list[list[int]]) -> Side:
    lengths_B = np.array([len(source) + 1 for source in sources], np.int64)
    words_BT = np.zeros((len(sources), lengths_B.max()), np.int64)
    for row, source in zip(words_BT, sources, strict=True):
        row[: len(source) + 1] = [*source, EOS]
    return Side({"words_BT": words_BT}, lengths_B)


def some_sources(count: int = 6, seed: int = 1) -> list[list[int]]:
    chance = random.Random(seed)
    return [chance.choices(range(3, WORDS), k=chance.randint(1, 8)) for _ in range(count)]


def assert_same(found: list[list[Hypothesis]], wanted: list[list[Hypothesis]]) -> None:
    assert [[(one.ids, one.ended) for one in own] for own in found] == [
        [(one.ids, one.ended) for one in own] for own in wanted
    ]
    for one, other in zip(chain(*found), chain(*wanted), strict=True):
        assert one.score == pytest.approx(other.score, abs=1e-4)
        assert one.log_prob == pytest.approx(other.log_prob, abs=1e-4)
        np.testing.assert_allclose(one.log_probs, other.log_probs, rtol=0, atol=1e-4)
        if other.attention_TS is None:
            assert one.attention_TS is None
        else:
            assert one.attention_TS is not None
            np.testing.assert_allclose(one.attention_TS, other.attention_TS, rtol=0, atol=1e-4)


# -- equal to the network

token = st.integers(0, WORDS - 1).filter(lambda one: one != EOS)


@st.composite
def asked(draw: Any) -> tuple[GenerateOptions, dict[str, Any]]:
    """Options, and what is asked of six sources."""
    beam, most = draw(st.integers(1, 5)), draw(st.integers(1, 12))
    options = GenerateOptions(
        beam=beam,
        best=draw(st.integers(1, beam)),
        length_penalty=draw(st.sampled_from([0.0, 0.6, 1.0])),
        coverage_penalty=draw(st.sampled_from([0.0, 0.0, 0.3])),
        min_length=draw(st.integers(0, min(4, most))),
        max_length=most,
        no_repeat=draw(st.integers(0, 3)),
    )
    six = {"min_size": 6, "max_size": 6}
    return options, {
        "forbidden": draw(st.lists(token, max_size=3)),
        "prefixes": draw(st.none() | st.lists(st.lists(token, max_size=3), **six)),
        "limits": draw(st.none() | st.lists(st.integers(1, 14), **six)),
        "attention": draw(st.booleans()),
    }


@each_shape
@settings(max_examples=30, deadline=None, derandomize=True)
@given(how=asked())
def test_hypotheses(shape: str, how: tuple[GenerateOptions, dict[str, Any]]) -> None:
    """Tokens, scores and attention, whatever is asked for."""
    torch, engine = both(shape)
    source, (options, more) = side(some_sources()), how
    wanted = torch.generate(source, options, eos=EOS, **more)
    assert_same(engine.generate(source, options, eos=EOS, **more), wanted)


@each_shape
def test_scores_of_targets(shape: str) -> None:
    torch, engine = both(shape)
    targets = [np.array(one) for one in ([3, 4, EOS], [5], [EOS], [6, EOS, 7, UNK, 9], [3] * 20, [3, EOS])]
    source = side(some_sources())
    for one, other in zip(engine.score(source, targets), torch.score(source, targets), strict=True):
        np.testing.assert_allclose(one, other, rtol=0, atol=1e-4)


def test_many_sources_come_back_in_their_order() -> None:
    """Several batches, of unlike lengths and limits, by all cores."""
    torch, engine = both("plain")
    engine.batch = 64
    try:
        sources = some_sources(200, seed=3)
        limits = [2 * len(source) + 1 for source in sources]
        for options in (GenerateOptions(), GenerateOptions(beam=4, best=2), GenerateOptions(beam=3, length_penalty=0)):
            wanted = torch.generate(side(sources), options, eos=EOS, limits=limits)
            assert_same(engine.generate(side(sources), options, eos=EOS, limits=limits), wanted)
    finally:
        del engine.batch


@pytest.mark.parametrize("beam", [1, 4])
def test_a_source_alone(beam: int) -> None:
    engine, sources = both("unlike")[1], some_sources()
    options = GenerateOptions(beam=beam, best=beam, max_length=10)
    together = engine.generate(side(sources), options, eos=EOS)
    for source, own in zip(sources, together, strict=True):
        assert_same(engine.generate(side([source]), options, eos=EOS), [own])


def test_no_sources() -> None:
    nothing = Side({"words_BT": np.zeros((0, 1), np.int64)}, np.zeros(0, np.int64))
    assert both("plain")[1].generate(nothing, GenerateOptions(max_length=4), eos=EOS) == []
    assert both("plain")[1].score(nothing, []) == []


def test_without_scores() -> None:
    engine, source = both("plain")[1], side(some_sources())
    for beam in (1, 3):
        options = GenerateOptions(beam=beam, max_length=12)
        for (one,), (other,) in zip(
            engine.generate(source, options, eos=EOS, scores=False),
            engine.generate(source, options, eos=EOS),
            strict=True,
        ):
            assert (one.ids, one.ended, one.log_probs) == (other.ids, other.ended, [])
            assert np.isnan(one.log_prob)
            assert np.isnan(one.score) if beam == 1 else one.score == other.score


def test_eight_bits() -> None:
    network = made()
    exact, rounded = export(network, "", WORDS, WORDS, eos=EOS, unk=UNK, positions=20), exported(network, int8=True)
    small = export(network, "", WORDS, WORDS, eos=EOS, unk=UNK, positions=20, int8=True)
    assert (exact.about.precision, small.about.precision) == ("fp32", "int8")
    assert len(small.model) < 0.5 * len(exact.model)
    source, targets = side(some_sources()), [np.array([3, 4, 5, EOS])] * 6
    found = zip(rounded.score(source, targets), exact.engine().score(source, targets), strict=True)
    gaps = np.concatenate([np.abs(one - other) for one, other in found])
    assert 1e-4 < gaps.mean() < 0.3


def test_tables_that_are_one_are_stored_once() -> None:
    sizes = {tied: len(exported_bytes(made(tied=tied))) for tied in ("none", "target-output")}
    assert sizes["none"] - sizes["target-output"] > 0.9 * WORDS * 16 * 4


def exported_bytes(network: EncoderDecoder) -> bytes:
    return export(network, "", WORDS, WORDS, eos=EOS, unk=UNK, positions=4).model


def test_no_files_are_left_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    exported(made())
    assert list(tmp_path.iterdir()) == []


# -- refused


@pytest.mark.parametrize(
    ("section", "reason"),
    [
        ({"encoder": {**BLOCKS, "positions": "rotary"}}, "rotary positions"),
        ({"encoder": {**BLOCKS, "positions": "learned"}}, "learned positions"),
        ({"encoder": {"kind": "lstm", "dim": 16}}, "a LSTMEncoder|a RecurrentEncoder|a .*Encoder"),
        ({"decoder": {"kind": "gru", "dim": 16}}, "a RecurrentDecoder"),
    ],
)
def test_networks_that_it_has_no_layers_for(section: dict[str, Any], reason: str) -> None:
    with pytest.raises(NotImplementedError, match=reason):
        exported_bytes(made(**section))


def test_what_it_cannot_do() -> None:
    engine, source = both("plain")[1], side([[3, 4]])
    draw = GenerateOptions(sampling=SamplingOptions())
    for wrong, message in (
        (lambda: engine.generate(source, draw, eos=EOS), "it draws no samples. Say --engine torch."),
        (lambda: engine.stepper(source), "whole sequences only. Say --engine torch."),
        (lambda: engine.outputs(source), "asked token by token"),
    ):
        with pytest.raises(UserError) as refused:
            wrong()
        assert (refused.value.code, message in str(refused.value)) == (2, True), str(refused.value)


def test_positions_that_it_was_not_exported_for() -> None:
    torch, engine = both("plain")
    options, long = GenerateOptions(max_length=POSITIONS), [3] * (POSITIONS - 1)
    assert_same(
        engine.generate(side([long]), options, eos=EOS), torch.generate(side([long]), options, eos=EOS)
    )  # the last one that there is
    engine.score(side([long]), [np.array(long)])
    for asked in (
        lambda: engine.generate(side([[*long, 3]]), options, eos=EOS),
        lambda: engine.generate(side([[3]]), replace(options, max_length=POSITIONS + 1), eos=EOS),
        lambda: engine.generate(side([[3]]), GenerateOptions(), eos=EOS, prefixes=[[3] * 41], limits=[4]),
        lambda: engine.score(side([[*long, 3]]), [np.array([3])]),
        lambda: engine.score(side([[3]]), [np.array([3] * 41)]),
    ):
        with pytest.raises(UserError, match=r"of 41 tokens, but this model was exported for at most 40") as refused:
            asked()
        assert refused.value.code == 65


# -- a training, and what it leaves

RECIPE = """
name: tiny-mt
task: {kind: translation, beam: 2}
data: {train: train.tsv, dev: dev.tsv, format: tsv, max_length: 20}
source: {kind: text, tokenizer: {kind: characters}}
target: {kind: text, share: source}
model:
  kind: encoder-decoder
  embedder: {kind: tokens, dim: 16}
  encoder: {kind: transformer, dim: 16, heads: 2, layers: 1, feedforward: 16, activation: relu}
  decoder: {kind: transformer, dim: 16, heads: 2, layers: 1, feedforward: 16}
  head: {kind: softmax}
  tied: all
training: {optimizer: {kind: adamw, lr: 1e-2}, batch: {tokens: 256, per_epoch: 0}, epochs: 2, min_steps: 0}
"""
RUN = "runs/tiny-mt/1"


def write_pairs(folder: Path) -> None:
    chance = random.Random(1)
    for split, count in (("train", 100), ("dev", 30)):
        words = ["".join(chance.choices("abcde", k=chance.randint(1, 8))) for _ in range(count)]
        (folder / f"{split}.tsv").write_text("".join(f"{word}\t{word[::-1]}\n" for word in words))
    (folder / "mt.yaml").write_text(RECIPE)


@pytest.fixture(scope="session")
def translator_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("ctranslate2")
    write_pairs(folder)
    before = Path.cwd()
    os.chdir(folder)
    try:
        result = run_inside("train", "mt.yaml", "-q")
    finally:
        os.chdir(before)
    assert result.code == 0, result.err
    return folder


@pytest.fixture
def translator(translator_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """The run ``tiny-mt@1`` in a folder of its own, which is the working folder."""
    shutil.copytree(translator_folder, tmp_path / "own")
    monkeypatch.chdir(tmp_path / "own")
    monkeypatch.delenv("SEQCLI_RUNS", raising=False)
    return Store().resolve("tiny-mt")


@pytest.fixture
def uninstalled(monkeypatch: pytest.MonkeyPatch) -> None:
    for room in ("model", "export"):
        monkeypatch.setattr(f"seqcli.pipeline.{room}.installed", lambda package: False)


INSTALL = "pip install 'seqcli[fast]'"


def test_a_training_exports(translator: Run) -> None:
    report = translator.report()["engine"]
    assert report["kind"] == "ctranslate2"
    assert report["same_tokens"] == 100.0
    assert report["difference"] < 1e-4
    assert set(report["dev"]) == {"score", "fp32", "int8"}
    about = About.from_bytes((translator.path / "engine.ct2.json").read_bytes())
    assert (about.source, about.target, about.positions) == (7, 7, 2 * 20 + 10 + 1)
    assert (about.eos, about.unk, about.layer_norm_epsilon) == (1, 0, 1e-5)
    model = Model.load(translator)
    assert isinstance(model.engine, CTranslate2Engine)
    assert model.notice is None
    assert isinstance(Model.load(translator, steps=True).engine, TorchEngine)


def test_the_program_imports_no_torch(translator: Run) -> None:
    script = """
import sys
from seqcli.cli import app
try:
    app.main(["translate", "tiny-mt"])
finally:
    print([name for name in ("torch", "onnxruntime", "transformers") if name in sys.modules], file=sys.stderr)
"""
    done = subprocess.run(
        [sys.executable, "-c", script], input=b"abc\n\nba\n", capture_output=True, env=environment(), timeout=120
    )
    assert done.stderr.decode().splitlines()[-1] == "[]"
    assert done.stdout.count(b"\n") == 3


def test_the_verbs_say_what_they_say_on_torch(seqcli: Program, translator: Run) -> None:
    assert seqcli("models", "export", "tiny-mt", "--fp32").out == f"{RUN}/engine.ct2.bin\n"
    lines, pairs = b"abc\n\nba\neeeee\n", b"abc\tcba\nba\tab\n"
    asked: list[tuple[list[str], bytes]] = [
        (["translate", "tiny-mt", "--n-best", "2", "--max-length", "6"], lines),
        (["translate", "tiny-mt", "--beam", "1"], lines),
        (["evaluate", "tiny-mt", "--split", "dev"], b""),
    ]
    for arguments, stdin in asked:
        found = [seqcli(*arguments, "--engine", name, stdin=stdin) for name in ("ctranslate2", "auto", "torch")]
        assert found[0].code == 0
        assert found[0] == found[1] == found[2]
    scored = [seqcli("score", "tiny-mt", "-q", "--engine", name, stdin=pairs).out for name in ("auto", "torch")]
    np.testing.assert_allclose(*[[float(line) for line in out.split()] for out in scored], rtol=0, atol=1e-4)
    documents = [
        [json.loads(line) for line in seqcli("translate", "tiny-mt", "--jsonl", *more, stdin=lines).out.splitlines()]
        for more in ([], ["--engine", "torch"])
    ]
    for one, other in zip(*documents, strict=True):
        for best, wanted in zip(one["translations"], other["translations"], strict=True):
            assert best == {**wanted, **{name: pytest.approx(wanted[name], abs=1e-4) for name in ("score", "log_prob")}}


def test_export_chooses_the_precision(seqcli: Program, translator: Run) -> None:
    sizes = {}
    for precision in ("fp32", "int8"):
        told = json.loads(seqcli("models", "export", "tiny-mt", f"--{precision}", "--json").out)
        assert (told["file"], told["engine"]["precision"]) == (f"{RUN}/engine.ct2.bin", precision)
        sizes[precision] = told["bytes"]
        assert translator.verify().files.keys() >= {"engine.ct2.bin", "engine.ct2.json"}
        assert seqcli("translate", "tiny-mt", stdin=b"abc\n").code == 0
    assert sizes["int8"] < sizes["fp32"]


def test_a_model_travels(seqcli: Program, translator: Run) -> None:
    answer = seqcli("translate", "tiny-mt", stdin=b"abc\n").out
    assert seqcli("models", "pack", "tiny-mt").code == 0
    assert seqcli("models", "unpack", "tiny-mt-1.tar.gz", "--name", "theirs").code == 0
    assert Path("runs/theirs/1/engine.ct2.bin").read_bytes() == Path(f"{RUN}/engine.ct2.bin").read_bytes()
    assert seqcli("translate", "theirs", "--engine", "ctranslate2", stdin=b"abc\n").out == answer


def test_a_long_line_of_the_data_is_measured_in_parts(seqcli: Program, translator: Run) -> None:
    Path("long.tsv").write_text(f"abc\tcba\n{'abcde' * 30}\t{'edcba' * 30}\n")
    assert seqcli("models", "export", "tiny-mt", "--fp32").code == 0
    found = [seqcli("evaluate", "tiny-mt", "long.tsv", "--engine", name) for name in ("ctranslate2", "torch")]
    assert found[0].code == 0
    assert found[0] == found[1]


def test_not_installed(seqcli: Program, translator: Run, uninstalled: None) -> None:
    told = f"CTranslate2, which runs tiny-mt@1 faster, is not installed: {INSTALL}"
    code, _, err = seqcli("translate", "tiny-mt", stdin=b"abc\n")
    assert (code, err) == (0, f"warning: {told}\n")
    assert f"warning: {told}\n" in seqcli("evaluate", "tiny-mt", "--split", "dev").err
    assert seqcli("translate", "tiny-mt", "--engine", "torch", stdin=b"abc\n").err == ""
    assert seqcli("translate", "tiny-mt", "--engine", "ctranslate2", stdin=b"abc\n") == (
        2,
        "",
        f"error: CTranslate2 is not installed. Say {INSTALL}, or leave out --engine.\n",
    )
    assert seqcli("models", "export", "tiny-mt").code == 0  # ONNX Runtime is there
    assert {path.name for path in translator.path.glob("*engine*")} == {"engine.onnx"}
    assert seqcli("translate", "tiny-mt", stdin=b"abc\n").err == ""


def test_a_training_without_it_says_what_to_install(
    seqcli: Program, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, uninstalled: None
) -> None:
    write_pairs(tmp_path)
    monkeypatch.chdir(tmp_path)
    code, _, err = seqcli("train", "mt.yaml")
    assert code == 0
    assert f"CTranslate2 runs it faster: {INSTALL}\n" in err
    assert Store().resolve("tiny-mt").report()["engine"]["kind"] == "onnx"
    code, _, err = seqcli("translate", "tiny-mt", "--engine", "ctranslate2", stdin=b"abc\n")
    assert (code, INSTALL in err) == (2, True)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ("model.encoder.positions=rotary", "CTranslate2 cannot run rotary positions"),
        ("model.encoder={kind: lstm, dim: 8}", None),
    ],
)
def test_a_network_that_it_cannot_run(
    seqcli: Program, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, change: str, reason: str | None
) -> None:
    write_pairs(tmp_path)
    monkeypatch.chdir(tmp_path)
    code, _, err = seqcli("train", "mt.yaml", "--set", change)
    assert code == 0, err
    report = Store().resolve("tiny-mt").report()["engine"]
    assert (report["kind"], report.get("ctranslate2")) == ("onnx", reason)
    assert not list(Path(RUN).glob("engine.ct2*"))
    assert seqcli("translate", "tiny-mt", stdin=b"abc\n").code == 0
    assert seqcli("translate", "tiny-mt", "--engine", "ctranslate2", stdin=b"abc\n") == (
        2,
        "",
        "error: tiny-mt@1 has no export for CTranslate2. Leave out --engine.\n",
    )


def test_an_export_that_writes_something_else_is_not_kept(
    seqcli: Program, translator: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("seqcli.pipeline.export.LEAST_SAME", 101.0)
    code, _, err = seqcli("models", "export", "tiny-mt")
    assert (code, "the graph writes the same for 100.0% of sentences" in err) == (1, True), err


def test_engines_by_name(seqcli: Program, translator: Run) -> None:
    for arguments, error in (
        (("--engine", "onnx"), "tiny-mt@1 has no graph to run. Leave out --engine."),
        (
            ("--engine", "ctranslate2", "--device", "cuda"),
            "the engine ctranslate2 runs on the CPU, not cuda. Leave out --engine.",
        ),
        (("--engine", "ctranslate2", "--sample"), "CTranslate2 searches, it draws no samples. Say --engine torch."),
    ):
        code, out, err = seqcli("translate", "tiny-mt", *arguments, stdin=b"abc\n")
        assert (code, out, err.splitlines()[-1]) == (2, "", f"error: {error}")
    assert seqcli("translate", "tiny-mt", "--sample", "--seed", "1", stdin=b"abc\n").code == 0


# -- files that are not what they were


def spoiled(run: Run, name: str, data: bytes) -> None:
    (run.path / name).write_bytes(data)
    run.seal(read_manifest(run.path).files)


AGAIN = f"Make it again: seqcli models export {RUN}"


def test_other_weights(seqcli: Program, translator: Run) -> None:
    weights = bytearray(translator.weights_path.read_bytes())
    weights[-1] ^= 1
    spoiled(translator, "model.safetensors", bytes(weights))
    code, out, err = seqcli("translate", "tiny-mt", stdin=b"abc\n")
    assert (code, out) == (65, "")
    assert err.startswith(f"error: {RUN}/engine.ct2.json: the export was made from other weights (")
    assert err.endswith(f"{AGAIN}\n")
    assert seqcli("models", "export", "tiny-mt").code == 0
    assert seqcli("translate", "tiny-mt", "--engine", "ctranslate2", stdin=b"abc\n").code == 0


def test_a_damaged_file(seqcli: Program, translator: Run) -> None:
    path = translator.path / "engine.ct2.bin"
    path.write_bytes(path.read_bytes()[:-1] + b"?")
    assert seqcli("translate", "tiny-mt", stdin=b"abc\n") == (
        65,
        "",
        f"error: {RUN}/engine.ct2.bin: damaged: its checksum is not the one in the manifest\n",
    )


@pytest.mark.parametrize(
    ("name", "data", "file", "reason"),
    [
        ("engine.ct2.json", b"{", "json", "not what seqcli writes beside an export for CTranslate2"),
        ("engine.ct2.json", b"[1]", "json", "not what seqcli writes beside an export for CTranslate2"),
        ("engine.ct2.json", b'{"weights": 1}', "json", "not what seqcli writes beside an export for CTranslate2"),
        ("engine.ct2.json", b"\xff", "json", "not what seqcli writes beside an export for CTranslate2"),
        ("engine.ct2.bin", b"no model", "bin", "not the model that engine.ct2.json tells of"),
    ],
)
def test_files_of_somebody_else(
    seqcli: Program, translator: Run, name: str, data: bytes, file: str, reason: str
) -> None:
    spoiled(translator, name, data)
    assert seqcli("translate", "tiny-mt", stdin=b"abc\n") == (
        65,
        "",
        f"error: {RUN}/engine.ct2.{file}: {reason}. {AGAIN}\n",
    )


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"source": 8}, "the export is for 8 source tokens, but the model has 7"),
        ({"target": 10**15}, "the export is for 1,000,000,000,000,000 target tokens, but the model has 7"),
        ({"weights": "0" * 64}, "the export was made from other weights (000000000000) than those in the model"),
    ],
)
def test_an_export_of_another_model(seqcli: Program, translator: Run, change: dict[str, Any], reason: str) -> None:
    told = json.loads((translator.path / "engine.ct2.json").read_text())
    spoiled(translator, "engine.ct2.json", json.dumps({**told, **change}).encode())
    code, _, err = seqcli("translate", "tiny-mt", stdin=b"abc\n")
    assert (code, err.startswith(f"error: {RUN}/engine.ct2.json: {reason}")) == (65, True), err


@pytest.mark.parametrize("data", [b"", b"no model", b"\x06\x00\x00\x00" + bytes(60), b"\xff" * 1000])
def test_a_model_that_ctranslate2_cannot_run(seqcli: Program, translator: Run, data: bytes) -> None:
    told = json.loads((translator.path / "engine.ct2.json").read_text())
    (translator.path / "engine.ct2.bin").write_bytes(data)
    spoiled(translator, "engine.ct2.json", json.dumps({**told, "model": FileRecord.of(data).sha256}).encode())
    code, _, err = seqcli("translate", "tiny-mt", stdin=b"abc\n")
    assert code == 65
    assert err.startswith(f"error: {RUN}/engine.ct2.bin: not a model that CTranslate2 can run: ")
    assert err.endswith(f". {AGAIN}\n")
    assert seqcli("translate", "tiny-mt", "--engine", "torch", stdin=b"abc\n").code == 0
