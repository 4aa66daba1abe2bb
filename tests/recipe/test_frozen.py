"""What users and other packages name: a change here is a change for them, and is made on purpose."""

from seqcli.cli.predict_input import INPUTS
from seqcli.cli.verbs import VERBS
from seqcli.data.tables import TABLES
from seqcli.recipe.registry import FORMATS, REGISTRY, config_class

KINDS = {
    "task": [
        "tagging",
        "language-model",
        "classification",
        "translation",
        "captioning",
        "transcription",
        "forecasting",
        "imputation",
        "word-vectors",
    ],
    "source": ["text", "frames", "vector", "grid", "series"],
    "target": ["tags", "labels", "text", "series"],
    "features": ["log-mel", "mfcc", "grey-frames", "efficientnet-lite0-frames", "efficientnet-lite0"],
    "tokenizer": ["whitespace", "words", "characters", "bytes", "sentencepiece"],
    "model": [
        "network",
        "encoder-decoder",
        "ngram",
        "bag-of-words",
        "mean-pool",
        "majority",
        "most-frequent-tag",
        "random-caption",
        "nearest-caption",
        "consensus-caption",
        "last-value",
        "seasonal-naive",
        "drift",
        "linear",
        "ets",
        "theta",
        "interpolation",
        "median",
        "skip-gram",
        "cbow",
    ],
    "beside": ["bag-of-words", "ngram"],
    "embedder": ["tokens", "one-hot", "frames", "frame-cnn", "vector", "convolution", "series", "gaps"],
    "characters": ["cnn", "lstm"],
    "encoder": [
        "rnn",
        "lstm",
        "gru",
        "rnn-scratch",
        "lstm-scratch",
        "gru-scratch",
        "transformer",
        "window",
        "bag",
        "cnn",
    ],
    "decoder": ["rnn", "lstm", "gru", "transformer"],
    "pooling": ["last", "mean", "max", "attention"],
    "head": ["softmax", "crf", "sigmoid", "adaptive", "ctc", "direct", "shifted", "segments", "stepwise", "fill"],
    "optimizer": ["adamw", "adam", "sgd"],
    "schedule": ["constant", "inverse-sqrt", "cosine", "linear", "plateau"],
}

FORMAT_NAMES = [
    "conll",
    "conllu",
    "inline",
    "parallel",
    "po",
    "tsv",
    "csv",
    "jsonl",
    "lines",
    "records",
    "labelled",
    "ts",
    "frames",
    "manifest",
    "kaldi",
    "ljspeech",
    "npz",
    "csv-folders",
    "media-folders",
    "captions",
    "series",
    "series-rows",
    "coco",
]

INPUT_NAMES = ["lines", "csv", "tsv", "jsonl", "conll", "conllu"]

VERB_NAMES = [
    "start",
    "train",
    "evaluate",
    "predict",
    "translate",
    "caption",
    "transcribe",
    "forecast",
    "impute",
    "sample",
    "score",
    "complete",
    "neighbors",
    "analogy",
    "vectors",
    "inspect",
    "plot",
    "curve",
    "sweep",
    "recurrence",
    "models",
    "recipes",
    "components",
    "data",
    "features",
    "tokenize",
    "detokenize",
    "vocab",
    "bleu",
    "chrf",
    "ter",
    "wer",
    "spans",
    "accuracy",
]


def test_kinds_are_frozen():
    assert {slot: list(kinds) for slot, kinds in REGISTRY.items()} == KINDS


def test_data_formats_are_frozen():
    assert list(FORMATS) == FORMAT_NAMES


def test_inputs_of_predict_are_frozen():
    assert list(INPUTS) == INPUT_NAMES == ["lines", *TABLES]


def test_verbs_are_frozen():
    assert list(VERBS) == VERB_NAMES


def test_every_kind_has_a_config_class_that_carries_its_name():
    for slot, kinds in KINDS.items():
        for kind in kinds:
            assert config_class(slot, kind).model_fields["kind"].default == kind
