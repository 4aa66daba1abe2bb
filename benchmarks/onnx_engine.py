"""ONNX Runtime against torch on one thread: a tagger, and language models that sample and score.

    OMP_NUM_THREADS=1 python benchmarks/onnx_engine.py

Networks are untrained; the two take turns, and the best of several runs counts.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np
import torch

from seqcli.data.batch import InputSizes, LabelSpace, Side
from seqcli.decode.sampling import SamplingOptions, sample
from seqcli.engines.onnx_engine import OnnxEngine
from seqcli.engines.onnx_export import export
from seqcli.engines.onnx_write import quantize
from seqcli.engines.torch_engine import TorchEngine
from seqcli.models.labeller import Labeller
from seqcli.models.language import LanguageModel
from seqcli.recipe.embedders import CharacterCNNConfig, TokensConfig
from seqcli.recipe.encoders import GRUConfig, LSTMConfig, TransformerConfig
from seqcli.recipe.heads import CRFConfig, SoftmaxConfig
from seqcli.recipe.models import NetworkConfig

RANDOM = np.random.default_rng(0)


def compare(title: str, units: int, runs: list[Callable[[], object]], times: int) -> None:
    """``runs``: torch, float32, int8; ``units``: tokens each works on."""
    best = [float("inf")] * len(runs)
    for _ in range(times):
        for number, run in enumerate(runs):
            before = time.perf_counter()
            run()
            best[number] = min(best[number], time.perf_counter() - before)
    rates = "  ".join(f"{units / seconds:9,.0f}" for seconds in best)
    print(f"{title:44}{rates}   x{best[0] / best[1]:.2f}  x{best[0] / best[2]:.2f}", flush=True)


def tagger() -> None:
    """Words 100, characters 30, BiLSTM 2 x 200, 17 labels: embedder to emissions."""
    config = NetworkConfig(
        embedder=TokensConfig(dim=100, characters=CharacterCNNConfig()), encoder=LSTMConfig(dim=200), head=CRFConfig()
    )
    network = Labeller(config, InputSizes(words=20000, characters=100), LabelSpace(17)).eval()
    model = export(network)
    engines = [TorchEngine(network), *(OnnxEngine(one.SerializeToString()) for one in (model, quantize(model)))]
    length = 20
    for batch, types in ((200, 1200), (50, 450), (1, 18)):
        characters = RANDOM.integers(1, 100, (types, 12))
        characters[np.arange(12) >= RANDOM.integers(2, 13, (types, 1))] = 0
        words = RANDOM.integers(1, 20000, types)
        characters[0] = words[0] = 0
        arrays = {"words_U": words, "characters_UC": characters}
        arrays["index_BT"] = RANDOM.integers(1, types, (batch, length))
        lengths = np.sort(RANDOM.integers(18, 21, batch))
        lengths[-1] = length
        side = Side(arrays, lengths)
        runs = [lambda engine=engine, side=side: engine.outputs(side) for engine in engines]
        compare(f"tagger, {batch} x {length}, {types} types", batch * length, runs, 30)


def language_model(title, encoder, vocabulary: int, context: int | None = None) -> None:
    """Sample one sequence of 100 tokens; score 400 sentences of 15 to 25 tokens."""
    config = NetworkConfig(embedder=TokensConfig(dim=encoder.dim), encoder=encoder, head=SoftmaxConfig())
    network = LanguageModel(config, InputSizes(words=vocabulary, word_counts=(5,) * vocabulary, padded=False)).eval()
    model = export(network)
    engines = [TorchEngine(network, 1, context)]
    engines += [OnnxEngine(one.SerializeToString(), 1, context) for one in (model, quantize(model))]
    steppers = [engine.stepper() for engine in engines]
    options = SamplingOptions(temperature=0.8, top_k=50)
    draws = [lambda stepper=stepper: list(sample(stepper, [], 1, options, max_tokens=100)) for stepper in steppers]
    compare(f"{title}: sample", 100, draws, 7)
    sentences = [RANDOM.integers(0, vocabulary, length) for length in RANDOM.integers(15, 26, 400)]
    scores = [lambda stepper=stepper: stepper.score(sentences) for stepper in steppers]
    compare(f"{title}: score", sum(map(len, sentences)), scores, 4)


if __name__ == "__main__":
    torch.set_num_threads(1)
    torch.manual_seed(0)
    print(f"{'tokens/s':44}{'torch':>9}  {'float32':>9}  {'int8':>9}")
    tagger()
    language_model("LSTM 2 x 512, 10,000 words", LSTMConfig(dim=512, layers=2, bidirectional=False), 10_000)
    language_model("LSTM 512, 80 characters", LSTMConfig(dim=512, bidirectional=False), 80)
    language_model("GRU 2 x 512, 10,000 words", GRUConfig(dim=512, layers=2, bidirectional=False), 10_000)
    transformer = TransformerConfig(dim=256, layers=4, feedforward=1024)
    language_model("transformer 4 x 256, 10,000 words", transformer, 10_000, context=64)
