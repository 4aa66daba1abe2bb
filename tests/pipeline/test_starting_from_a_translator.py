"""``train --from`` a translator: what both vocabularies know is taken, of one table or of two."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from tiny_pairs import MODELS, PIECES, pair_recipe, pairs

from seqcli.errors import ExitCode, UserError
from seqcli.models.weights import load_weights
from seqcli.pipeline.events import Started
from seqcli.pipeline.train import train
from seqcli.store.runs import Run, Store
from seqcli.text.vocabulary import Vocabulary

STILL = ("training.optimizer.lr=1e-30", "training.max_steps=1")
"""A step that changes nothing."""
NEW = [("see red birds", "Vögel rot sehen"), ("two cats", "Katzen zwei")]
SHARED = ("target={kind: text, share: source}", "model.tied=all", "model.embedder.dim=16")


def trained(folder: Path, *overrides: str, origin: Run | None = None, **files: object) -> tuple[Run, list[Started]]:
    recipe = pair_recipe(folder, *MODELS["transformer"], "training.max_steps=2", *overrides, **files)
    store = Store(folder / "runs")
    events = list(train(recipe, store, device="cpu", origin=origin))
    return store.resolve(recipe.name), [event for event in events if isinstance(event, Started)]


def words(run: Run, prefix: str = "") -> list[str]:
    return list(Vocabulary.load(run.path / f"{prefix}vocabulary.txt").tokens)


def test_two_tables(tmp_path: Path, cache: object) -> None:
    old, _ = trained(tmp_path / "old")
    new, (started,) = trained(tmp_path / "new", *STILL, origin=old, train=NEW)
    assert started.unlike == []
    assert started.taken == started.tensors
    assert words(new) == [*words(old), "birds"]
    assert words(new, "target-") == [*words(old, "target-"), "Vögel"]
    tables = {name: (one.known, one.new, one.left_out) for name, one in started.tables.items()}
    assert tables == {"words": (len(words(old)), 1, 0), "target words": (len(words(old, "target-")), 1, 0)}
    before, after = load_weights(old.weights_path), load_weights(new.weights_path)
    for name, tensor in before.items():
        assert torch.equal(after[name][: len(tensor)], tensor), name
        grows = name in (
            "embedder.words.weight",
            "target_embedder.words.weight",
            "head.output.weight",
            "head.output.bias",
        )
        assert (len(after[name]) - len(tensor)) == grows, name
    assert torch.equal(after["head.output.weight"], after["target_embedder.words.weight"])


def test_one_table(tmp_path: Path, cache: object) -> None:
    old, _ = trained(tmp_path / "old", *SHARED)
    new, (started,) = trained(tmp_path / "new", *SHARED, *STILL, origin=old, train=NEW)
    assert words(new) == [*words(old), "Vögel", "birds"]
    assert [*started.tables] == ["words"]
    assert started.unlike == []
    before, after = load_weights(old.weights_path), load_weights(new.weights_path)
    for name, tensor in before.items():
        assert torch.equal(after[name][: len(tensor)], tensor), name
    assert torch.equal(after["head.output.weight"], after["embedder.words.weight"])


def test_pieces_are_those_of_the_model(tmp_path: Path, cache: object) -> None:
    """Also of text that would have given others."""
    old, _ = trained(tmp_path / "old", *PIECES)
    new, (started,) = trained(tmp_path / "new", *PIECES, *STILL, origin=old, train=pairs(9, seed=7))
    assert (new.path / "tokenizer.model").read_bytes() == (old.path / "tokenizer.model").read_bytes()
    assert (started.unlike, started.tables["words"].known) == ([], len(words(old)))


@pytest.mark.parametrize(("before", "after"), [((), SHARED), (SHARED, ())])
def test_tables_of_another_sharing_are_refused(
    tmp_path: Path, cache: object, before: tuple[str, ...], after: tuple[str, ...]
) -> None:
    old, _ = trained(tmp_path / "old", *before)
    with pytest.raises(UserError, match=r"^cannot start from tiny-mt@1: target\.share is .* in the model") as refused:
        trained(tmp_path / "new", *after, origin=old)
    assert refused.value.code == ExitCode.USAGE


def test_another_tokenizer_of_the_target_is_refused(tmp_path: Path, cache: object) -> None:
    old, _ = trained(tmp_path / "old")
    with pytest.raises(UserError, match=r"^cannot start from tiny-mt@1: target\.tokenizer is "):
        trained(tmp_path / "new", "target.tokenizer={kind: characters}", origin=old)
