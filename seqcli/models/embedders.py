"""Embedders: a batch's inputs -> vectors x_BTD, zero on padding.

Shapes: B sequences, T positions, D values, U different tokens in the batch, C characters, A affix tables.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from seqcli.data.batch import InputSizes, affix_table
from seqcli.models.dropout import SequenceDropout, keep_mask, uniform_like
from seqcli.models.layers import Counted, Embedder, Inputs, Speller, Tables, build
from seqcli.recipe.embedders import OneHotConfig, TokensConfig


class TokenEmbedder(Embedder):
    """Word vectors, character vectors and affix vectors, side by side.

    Everything that depends on a token's spelling alone is computed once for each different token of the batch
    (row 0 is padding) and then spread over the positions. Of words alone the rows may come position by position.

    Inputs: ``index_BT`` (row of each position), ``words_U``, ``characters_UC``, ``affixes_UA``; or ``words_BT``.

    Args:
        tied: the word vectors are the output weights too: what the encoder reads has values of size 1, output weights
            must be small, so they are scaled on the way in (Vaswani et al. 2017, section 3.4).
    """

    unknown_chance: Tensor

    def __init__(self, config: TokensConfig, sizes: InputSizes, *, tied: bool = False) -> None:
        super().__init__()
        self.words = (
            nn.Embedding(sizes.words, config.dim, padding_idx=0 if sizes.padded else None) if config.dim else None
        )
        self.scale = config.dim**0.5 if tied else 1.0
        self.unknown = sizes.unknown
        self.begins_as = sizes.unknown if sizes.padded else None  # what predicts words must tell them apart
        if self.words is not None:
            nn.init.normal_(self.words.weight, std=config.dim**-0.5 if sizes.padded or tied else 1.0)
            with torch.no_grad():
                self.words.weight[: int(sizes.padded)].zero_()
                if sizes.vectors is not None:
                    self.words.weight[torch.as_tensor(sizes.vectors[0])] = torch.as_tensor(sizes.vectors[1])
            self.words.weight.requires_grad_(config.vectors is None or not config.vectors.freeze)
        self.characters: Speller | None = None
        if config.characters is not None:
            self.characters = build("characters", config.characters, sizes.characters)
        affix_dim = config.affixes.dim if config.affixes else 0
        tables = [nn.Embedding(rows, affix_dim) for rows in sizes.affixes]
        for table in tables:
            nn.init.normal_(table.weight, std=affix_dim**-0.5)
        self.affixes = nn.ModuleList(tables)
        self.dropout = SequenceDropout(config.dropout)
        self.output_dim = config.dim + affix_dim * len(sizes.affixes)
        if self.characters is not None:
            self.output_dim += self.characters.output_dim
        counts = torch.tensor(sizes.word_counts or [0] * sizes.words, dtype=torch.float32)
        chance = torch.where(counts > 0, config.word_dropout / counts.clamp(min=1), torch.zeros_like(counts))
        self.register_buffer("unknown_chance", chance, persistent=False)
        self.word_dropout, self.token_dropout = config.word_dropout, config.token_dropout

    def forward(self, inputs: Inputs, lengths_B: Tensor) -> Tensor:
        if "words_BT" in inputs:
            assert self.words is not None
            x_BTD = self.words(self._forget_rare(inputs["words_BT"]))
        else:
            types_UD, index_BT = self.embed_types(inputs), inputs["index_BT"]
            x_BTD = types_UD.index_select(0, index_BT.flatten()).view(*index_BT.shape, -1)
        if self.training and self.token_dropout:
            x_BTD = x_BTD * keep_mask([*x_BTD.shape[:2], 1], self.token_dropout, x_BTD)
        return self.dropout(x_BTD * self.scale if self.scale != 1 else x_BTD)

    def tables(self) -> Tables:
        names = {"words.weight": "words", "characters.embedding.weight": "characters"}
        names |= {f"affixes.{column}.weight": affix_table(column) for column in range(len(self.affixes))}
        return {name: Counted((table,), self.begins_as) for name, table in names.items()}

    def embed_types(self, inputs: Inputs) -> Tensor:
        """Vectors [U, output_dim] of the different tokens; row 0 is zero."""
        parts = []
        if self.words is not None:
            parts.append(self.words(self._forget_rare(inputs["words_U"])))
        if self.characters is not None:
            parts.append(self.characters(inputs["characters_UC"]))
        for column, table in enumerate(self.affixes):
            parts.append(table(inputs["affixes_UA"][:, column]))
        types_UD = torch.cat(parts, dim=-1) if len(parts) > 1 else parts[0]
        return types_UD * (inputs["words_U"] != 0).unsqueeze(1)

    def _forget_rare(self, words: Tensor) -> Tensor:
        """Rare words are read as <UNK> now and then in training."""
        if not self.training or self.word_dropout == 0:
            return words
        chance = self.unknown_chance[words]
        return torch.where(uniform_like(chance) < chance, self.unknown, words)


class OneHotEmbedder(Embedder):
    """The columns of the identity: a 1 at the row of the word, and no 1 at all for padding.

    Inputs: ``index_BT`` (row of each position), ``words_U``. What reads them has a column of weights for each word.
    """

    def __init__(self, config: OneHotConfig, sizes: InputSizes) -> None:
        super().__init__()
        self.output_dim = sizes.words - 1  # row 0 is padding

    def forward(self, inputs: Inputs, lengths_B: Tensor) -> Tensor:
        types_UD = nn.functional.one_hot(inputs["words_U"], self.output_dim + 1)[:, 1:].to(torch.get_default_dtype())
        index_BT = inputs["index_BT"]
        return types_UD.index_select(0, index_BT.flatten()).view(*index_BT.shape, -1)
