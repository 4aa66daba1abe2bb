"""Vectors of words made from their characters.

Shapes: U words, C characters (0 is padding, after the word), E character vector, F filters.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from seqcli.models.dropout import SequenceDropout
from seqcli.models.layers import Speller, only
from seqcli.models.masks import reverse_sequences
from seqcli.recipe.embedders import CharacterCNNConfig, CharacterLSTMConfig


class CharacterCNN(Speller):
    """Convolution over the characters, maximum over the positions (Ma and Hovy 2016).

    A convolution over looked-up vectors is a sum of looked-up rows: the filter's column for offset k, applied to every
    character once, is a table. So the tables are made first (characters x filters) and rows of them are summed, which
    costs no multiplication per word.
    """

    def __init__(self, config: CharacterCNNConfig, characters: int) -> None:
        super().__init__()
        self.widths = list(config.widths)
        self.dropout = SequenceDropout(config.dropout, locked=False)
        self.embedding = nn.Embedding(characters, config.dim, padding_idx=0)
        bound = (3.0 / config.dim) ** 0.5
        nn.init.uniform_(self.embedding.weight, -bound, bound)
        with torch.no_grad():
            self.embedding.weight[0].zero_()
        self.filters = nn.ModuleList(nn.Linear(config.dim * width, config.filters) for width in self.widths)
        self.output_dim = config.filters * len(self.widths)

    def forward(self, characters_UC: Tensor) -> Tensor:
        embedding = self.dropout(self.embedding.weight)
        real_UC = characters_UC != 0
        parts = [
            self._convolve(characters_UC, real_UC, embedding, width, filters)
            for width, filters in zip(self.widths, only(nn.Linear, self.filters), strict=True)
        ]
        return torch.cat(parts, dim=-1) if len(parts) > 1 else parts[0]

    def _convolve(
        self, characters_UC: Tensor, real_UC: Tensor, embedding: Tensor, width: int, filters: nn.Linear
    ) -> Tensor:
        words, length = characters_UC.shape
        vocabulary, dim = embedding.shape
        # table[k * vocabulary + c] = what character c adds at offset k of the filter
        table = torch.einsum("ve,fke->kvf", embedding, filters.weight.view(-1, width, dim)).flatten(0, 1)
        padded = nn.functional.pad(characters_UC, ((width - 1) // 2, width // 2))
        windows_UCW = padded.unfold(1, width, 1) + torch.arange(width, device=padded.device) * vocabulary
        scores = nn.functional.embedding_bag(windows_UCW.reshape(words * length, width), table, mode="sum")
        scores_UCF = scores.view(words, length, -1).masked_fill(~real_UC.unsqueeze(-1), float("-inf"))
        best_UF = scores_UCF.amax(dim=1) + filters.bias
        return best_UF.masked_fill(~real_UC[:, :1], 0.0)


class CharacterLSTM(Speller):
    """Last state of a forward and of a backward LSTM over the characters (Lample et al. 2016)."""

    def __init__(self, config: CharacterLSTMConfig, characters: int) -> None:
        super().__init__()
        self.embedding = nn.Embedding(characters, config.dim, padding_idx=0)
        self.dropout = SequenceDropout(config.dropout, locked=False)
        self.forward_lstm = nn.LSTM(config.dim, config.hidden, batch_first=True)
        self.backward_lstm = nn.LSTM(config.dim, config.hidden, batch_first=True)
        self.output_dim = 2 * config.hidden

    def forward(self, characters_UC: Tensor) -> Tensor:
        lengths_U = (characters_UC != 0).sum(1)
        x_UCE = self.dropout(self.embedding(characters_UC))
        last_U = (lengths_U - 1).clamp(min=0)
        rows_U = torch.arange(len(last_U), device=last_U.device)
        ahead = self.forward_lstm(x_UCE)[0][rows_U, last_U]
        back = self.backward_lstm(reverse_sequences(x_UCE, lengths_U))[0][rows_U, last_U]
        return torch.cat([ahead, back], dim=-1).masked_fill((lengths_U == 0).unsqueeze(1), 0.0)
