"""Masks of dropout that are cut out of one that lies ready."""

import pytest
import torch

from seqcli.models.dropout import SequenceDropout, chance, cut_mask

SHAPE = (40, 50, 60)
LIKE = torch.zeros(())


def cut(seed, shape=SHAPE, share=0.3, like=LIKE):
    with chance(torch.Generator().manual_seed(seed)):
        return cut_mask(shape, share, like)


@pytest.mark.parametrize("share", [0.1, 0.3, 0.9])
def test_the_share_is_dropped_and_the_rest_scaled(share):
    mask = cut(1, share=share)
    assert mask.shape == SHAPE
    assert float((mask == 0).double().mean()) == pytest.approx(share, abs=0.01)
    torch.testing.assert_close(mask[mask != 0].unique(), torch.tensor([1 / (1 - share)]))
    assert float(mask.double().mean()) == pytest.approx(1, abs=0.01 / (1 - share))


def test_every_part_of_it_has_its_share():
    """No row, column or depth is dropped as a whole, nor kept."""
    dropped = (cut(2) == 0).double()
    for dims in ((1, 2), (0, 2), (0, 1)):
        assert float((dropped.mean(dims) - 0.3).abs().max()) < 0.06


def test_a_generator_decides_the_place():
    assert torch.equal(cut(3), cut(3))
    masks = [cut(seed) for seed in range(5)]
    for number, one in enumerate(masks):
        for other in masks[:number]:
            assert float((one == other).double().mean()) == pytest.approx(0.3**2 + 0.7**2, abs=0.02)


def test_one_generator_gives_another_place_each_time():
    with chance(torch.Generator().manual_seed(4)):
        first, second = cut_mask(SHAPE, 0.3, LIKE), cut_mask(SHAPE, 0.3, LIKE)
    assert not torch.equal(first, second)


def test_without_a_generator_torch_seed_decides():
    found = []
    for seed in (5, 5, 6):
        torch.manual_seed(seed)
        found.append(cut_mask(SHAPE, 0.3, LIKE))
    assert torch.equal(found[0], found[1])
    assert not torch.equal(found[0], found[2])


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float64])
def test_it_has_the_type_of_the_values(dtype):
    mask = cut(7, like=torch.zeros((), dtype=dtype))
    assert mask.dtype == dtype
    assert len(mask.unique()) == 2


def test_a_mask_too_large_to_be_cut_is_drawn():
    mask = cut(8, shape=(2**21 + 1,))
    assert float((mask == 0).double().mean()) == pytest.approx(0.3, abs=0.01)
    assert torch.equal(mask, cut(8, shape=(2**21 + 1,)))


def test_dropout_by_it_leaves_the_pool_as_it_was():
    dropout = SequenceDropout(0.3, locked=False).train()
    before = cut(9).clone()
    values = torch.ones(SHAPE, requires_grad=True)
    with chance(torch.Generator().manual_seed(9)):
        dropped = dropout(values)
    dropped.mul_(2).sum().backward()
    assert torch.equal(values.grad, 2 * before)
    assert torch.equal(cut(9), before)
