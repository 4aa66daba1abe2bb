"""What users and other packages name: a change here is a change for them, and is made on purpose."""

from seqcli.cli.verbs import VERBS
from seqcli.recipe.registry import REGISTRY

KINDS = {
    "task": ["tagging", "language-model", "classification", "embedding"],
    "tokenizer": ["whitespace", "words", "characters", "bytes", "sentencepiece"],
    "embedder": ["tokens", "frames"],
    "characters": ["cnn", "lstm"],
    "encoder": [
        "rnn",
        "lstm",
        "gru",
        "transformer",
        "window",
        "bag",
        "cnn",
        "ngram",
        "bag-of-words",
        "mean-pool",
        "majority",
    ],
    "pooling": ["last", "mean", "max", "attention"],
    "head": ["softmax", "crf", "sigmoid", "adaptive"],
    "optimizer": ["adamw", "adam", "sgd"],
    "schedule": ["constant", "inverse-sqrt", "cosine", "linear", "plateau"],
}

VERB_NAMES = [
    "train",
    "evaluate",
    "predict",
    "sample",
    "score",
    "complete",
    "neighbors",
    "analogy",
    "vectors",
    "models",
    "recipes",
    "components",
    "data",
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


def test_verbs_are_frozen():
    assert list(VERBS) == VERB_NAMES


def test_every_kind_has_a_config_class_that_carries_its_name():
    from seqcli.recipe.registry import config_class

    for slot, kinds in KINDS.items():
        for kind in kinds:
            assert config_class(slot, kind).model_fields["kind"].default == kind
