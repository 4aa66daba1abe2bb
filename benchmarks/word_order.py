"""How often a language model finds a held-out sentence more probable than its own words in another order.

python benchmarks/word_order.py lm-word --lines 1000
"""

from __future__ import annotations

import argparse
import random

import numpy as np

from seqcli.data.corpus import open_corpus
from seqcli.pipeline.language import load_language_model
from seqcli.recipe.load import load_recipe
from seqcli.store.runs import Store

SHORTEST = 4
"""Words; of two or three the order is often free."""


def pairs(sentences: list[list[str]], seed: int) -> list[tuple[list[str], list[str]]]:
    """Each sentence beside a shuffle of it that is another sentence; those that have none are left out."""
    chance = random.Random(seed)
    found = []
    for tokens in sentences:
        end = tokens[-1:] if tokens[-1] in ".!?" else []  # the full stop stays where it is: moving it is too easy
        words = tokens[: len(tokens) - len(end)]
        if len(words) < SHORTEST or len(set(words)) < 2:
            continue
        other = words
        while other == words:
            other = chance.sample(words, len(words))
        found.append((words + end, other + end))
    return found


def share_right(scores: list[float]) -> float:
    """Share of pairs (two scores each, the sentence first) in which the sentence is the more probable one."""
    right = [scores[at] > scores[at + 1] for at in range(0, len(scores), 2)]
    return sum(right) / len(right)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("--runs")
    parser.add_argument("--lines", type=int, default=1000)
    options = parser.parse_args()
    run = Store(options.runs).resolve(options.model, task_kinds=("language-model",))
    model = load_language_model(run)
    corpus = open_corpus(load_recipe(run.recipe_path).recipe.data, splits=("test",))
    sentences = [model.tokenizer.tokenize(example.source) for example in corpus.examples("test")]
    chosen = pairs([tokens for tokens in sentences if tokens], seed=1)[: options.lines]

    ids = [np.array([*model.vocabulary.encode(tokens), model.eos]) for pair in chosen for tokens in pair]
    scores = [float(log_probs.sum()) for log_probs in model.engine.score(ids)]
    print(f"{run}: {100 * share_right(scores):.1f}% of {len(chosen):,} sentences above their shuffled words")


if __name__ == "__main__":
    main()
