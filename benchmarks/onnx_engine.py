"""ONNX Runtime against torch on one thread: a tagger, and language models that sample and score.

    OMP_NUM_THREADS=1 python benchmarks/onnx_engine.py

Networks are untrained; the two take turns, and the best of several runs counts.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from types import SimpleNamespace

import numpy as np
import torch
from seqcli.engines.language import NetworkEngine
from seqcli.models.sequence import SequenceModel

from seqcli.decode.sampling import SamplingOptions, sample
from seqcli.engines.onnx_engine import OnnxEngine, OnnxStepper
from seqcli.engines.onnx_export import export_labeller, export_language_model
from seqcli.engines.onnx_write import quantize
from seqcli.models.embedders import InputSizes
from seqcli.models.heads import LabelSpace
from seqcli.models.language import LanguageModel
from seqcli.recipe.embedders import CharacterCNNConfig, TokensConfig
from seqcli.recipe.encoders import GRUConfig, LSTMConfig, TransformerConfig
from seqcli.recipe.heads import CRFConfig, SoftmaxConfig
from seqcli.recipe.schema import ModelConfig

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
    config = ModelConfig(
        embedder=TokensConfig(dim=100, characters=CharacterCNNConfig()), encoder=LSTMConfig(dim=200), head=CRFConfig()
    )
    network = SequenceModel(config, InputSizes(words=20000, characters=100), LabelSpace(17)).eval()
    model = export_labeller(network.embedder, network.encoder, network.head)
    engines = [OnnxEngine(one.SerializeToString()) for one in (model, quantize(model))]
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
        inputs, lengths_B = {name: torch.from_numpy(one) for name, one in arrays.items()}, torch.from_numpy(lengths)

        @torch.inference_mode()
        def by_torch(inputs=inputs, lengths_B=lengths_B):
            return network.head.output(network(inputs, lengths_B)).numpy()

        runs = [lambda engine=engine, given=(arrays, lengths): engine.outputs(*given) for engine in engines]
        compare(f"tagger, {batch} x {length}, {types} types", batch * length, [by_torch, *runs], 30)


def language_model(title, encoder, vocabulary: int, context: int | None = None) -> None:
    """Sample one sequence of 100 tokens; score 400 sentences of 15 to 25 tokens."""
    config = ModelConfig(embedder=TokensConfig(dim=encoder.dim), encoder=encoder, head=SoftmaxConfig())
    network = LanguageModel(config, [5] * vocabulary).eval()
    task = SimpleNamespace(eos=1, context=context, vocabulary=range(vocabulary))
    model = export_language_model(network)
    steppers = [NetworkEngine(task, network, torch.device("cpu"))]
    steppers += [OnnxStepper(OnnxEngine(one.SerializeToString()), 1, context) for one in (model, quantize(model))]
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
