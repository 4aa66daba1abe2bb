"""The one registry of component kinds: slot -> kind -> (config class, implementation), both named, loaded when needed.

A new kind is a config class, a module and a line here. Another package adds kinds through the entry point group
``seqcli.components``: an entry named ``slot.kind`` whose value is ``module:ConfigClass``, where the config class has
the class attribute ``implementation = "module:Class"``.
"""

from __future__ import annotations

from functools import cache
from importlib import import_module
from typing import Any, NamedTuple


class Entry(NamedTuple):
    """Where a kind's config class lives and where its implementation lives, as ``module:name``."""

    config: str
    implementation: str


def _entries(config_module: str, module: str, kinds: dict[str, tuple[str, str]]) -> dict[str, Entry]:
    return {
        kind: Entry(f"seqcli.recipe.{config_module}:{config}", f"seqcli.{module}:{implementation}")
        for kind, (config, implementation) in kinds.items()
    }


REGISTRY: dict[str, dict[str, Entry]] = {
    "task": {
        "tagging": Entry("seqcli.recipe.tasks:TaggingConfig", "seqcli.tasks.tagging:TaggingTask"),
        "language-model": Entry("seqcli.recipe.tasks:LanguageModelConfig", "seqcli.tasks.language:new_language_task"),
        "classification": Entry(
            "seqcli.recipe.tasks:ClassificationConfig", "seqcli.tasks.classification:new_classification_task"
        ),
        "embedding": Entry("seqcli.recipe.tasks:EmbeddingConfig", "seqcli.tasks.embedding:EmbeddingTask"),
    },
    "tokenizer": {
        "whitespace": Entry("seqcli.recipe.text:WhitespaceConfig", "seqcli.text.tokenizers:Whitespace"),
        "words": Entry("seqcli.recipe.text:WordsConfig", "seqcli.text.words:Words"),
        "characters": Entry("seqcli.recipe.text:CharactersConfig", "seqcli.text.tokenizers:Characters"),
        "bytes": Entry("seqcli.recipe.text:BytesConfig", "seqcli.text.tokenizers:Bytes"),
        "sentencepiece": Entry("seqcli.recipe.text:SentencePieceConfig", "seqcli.text.pieces:SentencePieces"),
    },
    "embedder": _entries(
        "embedders",
        "models.embedders",
        {"tokens": ("TokensConfig", "TokenEmbedder"), "frames": ("FramesConfig", "FrameEmbedder")},
    ),
    "characters": _entries(
        "embedders",
        "models.characters",
        {"cnn": ("CharacterCNNConfig", "CharacterCNN"), "lstm": ("CharacterLSTMConfig", "CharacterLSTM")},
    ),
    "encoder": {
        **_entries(
            "encoders",
            "models.recurrent",
            {
                "rnn": ("RNNConfig", "RecurrentEncoder"),
                "lstm": ("LSTMConfig", "RecurrentEncoder"),
                "gru": ("GRUConfig", "RecurrentEncoder"),
            },
        ),
        **_entries("encoders", "models.transformer", {"transformer": ("TransformerConfig", "TransformerEncoder")}),
        **_entries(
            "encoders",
            "models.local",
            {
                "window": ("WindowConfig", "WindowEncoder"),
                "bag": ("BagConfig", "BagEncoder"),
                "cnn": ("CNNConfig", "CNNEncoder"),
            },
        ),
        **_entries("encoders", "models.counts.ngram", {"ngram": ("NGramConfig", "NGramModel")}),
        **_entries("encoders", "models.counts.bag_of_words", {"bag-of-words": ("BagOfWordsConfig", "BagOfWords")}),
        **_entries("encoders", "models.counts.mean_pool", {"mean-pool": ("MeanPoolConfig", "MeanPool")}),
        **_entries("encoders", "models.counts.majority", {"majority": ("MajorityConfig", "Majority")}),
    },
    "pooling": _entries(
        "pooling",
        "models.pooling",
        {
            "last": ("LastConfig", "LastPooling"),
            "mean": ("MeanConfig", "MeanPooling"),
            "max": ("MaxConfig", "MaxPooling"),
            "attention": ("AttentionConfig", "AttentionPooling"),
        },
    ),
    "head": {
        **_entries(
            "heads",
            "models.heads",
            {
                "softmax": ("SoftmaxConfig", "SoftmaxHead"),
                "crf": ("CRFConfig", "CRFHead"),
                "sigmoid": ("SigmoidConfig", "SigmoidHead"),
            },
        ),
        **_entries("heads", "models.language", {"adaptive": ("AdaptiveConfig", "AdaptiveHead")}),
    },
    "optimizer": _entries(
        "optimization",
        "training.optim",
        {
            "adamw": ("AdamWConfig", "build_adamw"),
            "adam": ("AdamConfig", "build_adam"),
            "sgd": ("SGDConfig", "build_sgd"),
        },
    ),
    "schedule": _entries(
        "optimization",
        "training.schedules",
        {
            "constant": ("ConstantConfig", "ConstantSchedule"),
            "inverse-sqrt": ("InverseSqrtConfig", "InverseSqrtSchedule"),
            "cosine": ("CosineConfig", "CosineSchedule"),
            "linear": ("LinearConfig", "LinearSchedule"),
            "plateau": ("PlateauConfig", "PlateauSchedule"),
        },
    ),
}


def kinds(slot: str) -> list[str]:
    """The kinds known for ``slot``, ours first, then those of other packages."""
    return [*REGISTRY[slot], *(name for name in _foreign(slot) if name not in REGISTRY[slot])]


def knows(slot: str, kind: object) -> bool:
    """Whether ``kind`` is a kind of ``slot``; other packages are asked only about names that are not ours."""
    return isinstance(kind, str) and (kind in REGISTRY[slot] or kind in _foreign(slot))


@cache
def config_class(slot: str, kind: str) -> Any:
    """The config class (a `seqcli.recipe.base.Component`) of a kind."""
    if entry := REGISTRY[slot].get(kind):
        return _load(entry.config)
    return _load(_foreign(slot)[kind])


@cache
def implementation(slot: str, kind: str) -> Any:
    """The class or function that does the work of a kind."""
    if entry := REGISTRY[slot].get(kind):
        return _load(entry.implementation)
    return _load(config_class(slot, kind).implementation)


@cache
def _foreign(slot: str) -> dict[str, str]:
    from importlib.metadata import entry_points

    found = {}
    for point in entry_points(group="seqcli.components"):
        point_slot, _, kind = point.name.partition(".")
        if point_slot == slot and kind:
            found[kind] = point.value
    return found


def _load(reference: str) -> Any:
    module, _, name = reference.partition(":")
    return getattr(import_module(module), name)
