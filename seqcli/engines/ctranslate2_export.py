"""Transformer encoder-decoders as models of CTranslate2: the weights, laid out as its ``TransformerSpec`` wants them."""

from __future__ import annotations

import hashlib
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from ctranslate2.specs import TransformerSpec
from ctranslate2.specs.attention_spec import MultiHeadAttentionSpec
from ctranslate2.specs.common_spec import Activation, LayerNormSpec, LinearSpec
from ctranslate2.specs.transformer_spec import FeedForwardSpec, TransformerDecoderSpec, TransformerEncoderSpec
from numpy.typing import NDArray
from torch import Tensor, nn

from seqcli.engines.ctranslate2_engine import About, CTranslate2Model, names
from seqcli.models.decoders import DecoderBlock, TransformerDecoder
from seqcli.models.embedders import TokenEmbedder
from seqcli.models.encoder_decoder import EncoderDecoder
from seqcli.models.layers import only
from seqcli.models.network import Network
from seqcli.models.transformer import Block, TransformerEncoder, sinusoids
from seqcli.tasks.translation import TranslationTask


def ctranslate2_model(task: TranslationTask, network: Network, weights: str, *, int8: bool = False) -> CTranslate2Model:
    """The export of a task's network for the longest sources and targets that the task allows.

    Args:
        weights: SHA-256 of the file of the network's weights.

    Raises:
        NotImplementedError: see `export`.
    """
    longest = task.max_length
    positions = max(longest, task.longest(longest)) + 1
    sizes = task.source.sizes().words, task.target.sizes().words
    return export(network, weights, *sizes, eos=task.target.eos, unk=task.target.unk, positions=positions, int8=int8)


def export(
    network: Network, weights: str, source: int, target: int, *, eos: int, unk: int, positions: int, int8: bool = False
) -> CTranslate2Model:
    """The export of a network; see `About` for the arguments. With ``int8`` its weights have 8 bits, and a scale a row.

    Raises:
        NotImplementedError: CTranslate2 has no such layers, and which.
    """
    encoder, embedder, decoder = _parts(network)
    assert isinstance(network, EncoderDecoder)
    spec = TransformerSpec(_encoder(encoder), _decoder(decoder))
    # equal tables are stored once; one position more, as CTranslate2 scores an <EOS> after a target that was cut too
    places_TD = {dim: _array(sinusoids(positions + 1, dim)) for dim in {encoder.output_dim, decoder.output_dim}}

    assert embedder.words is not None
    vectors_VD = embedder.words.weight * embedder.scale
    spec.encoder.embeddings[0].weight = _array(encoder.project(vectors_VD))
    spec.encoder.scale_embeddings = False
    spec.encoder.position_encodings.encodings = places_TD[encoder.output_dim]

    assert network.target_embedder.scale == decoder.input_dim**0.5  # as CTranslate2 scales
    spec.decoder.embeddings.weight = _array(network.words.weight)
    spec.decoder.scale_embeddings = True
    spec.decoder.position_encodings.encodings = places_TD[decoder.output_dim]
    _linear(spec.decoder.projection, network.head.output)

    spec.register_source_vocabulary(names(source))
    spec.register_target_vocabulary(names(target))
    spec.validate()
    spec.optimize("int8" if int8 else None)
    with TemporaryDirectory() as folder:  # it writes files only
        spec.save(folder)
        model = (Path(folder) / "model.bin").read_bytes()
    precision, epsilon = "int8" if int8 else "fp32", _layer_norm_epsilon(encoder, decoder)
    summed = hashlib.sha256(model).hexdigest()
    about = About(weights, summed, precision, source, target, eos, unk, positions, epsilon)
    return CTranslate2Model(model, about)


def _layer_norm_epsilon(*parts: nn.Module) -> float:
    """What is added to the variance in all their normalisations."""
    (epsilon,) = {one.eps for part in parts for one in part.modules() if isinstance(one, nn.LayerNorm)}
    return epsilon


def _parts(network: Network) -> tuple[TransformerEncoder, TokenEmbedder, TransformerDecoder]:
    if not isinstance(network, EncoderDecoder):
        raise NotImplementedError("a network that is no encoder-decoder")
    encoder, embedder, decoder = network.encoder, network.embedder, network.decoder
    if not isinstance(embedder, TokenEmbedder) or embedder.words is None:
        raise NotImplementedError("a source that is not of tokens")
    for part, kind in ((encoder, TransformerEncoder), (decoder, TransformerDecoder)):
        if not isinstance(part, kind):
            raise NotImplementedError(f"a {type(part).__name__}")
    assert isinstance(encoder, TransformerEncoder)
    assert isinstance(decoder, TransformerDecoder)
    if encoder.kind != "sinusoidal":
        raise NotImplementedError(f"{encoder.kind} positions")
    return encoder, embedder, decoder


def _encoder(encoder: TransformerEncoder) -> TransformerEncoderSpec:
    blocks = list(only(Block, encoder.blocks))
    spec = TransformerEncoderSpec(len(blocks), blocks[0].heads, activation=_activation(blocks[0].feedforward))
    for layer, block in zip(spec.layer, blocks, strict=True):
        _attention(layer.self_attention, block.attention_norm, [block.queries_keys_values, block.attention_output])
        _feedforward(layer.ffn, block.feedforward_norm, block.feedforward)
    _norm(spec.layer_norm, encoder.norm)
    return spec


def _decoder(decoder: TransformerDecoder) -> TransformerDecoderSpec:
    blocks = list(only(DecoderBlock, decoder.blocks))
    heads = blocks[0].heads
    spec = TransformerDecoderSpec(
        len(blocks), heads, activation=_activation(blocks[0].feedforward), alignment_layer=-1, alignment_heads=heads
    )
    for layer, block in zip(spec.layer, blocks, strict=True):
        _attention(layer.self_attention, block.attention_norm, [block.queries_keys_values, block.attention_output])
        _attention(
            layer.attention, block.source_norm, [block.source_queries, block.source_keys_values, block.source_output]
        )
        _feedforward(layer.ffn, block.feedforward_norm, block.feedforward)
    _norm(spec.layer_norm, decoder.norm)
    return spec


def _activation(network: nn.Sequential) -> Activation:
    return Activation.RELU if isinstance(network[1], nn.ReLU) else Activation.GELU


def _attention(spec: MultiHeadAttentionSpec, norm: nn.LayerNorm, layers: list[nn.Linear]) -> None:
    _norm(spec.layer_norm, norm)
    for one, layer in zip(spec.linear, layers, strict=True):
        _linear(one, layer)


def _feedforward(spec: FeedForwardSpec, norm: nn.LayerNorm, network: nn.Sequential) -> None:
    _norm(spec.layer_norm, norm)
    first, last = only(nn.Linear, (network[0], network[2]))
    _linear(spec.linear_0, first)
    _linear(spec.linear_1, last)


def _norm(spec: LayerNormSpec, norm: nn.LayerNorm) -> None:
    spec.gamma, spec.beta = _array(norm.weight), _array(norm.bias)


def _linear(spec: LinearSpec, layer: nn.Linear) -> None:
    spec.weight = _array(layer.weight)
    if layer.bias is not None:
        spec.bias = _array(layer.bias)


def _array(tensor: Tensor) -> NDArray[np.float32]:
    return tensor.detach().float().cpu().numpy().copy()
