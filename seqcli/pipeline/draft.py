"""A recipe for a user's own files, written out with its reasons. The sizes were chosen by dev scores: docs/own-data.md."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from seqcli.pipeline.look import Look
from seqcli.pipeline.own_data import ONLY_DEV, dev_share
from seqcli.recipe.dump import format_value
from seqcli.recipe.paths import seen_from

FEW_TEXTS = 10_000
"""Labelled texts below which a bag of words is about as good as a network, and there in a second."""

FEW_EXAMPLES = 2000
"""Labelled texts below which weights by document frequency are better than those of naive Bayes."""

LONG_TEXTS = 80
"""Words of a middling text above which a bag of words is as good, and a hundred times as fast."""

FEW_TOKENS = 30_000
"""Tagged tokens below which small layers do as well."""

MANY_TOKENS = 150_000

FEW_CHARACTERS = 200_000
"""Characters of a text below which counts do better than a network."""

MANY_WORDS = 300_000
"""Words of a text from which on it is worth predicting whole words."""

_GRADES = ("star", "rating", "grade", "score")


def draft(found: Look, name: str, folder: Path) -> str:
    """The recipe as YAML, to lie in ``folder``."""
    lines = [
        f"# Written by 'seqcli start' for {found.file}: a start, to be changed.",
        "# Every option and its default: seqcli recipes show FILE; what can stand in a place: seqcli components",
        f"name: {name}",
        f"description: {format_value(describe(found))}",
        *_task(found),
        "data:",
        *_data(found, folder),
        *_SECTIONS[found.task](found),
    ]
    return "\n".join(lines) + "\n"


def describe(found: Look) -> str:
    seen = found.train
    if found.task == "classification":
        return f"One of {len(seen.labels)} labels for a text"
    if found.task == "translation":
        return "A text for a text"
    if found.task == "tagging":
        return f"{len(seen.spans)} kinds of names" if seen.spans else f"{len(seen.labels)} tags"
    return "What comes next in a text" if found.task == "language-model" else "Word vectors"


def _task(found: Look) -> Iterator[str]:
    if found.task != "language-model":
        yield f"task: {{kind: {found.task}}}"
        return
    is_stream = is_running(found)
    why = "the lines are one running text" if is_stream else "each line stands for itself"
    floor = 4 if unit(found) == "words" else 6
    if is_counted(found):
        floor = 1
        yield f"# {why}; the report compares with how often each of the {unit(found)} comes"
    else:
        yield f"# {why}; the report compares with counts of up to {floor} {unit(found)}"
    yield f"task: {{kind: language-model, unit: {'stream' if is_stream else 'sentences'}, floor: {floor}}}"


def _data(found: Look, folder: Path) -> Iterator[str]:
    yield "  # paths start from the folder of this file"
    for split, files in found.splits.items():
        yield f"  {split}: {format_value(seen_from(str(files.files[0]), folder))}"
    reading = found.reading
    yield f"  format: {reading.format}"
    for option in ("columns", "separator", "record_start"):
        if (value := getattr(reading, option)) is not None:
            yield f"  {option}: {format_value(value)}"
    if found.task == "language-model" and reading.format == "lines" and is_running(found):
        yield "  blank_lines: keep  # they belong to a running text"
    if "dev" not in found.splits and found.task != "word-vectors":
        share = dev_share(found.train.examples)
        yield f"  dev_share: {share}  # no dev file: this share of train is kept aside, always the same examples"
    if found.task == "classification" and (longest := found.train.percentiles["max"]) > 500:
        yield f"  max_length: {2 * longest}  # tokens; the longest text has {longest:,} words"


def _tagging(found: Look) -> Iterator[str]:
    seen = found.train
    embedding, hidden = (50, 64) if seen.words < FEW_TOKENS else (100, 128) if seen.words < MANY_TOKENS else (100, 200)
    yield from ("source:", "  kind: text", "  tokenizer: {kind: words}", "  vocabulary: {lowercase: true}")
    if found.scheme:
        yield f"target: {{kind: tags, scheme: {found.scheme}, model_scheme: bioes}}  # {found.scheme}: recognised"
    else:
        yield "target: {kind: tags}  # each tag stands for itself: the score is accuracy"
    yield from (
        "model:",
        "  embedder:",
        "    kind: tokens",
        f"    dim: {embedding}",
        "    # how words are spelled: what helps most where many are new",
        "    characters: {kind: cnn, dim: 30, filters: 30}",
        "    affixes: {prefixes: [1, 2, 3, 4], suffixes: [1, 2, 3, 4], shape: true, dim: 25}",
        "    dropout: 0.5",
        "    word_dropout: 0.5",
        f"  encoder: {{kind: lstm, dim: {hidden}, dropout: 0.5}}",
        f"  head: {{kind: {'crf' if found.scheme else 'softmax'}}}",
        "training:  # batches and epochs are fitted to the size of the data, and that is said",
        f"  optimizer: {{kind: adamw, lr: {'4e-3' if seen.words < FEW_TOKENS else '2e-3'}}}",
        *_length(seen.words, 40),
        f"  select_by: {'f1' if found.scheme else 'accuracy'}",
    )


def _length(tokens: int, most: int) -> Iterator[str]:
    """Epochs for about as many tokens in all, whatever the size of the data: two minutes on two cores."""
    yield f"  epochs: {max(4, min(most, 1_600_000 // max(tokens, 1)))}"
    yield "  patience: 5"


def _classification(found: Look) -> Iterator[str]:
    seen = found.train
    letters = is_spelling(found)
    yield "source:"
    yield "  kind: text"
    yield f"  tokenizer: {{kind: {'characters' if letters else 'words'}}}"
    if not letters:
        yield "  vocabulary: {lowercase: true}"
    several = seen.several
    if several:
        yield "target: {kind: labels, separator: ' '}  # an example may have several labels"
    elif _grades(found):
        yield "target: {kind: labels, ordinal: true}  # the labels are grades on a scale"
    if not several and max(seen.labels.values()) > 4 * min(seen.labels.values()):
        yield "# some labels are rare; task: {kind: classification, class_weights: balanced} makes all count the same"
    is_long = seen.percentiles["p50"] > LONG_TEXTS
    if several or letters or seen.examples < FEW_TEXTS or is_long:
        why = "long texts" if is_long and seen.examples >= FEW_TEXTS else f"{seen.examples:,} texts"
        if several:
            yield from _cnn(seen.words, "sigmoid")
            return
        yield "model:"
        yield f"  # which words and pairs of words occur: for {why} about as good as a network, and there in a second"
        yield "  kind: bag-of-words"
        yield f"  ngrams: {4 if letters else 2}"
        if seen.examples < FEW_EXAMPLES and not letters:
            yield from ("  weighting: tfidf", "  normalize: true", "  regularization: 0.1")
        else:
            yield "  naive_bayes: true"
        return
    yield from _cnn(seen.words, "softmax")


def _cnn(words: int, head: str) -> Iterator[str]:
    yield from (
        "model:",
        "  embedder: {kind: tokens, dim: 100, affixes: {dim: 25}, dropout: 0.4, word_dropout: 0.5}",
        "  encoder: {kind: cnn, filters: 100}",
        "  pooling: {kind: max, dropout: 0.5}",
        f"  head: {{kind: {head}}}",
        "training:  # batches and epochs are fitted to the size of the data, and that is said",
        "  optimizer: {kind: adamw, lr: 2e-3}",
        "  batch: {tokens: 512}",
        *_length(words, 12),
    )


def _language(found: Look) -> Iterator[str]:
    seen = found.train
    words = unit(found) == "words"
    yield "source:"
    yield "  kind: text"
    yield f"  tokenizer: {{kind: {'words' if words else 'characters'}}}"
    if words:
        yield "  vocabulary: {max_size: 10000, min_count: 2}"
    if is_counted(found):
        yield "model:"
        yield f"  # counts: for {seen.characters:,} characters better than a network"
        yield f"  kind: ngram\n  order: {3 if words else 6}"
        return
    large = seen.characters > 500_000
    budget = 12_000_000 if large else 1_600_000  # characters read in all: ten minutes, or one
    yield from (
        "model:",
        f"  embedder: {{kind: tokens, dim: {320 if words else 32}{', dropout: 0.2' if words else ''}}}",
        f"  encoder: {{kind: lstm, dim: {320 if large else 192}, bidirectional: false, forget_bias: 0, "
        f"dropout: {0.2 if large else 0.4}}}",
        f"  head: {{kind: softmax{', tied: true' if words else ''}}}",
        "training:  # batches and epochs are fitted to the size of the data, and that is said",
        "  optimizer: {kind: adamw, lr: 4e-3}",
        "  schedule: {kind: cosine, warmup: 50, floor: 0.01}",
        f"  batch: {{tokens: {1024 if large else 512}}}",
        f"  epochs: {max(2, min(20, budget // seen.characters))}",
        "  patience: 5",
        "  select_by: loss",
    )


def _vectors(found: Look) -> Iterator[str]:
    yield from (
        "source:",
        "  kind: text",
        "  tokenizer: {kind: words}",
        f"  vocabulary: {{min_count: {5 if found.train.words > MANY_WORDS else 2}, lowercase: true}}",
        "model: {kind: cbow, dim: 100}",
        "training: {epochs: 30}",
    )


def _translation(found: Look) -> Iterator[str]:
    seen = found.train
    target_words = sum(label.count(" ") + 1 for label in seen.labels) / max(1, len(seen.labels))
    if is_spelling(found):
        kind = "characters" if target_words < 2 else "whitespace"
        yield "source: {kind: text, tokenizer: {kind: characters}}"
        yield f"target: {{kind: text, tokenizer: {{kind: {kind}}}}}"
    else:
        size = max(300, min(8000, seen.words // 20 // 100 * 100))
        yield f"source: {{kind: text, tokenizer: {{kind: sentencepiece, size: {size}}}}}  # subwords, of both sides"
        yield "target: {kind: text, share: source}"
    tokens = seen.characters if is_spelling(found) else seen.words * 3 // 2
    sizes = "dim: 128, heads: 4, layers: 3, feedforward: 512"
    dropout = 0.3 if tokens < 300_000 else 0.15
    yield from (
        "model:",
        "  kind: encoder-decoder",
        "  embedder: {kind: tokens, dim: 128}",
        f"  encoder: {{kind: transformer, {sizes}, activation: relu, dropout: {dropout}}}",
        f"  decoder: {{kind: transformer, {sizes}, dropout: {dropout}}}",
        "  head: {kind: softmax, label_smoothing: 0.1}",
        *([] if is_spelling(found) else ["  tied: all"]),
        "training:  # batches and epochs are fitted to the size of the data, and that is said",
        "  optimizer: {kind: adamw, lr: 2e-3}",
        "  schedule: {kind: cosine, warmup: 200}",
        f"  epochs: {max(5, min(60, 4_000_000 // max(tokens, 1)))}",
        "  average: 3",
        f"  select_by: {'exact' if is_spelling(found) else 'bleu'}",
    )


_SECTIONS: Mapping[str, Callable[[Look], Iterator[str]]] = {
    "tagging": _tagging,
    "classification": _classification,
    "translation": _translation,
    "language-model": _language,
    "word-vectors": _vectors,
}


def is_counted(found: Look) -> bool:
    """Whether a text is so short that counts are the better model."""
    return found.train.characters < FEW_CHARACTERS


def is_running(found: Look) -> bool:
    """Whether lines are one text, not a list of names or words."""
    return found.train.percentiles["p50"] > 3 or found.train.starts[""] > 0


def unit(found: Look) -> str:
    """What a language model predicts: words where there are enough of them to have been met."""
    return "words" if found.train.words >= MANY_WORDS and found.train.percentiles["p50"] > 3 else "characters"


def is_spelling(found: Look) -> bool:
    """Whether the texts are names or words, told apart by how they are spelled; or written without spaces."""
    seen = found.train
    return seen.percentiles["p90"] <= 2 or seen.characters > 15 * max(seen.words, 1)


def _grades(found: Look) -> bool:
    labels = found.train.labels
    column = str((found.reading.columns or {}).get("label", "")).lower()
    return len(labels) > 2 and all(label.isdecimal() for label in labels) and any(word in column for word in _GRADES)


def remarks(found: Look) -> Iterator[str]:
    """What the recipe decides for lack of files."""
    if found.task == "word-vectors":
        return
    if "dev" not in found.splits:
        share = dev_share(found.train.examples)
        yield f"no dev file: {share:.0%} of the training examples are kept for it (data.dev_share)"
    if "test" not in found.splits:
        yield ONLY_DEV
