"""Classification: seconds to fit the bag of words, lines a second through it, each beside scikit-learn. Prints a table.

    python benchmarks/classification.py [--lines 1000000] [--reference]

Needs the sentences of SST: SEQCLI_MIRROR names a folder with sentence-classification/stsa.binary.train.txt.
"""

from __future__ import annotations

import argparse
import os
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from seqcli.lines import read_lines
from seqcli.models.counts.bag_of_words import BagOfWords
from seqcli.models.counts.base import Labelled, Sizes
from seqcli.recipe.models import BagOfWordsConfig
from seqcli.text.fast_ids import FastIds
from seqcli.text.tokenizers import build_tokenizer
from seqcli.text.vocabulary import Vocabulary

SENTENCES = "sentence-classification/stsa.binary.train.txt"
TRAINING = 60_000
BLOCK = 8192


def sentences() -> tuple[list[str], np.ndarray] | None:
    """SST's training sentences and their labels, where there is a mirror."""
    path = Path(os.environ.get("SEQCLI_MIRROR", "")) / SENTENCES
    if not path.is_file():
        return None
    lines = [text for _, text in read_lines(path) if text]
    return [line[2:] for line in lines], np.array([int(line[0]) for line in lines])


def crossed(lines: list[str], labels: np.ndarray, count: int) -> tuple[list[str], np.ndarray]:
    """New sentences: the first half of one and the second half of another one of the same label."""
    numbers = np.random.default_rng(1)
    words = [line.split() for line in lines]
    of_label = [np.flatnonzero(labels == label) for label in (0, 1)]
    made, drawn = [], numbers.integers(0, 2, count)
    for label in drawn:
        left, right = (words[at] for at in numbers.choice(of_label[label], 2))
        made.append(" ".join(left[: len(left) // 2] + right[len(right) // 2 :]))
    return made, drawn


def fitting(lines: list[str], labels: np.ndarray, runs: int, reference: bool) -> None:
    vocabulary = Vocabulary.build(Counter(word for line in lines for word in line.split()))
    began = time.perf_counter()
    ids, offsets = FastIds(build_tokenizer("whitespace"), vocabulary.encode).ids_of(lines)
    print(f"{len(lines):,} sentences, {len(ids):,} words: ids in {time.perf_counter() - began:.2f} s", flush=True)
    for weighting, naive_bayes in (("binary", False), ("binary", True), ("tfidf", False)):
        config = BagOfWordsConfig(weighting=weighting, naive_bayes=naive_bayes)
        seconds = []
        for _ in range(runs):
            began = time.perf_counter()
            BagOfWords.fit(config, Labelled(ids, offsets, labels), Sizes(words=len(vocabulary), classes=2))
            seconds.append(time.perf_counter() - began)
        print(
            f"bag of 1-2-grams, {weighting}{', naive Bayes' if naive_bayes else ''}: "
            f"fit in {min(seconds):.2f} s (best of {runs})",
            flush=True,
        )
    if reference:
        from sklearn.feature_extraction.text import CountVectorizer
        from sklearn.linear_model import LogisticRegression
        from sklearn.preprocessing import normalize

        began = time.perf_counter()
        features = CountVectorizer(token_pattern=r"\S+", ngram_range=(1, 2), binary=True).fit_transform(lines)
        counted = time.perf_counter() - began
        LogisticRegression().fit(normalize(features.astype(float)), labels)
        print(
            f"scikit-learn: CountVectorizer {counted:.2f} s, LogisticRegression "
            f"{time.perf_counter() - began - counted:.2f} s",
            flush=True,
        )


def predicting(lines: list[str], labels: np.ndarray, count: int, kind: str) -> None:
    tokenizer = build_tokenizer(kind)
    vocabulary = Vocabulary.build(Counter(word for line in lines for word in tokenizer.tokenize(line)))
    reader = FastIds(tokenizer, vocabulary.encode)
    sizes = Sizes(words=len(vocabulary), classes=2)
    model = BagOfWords.fit(BagOfWordsConfig(), Labelled(*reader.ids_of(lines), labels), sizes)
    many = (lines * (count // len(lines) + 1))[:count]
    reader = FastIds(tokenizer, vocabulary.encode)
    began, reading = time.perf_counter(), 0.0
    for at in range(0, count, BLOCK):
        before = time.perf_counter()
        encoded = reader.ids_of(many[at : at + BLOCK])
        reading += time.perf_counter() - before
        model.log_probs(*encoded)
    whole = time.perf_counter() - began
    reader = FastIds(tokenizer, vocabulary.encode)
    began = time.perf_counter()
    with ThreadPoolExecutor(1) as pool:  # numpy lets go of the interpreter, so both cores have work
        running = [pool.submit(model.log_probs, *reader.ids_of(many[at : at + BLOCK])) for at in range(0, count, BLOCK)]
        for done in running:
            done.result()
    both = time.perf_counter() - began
    print(
        f"{kind}: ids {count / reading:,.0f} lines/s, log_probs {count / (whole - reading):,.0f}, one after the "
        f"other {count / whole:,.0f}, in two threads {count / both:,.0f}",
        flush=True,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--lines", type=int, default=1_000_000, help="lines to classify")
    parser.add_argument("--runs", type=int, default=3, help="fits of each kind")
    parser.add_argument("--reference", action="store_true", help="time scikit-learn too")
    parser.add_argument("--only", choices=("fit", "predict"))
    options = parser.parse_args()
    found = sentences()
    if found is None:
        print(f"skipped: SEQCLI_MIRROR names no folder with {SENTENCES}")
        return
    if options.only in (None, "fit"):
        fitting(*crossed(*found, TRAINING), options.runs, options.reference)
    if options.only in (None, "predict"):
        for kind in ("whitespace", "words"):
            predicting(*found, options.lines, kind)


if __name__ == "__main__":
    main()
