"""Samples as text: what is shown early is never taken back."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from bigram import CAT, model_of
from hypothesis import given, settings
from hypothesis import strategies as st

from seqcli.decode.sampling import Drawn, SamplingOptions
from seqcli.pipeline.language import LanguageModel
from seqcli.pipeline.sample import Sample, grow, unknown_tokens
from seqcli.text.tokenizers import BYTE_TOKENS

ODD = ["3", "4", "–", '"', "'", "n't", ",", "(", "boys", "$", "%", "a", "/", "''", "\ufffd"]
MODELS = {
    "whitespace": model_of(["a", "–", "3", "\ufffd", "ab"]),
    "words": model_of(ODD, kind="words"),
    "joiner": model_of(["a￭", "￭b", "￭", "c", "￭▁▁￭", "￭％000", "9￭", "％"], kind="words", joiner=True),
    "characters": model_of(["a", "▁", "％ff05", "％", "0", "f", "–", "％000a", "́", "▁a"], kind="characters"),
    "bytes": model_of(
        [BYTE_TOKENS[value] for value in (0x41, 0x20, 0xC3, 0xA9, 0xF0, 0x9F, 0x87, 0xAE, 0xFF)], kind="bytes"
    ),
}
STREAMS = {
    name: model_of(model.vocabulary.tokens[2:], unit="stream", kind=model.tokenizer.kind, joiner=name == "joiner")
    for name, model in MODELS.items()
}
EVERY = [(name, unit) for name in MODELS for unit in ("sentences", "stream")]


def pick(name: str, unit: str) -> LanguageModel:
    return (MODELS if unit == "sentences" else STREAMS)[name]


@pytest.mark.parametrize(("name", "unit"), EVERY)
@settings(deadline=None, max_examples=200)  # the first use of a tokenizer loads it
@given(data=st.data())
def test_what_is_settled_is_a_prefix_of_all_that_follows(name: str, unit: str, data: st.DataObject) -> None:
    model = pick(name, unit)
    ids = data.draw(st.lists(st.integers(2 if unit == "sentences" else 1, len(model.vocabulary) - 1), max_size=12))
    split = data.draw(st.integers(0, len(ids)))
    prompt = model.decode(ids[:split])
    stop = data.draw(st.one_of(st.none(), st.sampled_from([" a", "A A", "––", "\n", "3 ", "é"])))
    one = Sample(model, 0, prompt, stop)
    shown = [one.settled]
    for number in ids[split:]:
        one.add(Drawn(0, number, -1.0))
        shown.append(one.settled)
        if one.finished:
            break
    one.done = True
    shown.append(one.text)
    assert one.settled == one.text
    for early, late in pairwise(shown):
        assert late.startswith(early)
    if stop is None and model.encode(prompt) == ids[:split] and (model.tokenizer.reversible or name != "words"):
        assert one.text == model.decode(ids)
    if stop is not None:
        assert stop not in one.text[len(prompt) :]


@pytest.mark.parametrize(("name", "unit"), EVERY)
def test_most_text_is_shown_at_once(name: str, unit: str) -> None:
    """Only the very end may be held back, not more than the next token can change."""
    model = pick(name, unit)
    for one in grow(model, options=SamplingOptions(), max_tokens=40, seed=3):
        assert len(one.text) - len(one.settled) <= 5 * sum(
            one.text.endswith(end) for end in "–\ufffd％0f9"
        ) + 6 * one.text.endswith("\ufffd\ufffd")


def sentence(model: LanguageModel, prompt: str, tokens: str, *, as_tokens: bool = False) -> str:
    one = Sample(model, 0, prompt, tokens=as_tokens)
    for token in tokens.split():
        one.add(Drawn(0, model.vocabulary.id_of(token), -1.0))
    return one.text


@pytest.mark.parametrize(
    ("prompt", "tokens", "text"),
    [
        ("", "the cat", "the cat"),
        ("the", "cat sat", "the cat sat"),
        ("the  fat ", "cat <EOS>", "the  fat cat"),  # as typed, though <UNK> to the model; one space before the word
        ("a b c", "the", "a b c the"),
    ],
)
def test_the_prompt_is_shown_as_it_was_typed(prompt: str, tokens: str, text: str) -> None:
    assert sentence(CAT, prompt, tokens) == text


def test_prompts_of_other_tokenizers() -> None:
    words = MODELS["words"]
    assert sentence(words, "3 –", "4") == "3–4"
    assert sentence(words, "3 –", "a") == "3 – a"
    assert sentence(words, "zzz", ", a") == "zzz, a"
    assert sentence(words, "(zzz) a", ", a", as_tokens=True) == "( zzz ) a , a"
    assert sentence(MODELS["characters"], "zé ", "a ▁ a") == "zé a a"
    assert sentence(MODELS["bytes"], "é", "<0xC3> <0xA9> <0xC3>") == "éé\ufffd"
    stream = STREAMS["characters"]
    assert sentence(stream, "a\n", "a <EOS> <EOS> ▁ a") == "a\na\n\n a"
    assert sentence(stream, "aa\na", "a <EOS> <EOS> ▁ a", as_tokens=True) == "a a\na a\n\n▁ a"
    assert sentence(stream, "", "<EOS> a", as_tokens=True) == "\na"


def test_stop_cuts_before_it_and_the_prompt_does_not_count() -> None:
    model = MODELS["characters"]
    one = Sample(model, 0, "a0", "a0")
    assert one.settled == "a0"
    seen = []
    for token in ("f", "a", "a", "0"):
        one.add(Drawn(0, model.vocabulary.id_of(token), -1.0))
        seen.append((one.settled, one.finished))
    assert seen == [("a0f", False), ("a0f", False), ("a0fa", False), ("a0fa", True)]


def test_one_of_five_is_the_one_alone() -> None:
    def texts(count: int) -> list[str]:
        last = {}
        for one in grow(STREAMS["characters"], "a", count=count, options=SamplingOptions(), max_tokens=20, seed=4):
            last[one.number] = one
        assert all(one.done and len(one.ids) == 20 and not one.finished for one in last.values())
        return [last[number].text for number in range(count)]

    assert texts(5)[:3] == texts(3)
    assert texts(5)[:1] == texts(1)


def test_a_sample_has_no_unknown_token_and_ends_in_eos() -> None:
    table = np.array([[0.9, 0.05, 0.05]] * 3)
    last = {one.number: one for one in grow(model_of(["a"], table), count=50, options=SamplingOptions(), max_tokens=30)}
    assert all(one.finished and one.ids[-1] == 1 and 0 not in one.ids for one in last.values())


def test_unknown_tokens_of_a_prompt() -> None:
    assert unknown_tokens(CAT, "the dog sat on the dog <EOS>") == ["dog", "on", "<EOS>"]
    assert unknown_tokens(CAT, "") == []
    assert unknown_tokens(STREAMS["characters"], "a\nb\na") == ["b"]
