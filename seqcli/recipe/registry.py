"""The one registry of component kinds: slot -> kind -> (config class, implementation), both named, loaded when needed.

A new kind is a config class, a module and a line here. Another package adds kinds through the entry point group
``seqcli.components``: an entry named ``slot.kind`` whose value is ``module:ConfigClass``, where the config class has
the class attribute ``implementation = "module:Class"``.
"""

from __future__ import annotations

from functools import cache
from importlib import import_module
from typing import Any, NamedTuple


class Kind(NamedTuple):
    """``module:name`` of a kind's config class, and of the class or function that does its work."""

    config: str
    implementation: str


_TABLE: dict[str, tuple[str, dict[str, tuple[str, str]]]] = {
    "task": (
        "tasks",
        {
            "tagging": ("TaggingConfig", "tasks.tagging:TaggingTask"),
            "language-model": ("LanguageModelConfig", "tasks.language_model:LanguageModelTask"),
            "classification": ("ClassificationConfig", "tasks.classification:ClassificationTask"),
            "word-vectors": ("WordVectorsConfig", "tasks.word_vectors:WordVectorsTask"),
        },
    ),
    "source": (
        "fields",
        {
            "text": ("TextFieldConfig", "fields.text:TextField"),
            "frames": ("FrameFieldConfig", "fields.frames:FrameField"),
        },
    ),
    "target": (
        "fields",
        {
            "tags": ("TagFieldConfig", "fields.tags:TagField"),
            "labels": ("LabelFieldConfig", "fields.labels:LabelField"),
        },
    ),
    "tokenizer": (
        "tokenizers",
        {
            "whitespace": ("WhitespaceConfig", "text.tokenizers:Whitespace"),
            "words": ("WordsConfig", "text.words:Words"),
            "characters": ("CharactersConfig", "text.tokenizers:Characters"),
            "bytes": ("BytesConfig", "text.tokenizers:Bytes"),
            "sentencepiece": ("SentencePieceConfig", "text.pieces:SentencePieces"),
        },
    ),
    "model": (
        "models",
        {
            "network": ("NetworkConfig", "pipeline.estimators:GradientEstimator"),
            "ngram": ("NGramConfig", "models.counts.ngram:NGramModel"),
            "bag-of-words": ("BagOfWordsConfig", "models.counts.bag_of_words:BagOfWords"),
            "mean-pool": ("MeanPoolConfig", "models.counts.mean_pool:MeanPool"),
            "majority": ("MajorityConfig", "models.counts.majority:Majority"),
            "skip-gram": ("SkipGramConfig", "tasks.word_vectors:WordVectorsTask"),
            "cbow": ("CBOWConfig", "tasks.word_vectors:WordVectorsTask"),
        },
    ),
    "embedder": (
        "embedders",
        {
            "tokens": ("TokensConfig", "models.embedders:TokenEmbedder"),
            "frames": ("FramesConfig", "models.embedders:FrameEmbedder"),
        },
    ),
    "characters": (
        "embedders",
        {
            "cnn": ("CharacterCNNConfig", "models.characters:CharacterCNN"),
            "lstm": ("CharacterLSTMConfig", "models.characters:CharacterLSTM"),
        },
    ),
    "encoder": (
        "encoders",
        {
            "rnn": ("RNNConfig", "models.recurrent:RecurrentEncoder"),
            "lstm": ("LSTMConfig", "models.recurrent:RecurrentEncoder"),
            "gru": ("GRUConfig", "models.recurrent:RecurrentEncoder"),
            "transformer": ("TransformerConfig", "models.transformer:TransformerEncoder"),
            "window": ("WindowConfig", "models.local:WindowEncoder"),
            "bag": ("BagConfig", "models.local:BagEncoder"),
            "cnn": ("CNNConfig", "models.local:CNNEncoder"),
        },
    ),
    "pooling": (
        "pooling",
        {
            "last": ("LastConfig", "models.pooling:LastPooling"),
            "mean": ("MeanConfig", "models.pooling:MeanPooling"),
            "max": ("MaxConfig", "models.pooling:MaxPooling"),
            "attention": ("AttentionConfig", "models.pooling:AttentionPooling"),
        },
    ),
    "head": (
        "heads",
        {
            "softmax": ("SoftmaxConfig", "models.heads:SoftmaxHead"),
            "crf": ("CRFConfig", "models.heads:CRFHead"),
            "sigmoid": ("SigmoidConfig", "models.heads:SigmoidHead"),
            "adaptive": ("AdaptiveConfig", "models.language:AdaptiveHead"),
        },
    ),
    "optimizer": (
        "optimization",
        {
            "adamw": ("AdamWConfig", "training.optim:build_adamw"),
            "adam": ("AdamConfig", "training.optim:build_adam"),
            "sgd": ("SGDConfig", "training.optim:build_sgd"),
        },
    ),
    "schedule": (
        "optimization",
        {
            "constant": ("ConstantConfig", "training.schedules:ConstantSchedule"),
            "inverse-sqrt": ("InverseSqrtConfig", "training.schedules:InverseSqrtSchedule"),
            "cosine": ("CosineConfig", "training.schedules:CosineSchedule"),
            "linear": ("LinearConfig", "training.schedules:LinearSchedule"),
            "plateau": ("PlateauConfig", "training.schedules:PlateauSchedule"),
        },
    ),
}

