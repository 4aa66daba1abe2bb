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
    """``module:name``, within seqcli, of a kind's config class, and of the class or function that does its work."""

    config: str
    implementation: str


_KINDS: dict[str, Kind] = {
    "task.tagging": Kind("recipe.tasks:TaggingConfig", "tasks.tagging:TaggingTask"),
    "task.language-model": Kind("recipe.tasks:LanguageModelConfig", "tasks.language_model:LanguageModelTask"),
    "task.classification": Kind("recipe.tasks:ClassificationConfig", "tasks.classification:ClassificationTask"),
    "task.translation": Kind("recipe.tasks:TranslationConfig", "tasks.translation:TranslationTask"),
    "task.captioning": Kind("recipe.tasks:CaptioningConfig", "tasks.captioning:CaptioningTask"),
    "task.transcription": Kind("recipe.tasks:TranscriptionConfig", "tasks.transcription:TranscriptionTask"),
    "task.forecasting": Kind("recipe.tasks:ForecastingConfig", "tasks.forecasting:ForecastingTask"),
    "task.imputation": Kind("recipe.tasks:ImputationConfig", "tasks.imputation:ImputationTask"),
    "task.word-vectors": Kind("recipe.tasks:WordVectorsConfig", "tasks.word_vectors:WordVectorsTask"),
    "source.text": Kind("recipe.fields:TextFieldConfig", "fields.text:TextField"),
    "source.frames": Kind("recipe.fields:FrameFieldConfig", "fields.frames:FrameField"),
    "source.vector": Kind("recipe.fields:VectorFieldConfig", "fields.vector:VectorField"),
    "source.grid": Kind("recipe.fields:GridFieldConfig", "fields.vector:GridField"),
    "source.series": Kind("recipe.fields:SeriesFieldConfig", "fields.series:SeriesField"),
    "target.tags": Kind("recipe.fields:TagFieldConfig", "fields.tags:TagField"),
    "target.labels": Kind("recipe.fields:LabelFieldConfig", "fields.labels:LabelField"),
    "target.text": Kind("recipe.fields:TextTargetConfig", "fields.pairs:TargetText"),
    "target.series": Kind("recipe.fields:SeriesTargetConfig", "fields.series:SeriesField"),
    "features.log-mel": Kind("recipe.features:LogMelConfig", "media.audio:LogMel"),
    "features.mfcc": Kind("recipe.features:MFCCConfig", "media.audio:MFCC"),
    "features.grey-frames": Kind("recipe.features:GreyFramesConfig", "media.video:GreyFrames"),
    "features.efficientnet-lite0-frames": Kind("recipe.features:EncodedFramesConfig", "media.video:EncodedFrames"),
    "features.efficientnet-lite0": Kind("recipe.features:EfficientNetLite0Config", "media.image:EfficientNetLite0"),
    "tokenizer.whitespace": Kind("recipe.tokenizers:WhitespaceConfig", "text.tokenizers:Whitespace"),
    "tokenizer.words": Kind("recipe.tokenizers:WordsConfig", "text.words:Words"),
    "tokenizer.characters": Kind("recipe.tokenizers:CharactersConfig", "text.tokenizers:Characters"),
    "tokenizer.bytes": Kind("recipe.tokenizers:BytesConfig", "text.tokenizers:Bytes"),
    "tokenizer.sentencepiece": Kind("recipe.tokenizers:SentencePieceConfig", "text.pieces:SentencePieces"),
    "model.network": Kind("recipe.models:NetworkConfig", "pipeline.estimators:GradientEstimator"),
    "model.encoder-decoder": Kind("recipe.models:EncoderDecoderConfig", "pipeline.estimators:GradientEstimator"),
    "model.ngram": Kind("recipe.models:NGramConfig", "models.counts.ngram:NGramModel"),
    "model.bag-of-words": Kind("recipe.models:BagOfWordsConfig", "models.counts.bag_of_words:BagOfWords"),
    "beside.bag-of-words": Kind("recipe.models:BagOfWordsConfig", "models.counts.bag_of_words:BagOfWords"),
    "beside.ngram": Kind("recipe.models:NGramConfig", "models.counts.ngram:NGramModel"),
    "model.mean-pool": Kind("recipe.models:MeanPoolConfig", "models.counts.mean_pool:MeanPool"),
    "model.majority": Kind("recipe.models:MajorityConfig", "models.counts.majority:Majority"),
    "model.most-frequent-tag": Kind(
        "recipe.models:MostFrequentTagConfig", "models.counts.most_frequent_tag:MostFrequentTag"
    ),
    "model.random-caption": Kind("recipe.models:RandomCaptionConfig", "models.counts.captions:RandomCaption"),
    "model.nearest-caption": Kind("recipe.models:NearestCaptionConfig", "models.counts.captions:NearestCaption"),
    "model.consensus-caption": Kind("recipe.models:ConsensusCaptionConfig", "models.counts.captions:ConsensusCaption"),
    "model.last-value": Kind("recipe.models:LastValueConfig", "models.counts.series:LastValue"),
    "model.seasonal-naive": Kind("recipe.models:SeasonalNaiveConfig", "models.counts.series:SeasonalNaive"),
    "model.drift": Kind("recipe.models:DriftConfig", "models.counts.series:Drift"),
    "model.linear": Kind("recipe.models:LinearForecastConfig", "models.counts.series:LinearForecaster"),
    "model.ets": Kind("recipe.models:ETSConfig", "models.counts.series:ETS"),
    "model.theta": Kind("recipe.models:ThetaConfig", "models.counts.series:Theta"),
    "model.interpolation": Kind("recipe.models:InterpolationConfig", "models.counts.gaps:Interpolation"),
    "model.median": Kind("recipe.models:MedianConfig", "models.counts.gaps:Median"),
    "model.skip-gram": Kind("recipe.models:SkipGramConfig", "tasks.word_vectors:WordVectorsTask"),
    "model.cbow": Kind("recipe.models:CBOWConfig", "tasks.word_vectors:WordVectorsTask"),
    "embedder.tokens": Kind("recipe.embedders:TokensConfig", "models.embedders:TokenEmbedder"),
    "embedder.one-hot": Kind("recipe.embedders:OneHotConfig", "models.embedders:OneHotEmbedder"),
    "embedder.frames": Kind("recipe.embedders:FramesConfig", "models.frames:FrameEmbedder"),
    "embedder.frame-cnn": Kind("recipe.embedders:FrameCNNConfig", "models.frames:FrameCNN"),
    "embedder.vector": Kind("recipe.embedders:VectorConfig", "models.frames:VectorEmbedder"),
    "embedder.convolution": Kind("recipe.embedders:ConvolutionConfig", "models.convolution:ConvolutionEmbedder"),
    "embedder.series": Kind("recipe.embedders:SeriesConfig", "models.series:SeriesEmbedder"),
    "embedder.gaps": Kind("recipe.embedders:GapsConfig", "models.imputer:GapEmbedder"),
    "characters.cnn": Kind("recipe.embedders:CharacterCNNConfig", "models.characters:CharacterCNN"),
    "characters.lstm": Kind("recipe.embedders:CharacterLSTMConfig", "models.characters:CharacterLSTM"),
    "encoder.rnn": Kind("recipe.encoders:RNNConfig", "models.recurrent:RecurrentEncoder"),
    "encoder.lstm": Kind("recipe.encoders:LSTMConfig", "models.recurrent:RecurrentEncoder"),
    "encoder.gru": Kind("recipe.encoders:GRUConfig", "models.recurrent:RecurrentEncoder"),
    "encoder.rnn-scratch": Kind("recipe.encoders:RNNScratchConfig", "models.recurrent:RecurrentEncoder"),
    "encoder.lstm-scratch": Kind("recipe.encoders:LSTMScratchConfig", "models.recurrent:RecurrentEncoder"),
    "encoder.gru-scratch": Kind("recipe.encoders:GRUScratchConfig", "models.recurrent:RecurrentEncoder"),
    "encoder.transformer": Kind("recipe.encoders:TransformerConfig", "models.transformer:TransformerEncoder"),
    "encoder.window": Kind("recipe.encoders:WindowConfig", "models.local:WindowEncoder"),
    "encoder.bag": Kind("recipe.encoders:BagConfig", "models.local:BagEncoder"),
    "encoder.cnn": Kind("recipe.encoders:CNNConfig", "models.local:CNNEncoder"),
    "decoder.rnn": Kind("recipe.decoders:RNNDecoderConfig", "models.decoders:RecurrentDecoder"),
    "decoder.lstm": Kind("recipe.decoders:LSTMDecoderConfig", "models.decoders:RecurrentDecoder"),
    "decoder.gru": Kind("recipe.decoders:GRUDecoderConfig", "models.decoders:RecurrentDecoder"),
    "decoder.transformer": Kind("recipe.decoders:TransformerDecoderConfig", "models.decoders:TransformerDecoder"),
    "pooling.last": Kind("recipe.pooling:LastConfig", "models.pooling:LastPooling"),
    "pooling.mean": Kind("recipe.pooling:MeanConfig", "models.pooling:MeanPooling"),
    "pooling.max": Kind("recipe.pooling:MaxConfig", "models.pooling:MaxPooling"),
    "pooling.attention": Kind("recipe.pooling:AttentionConfig", "models.pooling:AttentionPooling"),
    "head.softmax": Kind("recipe.heads:SoftmaxConfig", "models.heads:SoftmaxHead"),
    "head.crf": Kind("recipe.heads:CRFConfig", "models.heads:CRFHead"),
    "head.sigmoid": Kind("recipe.heads:SigmoidConfig", "models.heads:SigmoidHead"),
    "head.adaptive": Kind("recipe.heads:AdaptiveConfig", "models.language:AdaptiveHead"),
    "head.ctc": Kind("recipe.heads:CTCConfig", "models.ctc:CTCHead"),
    "head.direct": Kind("recipe.heads:DirectConfig", "models.forecast_heads:DirectHead"),
    "head.shifted": Kind("recipe.heads:ShiftedConfig", "models.forecast_heads:ShiftedHead"),
    "head.segments": Kind("recipe.heads:SegmentsConfig", "models.forecast_heads:SegmentsHead"),
    "head.stepwise": Kind("recipe.heads:StepwiseConfig", "models.forecast_heads:StepwiseHead"),
    "head.fill": Kind("recipe.heads:FillConfig", "models.imputer:FillHead"),
    "optimizer.adamw": Kind("recipe.optimization:AdamWConfig", "training.optim:build_adamw"),
    "optimizer.adam": Kind("recipe.optimization:AdamConfig", "training.optim:build_adam"),
    "optimizer.sgd": Kind("recipe.optimization:SGDConfig", "training.optim:build_sgd"),
    "schedule.constant": Kind("recipe.optimization:ConstantConfig", "training.schedules:ConstantSchedule"),
    "schedule.inverse-sqrt": Kind("recipe.optimization:InverseSqrtConfig", "training.schedules:InverseSqrtSchedule"),
    "schedule.cosine": Kind("recipe.optimization:CosineConfig", "training.schedules:CosineSchedule"),
    "schedule.linear": Kind("recipe.optimization:LinearConfig", "training.schedules:LinearSchedule"),
    "schedule.plateau": Kind("recipe.optimization:PlateauConfig", "training.schedules:PlateauSchedule"),
}

