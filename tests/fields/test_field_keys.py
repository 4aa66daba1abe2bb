"""The name of cached columns: whatever changes what is read of an example changes it, and no option is forgotten.

The options come from the schema: a new one fails here until it is said which of the two it is.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from media_files import sweep, write_clip, write_sound

from seqcli.data.example import Example, MediaFile
from seqcli.data.series import Series
from seqcli.fields.text import TextField
from seqcli.recipe import registry
from seqcli.recipe.base import Config
from seqcli.recipe.load import recipe_from_text
from seqcli.recipe.sections import section_class, slot_of
from seqcli.tasks.base import new_task
from seqcli.text.pieces import train_sentencepiece

NETWORK = "model: {embedder: {kind: tokens}, encoder: {kind: lstm}, head: {kind: softmax}, pooling: {kind: max}}"
TEXTS = ["The cat (İstanbul) is on Mr. Smith's mat.", "a b", "THE END"]
TAGGED = [
    (["Anna", "Bo", "saw", "Rome", "Oslo"], ["B-PER", "I-PER", "O", "B-LOC", "B-LOC"]),
    (["a", "b"], ["O", "B-PER"]),
]
SOUND = "source.features={kind: log-mel, bins: 8, rate: 8000}"
CLIP = "source.features={kind: grey-frames, fps: 5, height: 3, width: 4}"
CEPSTRA = "source.features={kind: mfcc, rate: 8000}"
FRAMES = [np.arange(6, dtype=np.float32).reshape(3, 2), np.array([[1, np.nan]], np.float32)]
SERIES = [
    Series(name, ("a", "b"), values_TC, np.datetime64("2001-01", "M") + np.arange(len(values_TC)), "1 month")
    for name, values_TC in (
        ("whole", np.arange(32.0).reshape(16, 2) ** 1.5 - 3),
        ("gap", np.array([[1, 2], [2, np.nan], [3, 5], [5, 1], [4, 4]])),
    )
]
TASKS = {
    "tagging": ("{kind: tagging}", "{kind: tags}", NETWORK.replace(", pooling: {kind: max}", "")),
    "classification": ("{kind: classification}", "{kind: labels}", "model: {kind: majority}"),
    "language-model": (
        "{kind: language-model}",
        "null",
        "model: {embedder: {kind: tokens}, encoder: {kind: lstm, bidirectional: false}, head: {kind: softmax}}",
    ),
    "word-vectors": ("{kind: word-vectors}", "null", "model: {kind: cbow}"),
    "transcription": ("{kind: transcription}", "{kind: text}", "model: {kind: majority}"),
    "forecasting": ("{kind: forecasting, look_back: 3}", "{kind: series}", "model: {kind: last-value}"),
    "imputation": ("{kind: imputation}", "{kind: series}", "model: {kind: median}"),
    "translation": (
        "{kind: translation}",
        "{kind: text}",
        "model: {kind: encoder-decoder, embedder: {kind: tokens, dim: 8}, encoder: {kind: gru}, decoder: {kind: gru}, "
        "head: {kind: softmax}}",
    ),
}
SOURCES = {"transcription": "{kind: frames}", "forecasting": "{kind: series}", "imputation": "{kind: series}"}
EXAMPLES = {
    "tagging": [Example(tokens, tags, f"x:{line}") for line, (tokens, tags) in enumerate(TAGGED, 1)],
    "classification": [Example(text, "good,bad" if text == "a b" else "good", "x:1") for text in TEXTS],
    "language-model": [Example(text, None, "x:1") for text in TEXTS],
    "word-vectors": [Example(text, None, "x:1") for text in TEXTS],
    "transcription": [Example(FRAMES[0], "THE END", "x:1")],
    "translation": [Example(text, text, "x:1") for text in TEXTS],
    "forecasting": [Example(series, None, "x:1") for series in SERIES],
    "imputation": [Example(series, None, "x:1") for series in SERIES],
    "vector": [Example(np.array([1, 2], np.float32), TEXTS[:2], "x:1")],
    "grid": [Example(np.arange(6, dtype=np.float32).reshape(3, 2), TEXTS[:2], "x:1")],
}
PICTURES = {
    "vector": "{kind: encoder-decoder, embedder: {kind: vector}, decoder: {kind: gru}, head: {kind: softmax}}",
    "grid": "{kind: encoder-decoder, embedder: {kind: frames}, decoder: {kind: gru}, head: {kind: softmax}}",
}
FORECASTER = "{embedder: {kind: series}, head: {kind: direct}}"
SPOKEN = (
    "model={kind: encoder-decoder, embedder: {kind: frames}, encoder: {kind: gru}, decoder: {kind: gru}, "
    "head: {kind: softmax}}"
)
PIECES = "source.tokenizer={kind: sentencepiece, size: 55}"
TARGET_PIECES = PIECES.replace("source", "target")
SYLLABLES = ("cat", "mat", "sit", "mis", "ton", "rhin", "an")
LEARNED = [*TEXTS, *(f"{one}{two} {two}s" for one in SYLLABLES for two in SYLLABLES)]
"""What pieces are trained on."""

READS: dict[tuple[str, str], tuple[str, list[str]]] = {
    ("", "data.max_length"): ("language-model", ["data.max_length=2"]),
    ("text", "source.tokenizer.kind"): ("classification", ["source.tokenizer={kind: words}"]),
    ("text", "source.tokenizer.model"): ("classification", [PIECES, "source.tokenizer.model=OTHER"]),
    ("text", "source.tokenizer.size"): ("classification", [PIECES, "source.tokenizer.size=50"]),
    ("text", "source.tokenizer.algorithm"): ("classification", [PIECES, "source.tokenizer.algorithm=bpe"]),
    ("text", "source.vocabulary.lowercase"): ("language-model", ["source.vocabulary.lowercase=true"]),
    ("frames", "source.missing"): ("frames", ["source.missing=mask"]),
    ("frames", "source.derive.point"): ("frames", ["source.derive={differences: 1}", "source.derive.point=9"]),
    ("frames", "source.derive.origin"): ("frames", ["source.derive={origin: 1}"]),
    ("frames", "source.derive.pairs"): ("frames", ["source.derive={pairs: [[0, 1]]}"]),
    ("frames", "source.derive.differences"): ("frames", ["source.derive={differences: 2}"]),
    ("frames", "source.features.kind"): ("media", [SOUND, CEPSTRA]),
    ("vector", "source.features.kind"): ("vector image", ["source.features={kind: efficientnet-lite0}"]),
    ("grid", "source.features.kind"): ("grid image", ["source.features={kind: efficientnet-lite0}"]),
    ("frames", "source.features.rate"): ("media", [SOUND, "source.features.rate=4000"]),
    ("frames", "source.features.window"): ("media", [SOUND, "source.features.window=32"]),
    ("frames", "source.features.hop"): ("media", [SOUND, "source.features.hop=20"]),
    ("frames", "source.features.low"): ("media", [SOUND, "source.features.low=100"]),
    ("frames", "source.features.high"): ("media", [SOUND, "source.features.high=3000"]),
    ("frames", "source.features.bins"): ("media", [SOUND, "source.features.bins=9"]),
    ("frames", "source.features.cepstra"): ("media", [CEPSTRA, "source.features.cepstra=12"]),
    ("frames", "source.features.projection"): (
        "media",
        ["source.features={kind: efficientnet-lite0}", "source.features.projection=OTHER"],
    ),
    ("frames", "source.features.fps"): ("clips", [CLIP, "source.features.fps=25"]),
    ("frames", "source.features.height"): ("clips", [CLIP, "source.features.height=4"]),
    ("frames", "source.features.width"): ("clips", [CLIP, "source.features.width=3"]),
    ("tags", "target.scheme"): ("tagging", ["target.scheme=bio", "target.model_scheme=bioes"]),
    ("tags", "target.model_scheme"): ("tagging", ["target.scheme=bio", "target.model_scheme=bilou"]),
    ("tags", "target.labels"): ("tagging", ["target.scheme=bio", "target.labels=binary"]),
    ("tags", "target.merge"): ("tagging", ["target.scheme=bio", "target.merge={PER: LOC}"]),
    ("labels", "target.separator"): ("classification", ["target.separator=','"]),
    ("text", "target.tokenizer.kind"): ("translation", ["target.tokenizer={kind: words}"]),
    ("text", "target.tokenizer.model"): ("translation", [TARGET_PIECES, "target.tokenizer.model=OTHER"]),
    ("text", "target.tokenizer.size"): ("translation", [TARGET_PIECES, "target.tokenizer.size=50"]),
    ("text", "target.tokenizer.algorithm"): ("translation", [TARGET_PIECES, "target.tokenizer.algorithm=bpe"]),
    ("text", "target.vocabulary.lowercase"): ("translation", ["target.vocabulary.lowercase=true"]),
    ("text", "target.share"): ("translation", ["source.tokenizer={kind: characters}", "target.share=source"]),
    ("transcription", "task.speeds"): ("transcription", ["task.speeds=[1.0, 2.0]"]),
    ("series", "source.columns"): ("forecasting", ["source.columns=[b]"]),
    ("series", "source.known"): ("forecasting", ["source.known=[b]"]),
    ("series", "source.calendar"): ("forecasting", ["source.calendar=[month]"]),
    ("series", "source.missing"): ("forecasting", ["source.missing=last"]),
    ("series", "source.transform"): ("forecasting", ["model=" + FORECASTER, "source.transform=log"]),
    ("series", "target.columns"): ("forecasting", ["source.columns=[b]", "target.columns=[a]"]),
    ("forecasting", "task.look_back"): ("forecasting", ["task.look_back=4"]),
    ("forecasting", "task.season"): ("forecasting", ["task.season=2"]),
    ("language-model", "task.unit"): ("language-model", ["data.max_length=2", "task.unit=stream"]),
}
"""Options that change what is read, each with a task and the overrides that show it (the last one against all before)."""

READS_THE_SAME = {
    ("text", "source.vocabulary.max_size"): ("classification", ["source.vocabulary.max_size=3"]),
    ("text", "source.vocabulary.min_count"): ("classification", ["source.vocabulary.min_count=3"]),
    ("text", "target.vocabulary.max_size"): ("translation", ["target.vocabulary.max_size=3"]),
    ("text", "target.vocabulary.min_count"): ("translation", ["target.vocabulary.min_count=3"]),
    ("translation", "task.min_tokens"): ("translation", ["task.min_tokens=3"]),
    ("translation", "task.max_ratio"): ("translation", ["task.max_ratio=1.5"]),
    ("translation", "task.beam"): ("translation", ["task.beam=1"]),
    ("translation", "task.dev_beam"): ("translation", ["task.dev_beam=3"]),
    ("translation", "task.length_penalty"): ("translation", ["task.length_penalty=0"]),
    ("translation", "task.max_length"): ("translation", ["task.max_length=1"]),
    ("transcription", "task.beam"): ("transcription", ["task.beam=3"]),
    ("transcription", "task.ctc_weight"): ("transcription", [SPOKEN, "task.ctc_weight=0.5"]),
    ("transcription", "task.ctc_score"): ("transcription", [SPOKEN, "task.ctc_score=0.5"]),
    ("frames", "source.scaling"): ("frames", ["source.scaling=none"]),
    ("vector", "source.scaling"): ("vector", ["source.scaling=none"]),
    ("grid", "source.scaling"): ("grid", ["source.scaling=none"]),
    ("captioning", "task.beam"): ("vector", ["task.beam=1"]),
    ("captioning", "task.dev_beam"): ("vector", ["task.dev_beam=3"]),
    ("captioning", "task.rerank"): ("vector", ["task.rerank=5"]),
    ("captioning", "task.length_penalty"): ("vector", ["task.length_penalty=0"]),
    ("captioning", "task.max_length"): ("vector", ["task.max_length=1"]),
    ("captioning", "task.baselines"): ("vector", ["task.baselines=[]"]),
    ("series", "source.scaling"): ("forecasting", ["source.scaling=none"]),
    ("forecasting", "task.steps"): ("forecasting", ["task.steps=2"]),
    ("forecasting", "task.horizon"): ("forecasting", ["task.horizon=2"]),
    ("forecasting", "task.stride"): ("forecasting", ["task.stride=2"]),
    ("forecasting", "task.quantiles"): ("forecasting", ["model=" + FORECASTER, "task.quantiles=[0.5]"]),
    ("forecasting", "task.baselines"): ("forecasting", ["task.baselines=[]"]),
    ("imputation", "task.steps"): ("imputation", ["task.steps=9"]),
    ("imputation", "task.hide"): ("imputation", ["task.hide=0.5"]),
    ("imputation", "task.pattern"): ("imputation", ["task.pattern=blocks"]),
    ("imputation", "task.block"): ("imputation", ["task.block=3"]),
    ("imputation", "task.vary"): ("imputation", ["task.vary=0.5"]),
    ("imputation", "task.rounds"): ("imputation", ["task.rounds=2"]),
    ("imputation", "task.baselines"): ("imputation", ["task.baselines=[]"]),
    ("labels", "target.ordinal"): ("classification", ["target.ordinal=true"]),
    ("language-model", "task.bptt"): ("language-model", ["task.bptt=9"]),
    ("language-model", "task.floor"): ("language-model", ["task.floor=2"]),
    ("classification", "task.class_weights"): ("classification", ["task.class_weights=balanced"]),
    ("classification", "task.baselines"): ("classification", ["task.baselines=[]"]),
}
"""Options of the same sections that only matter once the columns are there."""


def options_of(section: type[Config], path: str) -> set[str]:
    """Dotted paths of every option of a section; of a slot those of all its kinds."""
    found = set()
    for name, field in section.model_fields.items():
        where = f"{path}.{name}"
        if slot := slot_of(field):
            found |= {f"{where}.kind"}
            for kind in registry.kinds(slot.name):
                found |= options_of(registry.config_class(slot.name, kind), where) - {f"{where}.kind"}
        elif inner := section_class(field, None):
            found |= options_of(inner, where)
        else:
            found.add(where)
    return found


def every_option() -> set[tuple[str, str]]:
    """``(kind of the section, path)`` of all that a task's own sections and its fields' say."""
    return {("", "data.max_length")} | {
        (kind, path)
        for slot in ("source", "target", "task")
        for kind in registry.kinds(slot)
        for path in options_of(registry.config_class(slot, kind), slot)
        if path != f"{slot}.kind"
        and not (kind in PICTURES and path.startswith("source.features.") and path[16:] != "kind")
    }


def test_every_option_of_the_schema_is_here():
    assert not set(READS) & set(READS_THE_SAME)
    assert set(READS) | set(READS_THE_SAME) == every_option()


def task_of(kind: str, overrides: list[str], folder: Any) -> Any:
    if kind.split(maxsplit=1)[0] in PICTURES:
        name, target, source = "{kind: captioning}", "{kind: text}", f"{{kind: {kind.split(maxsplit=1)[0]}}}"
        model = f"model: {PICTURES[kind.split(maxsplit=1)[0]]}"
    elif kind in ("frames", "media", "clips"):
        name, target, source = "{kind: classification}", "{kind: labels}", "{kind: frames}"
        model = "model: {kind: majority}"
    else:
        (name, target, model), source = TASKS[kind], SOURCES.get(kind, "{kind: text}")
    text = f"name: x\ntask: {name}\ndata: {{train: x}}\nsource: {source}\ntarget: {target}\n{model}\n"
    recipe = recipe_from_text(text, overrides=[one.replace("OTHER", str(folder / "other.model")) for one in overrides])
    task = new_task(recipe.recipe)
    if isinstance(task.source, TextField):
        task.prepare(lambda: (Example(line, line, "x:1") for line in LEARNED), "the text", None)
    return task


def examples(kind: str, folder: Path) -> list[Example]:
    if kind.endswith(" image"):  # one that is none: without features it is not even looked at
        return [Example(MediaFile(folder / "text.txt"), TEXTS, "x:1")]
    if kind in ("media", "clips"):
        return [Example(MediaFile(folder / ("tone.wav" if kind == "media" else "clip.mp4")), "good", "x:1")]
    return [Example(frames, "good", "x:1") for frames in FRAMES] if kind == "frames" else EXAMPLES[kind]


def read(task: Any, kind: str, folder: Path) -> str:
    """All that a task reads of the examples; what it refuses counts too."""
    found = []
    for one in examples(kind, folder):
        try:
            found += [{name: np.asarray(value).tolist() for name, value in piece.items()} for piece in task.read(one)]
        except Exception as error:
            found.append({"refused": str(error)})
    return repr(found)


@pytest.fixture
def folder(tmp_path, cache):
    (tmp_path / "text.txt").write_text("\n".join(LEARNED).lower())
    train_sentencepiece([tmp_path / "text.txt"], 45, tmp_path / "other.model")
    write_sound(tmp_path / "tone.wav", sweep(0.5))
    write_clip(tmp_path / "clip.mp4", [4 * number for number in range(50)])
    return tmp_path


@pytest.mark.parametrize("option", READS, ids=".".join)
def test_what_is_read_differently_has_another_name(folder, option):
    kind, overrides = READS[option]
    before, after = task_of(kind, overrides[:-1], folder), task_of(kind, overrides, folder)
    assert read(before, kind, folder) != read(after, kind, folder), "the example does not show the option"
    assert before.key() != after.key()


@pytest.mark.parametrize("option", READS_THE_SAME, ids=".".join)
def test_what_is_read_alike_shares_its_columns(folder, option):
    kind, overrides = READS_THE_SAME[option]
    before, after = task_of(kind, overrides[:-1], folder), task_of(kind, overrides, folder)
    assert read(before, kind, folder) == read(after, kind, folder)
    assert before.key() == after.key()


@pytest.mark.parametrize("kind", [kind for kind in registry.kinds("tokenizer") if kind != "sentencepiece"])
def test_lower_case_has_another_name_where_it_is_read(folder, kind):
    """Words keep their case to the end; letters and bytes do not."""
    tokenizer = f"source.tokenizer={{kind: {kind}}}"
    before = task_of("classification", [tokenizer], folder)
    after = task_of("classification", [tokenizer, "source.vocabulary.lowercase=true"], folder)
    differs = read(before, "classification", folder) != read(after, "classification", folder)
    assert differs == (before.key() != after.key()) == (kind in ("characters", "bytes"))


def test_a_model_file_of_the_same_name_with_other_pieces_has_another_name(folder):
    overrides = [PIECES, "source.tokenizer.model=OTHER"]
    before = task_of("classification", overrides, folder).key()
    train_sentencepiece([folder / "text.txt"], 40, folder / "other.model")
    assert task_of("classification", overrides, folder).key() != before


def test_tasks_that_read_differently_have_different_names(folder):
    keys = [task_of(kind, [], folder).key() for kind in (*TASKS, *PICTURES, "frames")]
    assert len({repr(key) for key in keys}) == len(keys)