REGISTRY: dict[str, dict[str, Kind]] = {
    slot: {
        kind: Kind(f"seqcli.recipe.{module}:{config}", f"seqcli.{implementation}")
        for kind, (config, implementation) in kinds_of.items()
    }
    for slot, (module, kinds_of) in _TABLE.items()
}

FORMATS: dict[str, str] = {
    "conll": "seqcli.data.formats.conll:Conll",
    "conllu": "seqcli.data.formats.conllu:ConllU",
    "inline": "seqcli.data.formats.inline:Inline",
    "tsv": "seqcli.data.formats.tsv:Tsv",
    "jsonl": "seqcli.data.formats.jsonl:JsonLines",
    "lines": "seqcli.data.formats.text:Lines",
    "records": "seqcli.data.formats.text:Records",
    "labelled": "seqcli.data.formats.labelled:Labelled",
    "ts": "seqcli.data.formats.ts:Ts",
    "frames": "seqcli.data.formats.frames:FrameIndex",
    "csv-folders": "seqcli.data.formats.frames:CsvFolders",
}
"""Every data format; a new one is a class, its test and a line here."""


def kinds(slot: str) -> list[str]:
    """The kinds known for ``slot``, ours first, then those of other packages."""
    return [*REGISTRY[slot], *(name for name in _foreign(slot) if name not in REGISTRY[slot])]


def knows(slot: str, kind: object) -> bool:
    """Whether ``kind`` is a kind of ``slot``; other packages are asked only about names that are not ours."""
    return isinstance(kind, str) and (kind in REGISTRY[slot] or kind in _foreign(slot))


@cache
def config_class(slot: str, kind: str) -> Any:
    """The config class (a `seqcli.recipe.base.Component`) of a kind."""
    if known := REGISTRY[slot].get(kind):
        return load(known.config)
    return load(_foreign(slot)[kind])


@cache
def implementation(slot: str, kind: str) -> Any:
    """The class or function that does the work of a kind."""
    if known := REGISTRY[slot].get(kind):
        return load(known.implementation)
    return load(config_class(slot, kind).implementation)


@cache
def _foreign(slot: str) -> dict[str, str]:
    from importlib.metadata import entry_points

    found = {}
    for point in entry_points(group="seqcli.components"):
        point_slot, _, kind = point.name.partition(".")
        if point_slot == slot and kind:
            found[kind] = point.value
    return found


def load(reference: str) -> Any:
    """What ``module:name`` names."""
    module, _, name = reference.partition(":")
    return getattr(import_module(module), name)