REGISTRY: dict[str, dict[str, Kind]] = {}
"""Slot -> kind -> what does the work; in the order of the table above."""

for _name, _kind in _KINDS.items():
    REGISTRY.setdefault(_name.partition(".")[0], {})[_name.partition(".")[2]] = _kind

FORMATS: dict[str, str] = {
    "conll": "seqcli.data.formats.conll:Conll",
    "conllu": "seqcli.data.formats.conllu:ConllU",
    "inline": "seqcli.data.formats.inline:Inline",
    "parallel": "seqcli.data.formats.parallel:Parallel",
    "po": "seqcli.data.formats.po:Po",
    "tsv": "seqcli.data.formats.tsv:Tsv",
    "csv": "seqcli.data.formats.csv:Csv",
    "jsonl": "seqcli.data.formats.jsonl:JsonLines",
    "lines": "seqcli.data.formats.text:Lines",
    "records": "seqcli.data.formats.text:Records",
    "labelled": "seqcli.data.formats.labelled:Labelled",
    "ts": "seqcli.data.formats.ts:Ts",
    "frames": "seqcli.data.formats.frames:FrameIndex",
    "manifest": "seqcli.data.formats.recordings:Manifest",
    "kaldi": "seqcli.data.formats.recordings:Kaldi",
    "ljspeech": "seqcli.data.formats.recordings:LJSpeech",
    "npz": "seqcli.data.formats.npz:Npz",
    "csv-folders": "seqcli.data.formats.frames:CsvFolders",
    "media-folders": "seqcli.data.formats.frames:MediaFolders",
    "captions": "seqcli.data.formats.captions:Captions",
    "series": "seqcli.data.formats.series:SeriesTable",
    "series-rows": "seqcli.data.formats.series:SeriesRows",
    "coco": "seqcli.data.formats.captions:Coco",
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
        return load(f"seqcli.{known.config}")
    return load(_foreign(slot)[kind])


@cache
def implementation(slot: str, kind: str) -> Any:
    """The class or function that does the work of a kind."""
    if known := REGISTRY[slot].get(kind):
        return load(f"seqcli.{known.implementation}")
    return load(config_class(slot, kind).implementation)


@cache
def _foreign(slot: str) -> dict[str, str]:
    from importlib.metadata import entry_points

    points = entry_points(group="seqcli.components")
    prefix = f"{slot}."
    return {point.name.removeprefix(prefix): point.value for point in points if point.name.startswith(prefix)}


def load(reference: str) -> Any:
    """What ``module:name`` names."""
    module, _, name = reference.partition(":")
    return getattr(import_module(module), name)
