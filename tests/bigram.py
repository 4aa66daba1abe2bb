"""A language model small enough to check by hand: a table of bigrams."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from seqcli.pipeline.language import LanguageModel
from seqcli.text.tokenizers import build_tokenizer
from seqcli.text.vocabulary import Vocabulary


class Bigrams:
    """ln p(token | the one before it) as a table; the state is the last token; it keeps how many rows each read had."""

    def __init__(self, table_VV: Any, eos: int) -> None:
        with np.errstate(divide="ignore"):
            self.log_probs_VV = np.log(np.asarray(table_VV, dtype=np.float64)).astype(np.float32)
        self.eos = eos
        self.read_sizes: list[int] = []

    def start(self, count: int) -> tuple[Any, Any]:
        last_B = np.full(count, self.eos)
        return self.log_probs_VV[last_B], last_B

    def read(self, ids_BT: Any, state: Any) -> tuple[Any, Any]:
        assert ids_BT.shape[0] == len(state)
        assert ids_BT.shape[1] >= 1
        self.read_sizes.append(len(state))
        return self.log_probs_VV[ids_BT[:, -1]], ids_BT[:, -1].copy()

    def select(self, state: Any, rows: Any) -> Any:
        return state[rows]

    def attention(self, state: Any) -> None:
        return None

    def score(self, sequences: Sequence[Any]) -> list[Any]:
        return [
            self.log_probs_VV[np.concatenate([[self.eos], ids[:-1]]).astype(int), ids].astype(np.float64)
            for ids in sequences
        ]


def model_of(
    tokens: Sequence[str], table: Any = None, *, unit: str = "sentences", kind: str = "whitespace", joiner: bool = False
) -> LanguageModel:
    """A model over <UNK>, <EOS> and these tokens; without a table each row is drawn from a fixed seed."""
    specials = ("<UNK>", "<EOS>")
    vocabulary = Vocabulary([*specials, *tokens], [0] * (2 + len(tokens)), specials)
    if table is None:
        table = np.random.default_rng(5).dirichlet(np.full(len(vocabulary), 0.7), len(vocabulary))
    return LanguageModel("toy@1", Bigrams(table, eos=1), vocabulary, build_tokenizer(kind, joiner=joiner), unit, 1, 0)


CAT = model_of(
    ["the", "cat", "sat"],
    [
        # <UNK> <EOS> the cat sat          after
        [0.20, 0.20, 0.20, 0.20, 0.20],  # <UNK>
        [0.10, 0.10, 0.50, 0.20, 0.10],  # <EOS>, the start
        [0.25, 0.00, 0.00, 0.50, 0.25],  # the
        [0.10, 0.25, 0.05, 0.10, 0.50],  # cat
        [0.05, 0.80, 0.05, 0.05, 0.05],  # sat
    ],
)
