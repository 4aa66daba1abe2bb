"""Networks that forecast: against references written by hand, and what holds for all of them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from sklearn.metrics import mean_pinball_loss
from tiny_forecasts import APART, GRU, LOOK_BACK, MODELS, SIZES, STEPS, batch, forecaster, some
from torch import nn

from seqcli.data.batch import Batch, SeriesSizes, Side
from seqcli.models.network import Memory

ETT = SeriesSizes(3, (0, 1, 2), 0, 12, 6)


def predicted(network, source):
    with torch.no_grad():
        (values,) = network(source).values()
    return values


def loss_of(network, one):
    loss = network.loss(one, Memory())
    return loss.sum / loss.targets


def close(found, expected, tolerance=1e-5):
    torch.testing.assert_close(found, torch.as_tensor(expected), rtol=0, atol=tolerance)


class SegRNN(nn.Module):
    """Lin et al. 2023, section 3, by the letter: one window [L, C] at a time."""

    def __init__(self, columns, look_back, steps, segment, dim):
        super().__init__()
        self.segment, self.steps = segment, steps
        self.value = nn.Linear(segment, dim)
        self.gru = nn.GRUCell(dim, dim)
        self.places = nn.Parameter(torch.randn(steps // segment, dim // 2))
        self.columns = nn.Parameter(torch.randn(columns, dim // 2))
        self.predict = nn.Linear(dim, segment)

    def forward(self, values_LC):
        forecast = torch.empty(self.steps, values_LC.size(1))
        for column, values in enumerate(values_LC.t()):
            last = values[-1]
            hidden = torch.zeros(self.gru.hidden_size)
            for segment in (values - last).split(self.segment):
                hidden = self.gru(torch.relu(self.value(segment)), hidden)
            for number, place in enumerate(self.places):
                state = self.gru(torch.cat([place, self.columns[column]]), hidden)
                start = number * self.segment
                forecast[start : start + self.segment, column] = self.predict(state) + last
        return forecast


def test_segrnn_equals_the_paper():
    model = f"embedder: {{{APART}, normalize: last, segment: 3, dim: 8, activation: relu}}, "
    network = forecaster(model + GRU.replace("6", "8") + ", head: {kind: segments}", ETT)
    reference = SegRNN(3, 12, 6, 3, 8)
    layer = network.encoder.ahead[0]
    pairs = [(reference.value, network.embedder.projection), (reference.predict, network.head.output)]
    for one, other in pairs:
        one.load_state_dict(other.state_dict())
    reference.gru.load_state_dict({name.removesuffix("_l0"): weight for name, weight in layer.state_dict().items()})
    reference.places.data, reference.columns.data = network.head.places_GD.data, network.head.columns_MD.data
    source = batch(ETT).source
    for row, values_LC in enumerate(torch.from_numpy(source.arrays["values_BLC"])):
        close(predicted(network, source)[row], reference(values_LC))


def test_dlinear_equals_the_paper():
    """Zeng et al. 2023, section 4.2: the mean over 5 steps and what is left, a linear layer each."""
    network = forecaster(f"embedder: {{{APART}, decompose: 5}}, head: {{kind: direct, reads: all}}", ETT)
    weight_KLP = network.head.read.output.weight.view(6, 12, 2)  # of the trend and of the rest
    source = batch(ETT).source
    found = predicted(network, source)
    for row, values_LC in enumerate(source.arrays["values_BLC"]):
        for column, values in enumerate(values_LC.T):
            filled = np.concatenate([values[:1], values[:1], values, values[-1:], values[-1:]])
            trend = np.array([filled[step : step + 5].mean() for step in range(12)], np.float32)
            expected = weight_KLP[..., 0] @ torch.from_numpy(trend)
            expected = expected + weight_KLP[..., 1] @ torch.from_numpy(values - trend)
            close(found[row, :, column], expected + network.head.read.output.bias)


def test_own_weights_are_those_of_a_column():
    shared, own = (
        forecaster(f"embedder: {{{APART}}}, head: {{kind: direct, reads: all, own: {one}}}", ETT)
        for one in ("false", "true")
    )
    source = batch(ETT).source
    found = predicted(own, source)
    for column in range(3):
        shared.head.read.output.weight.data = own.head.read.output.weight_MDO[column].t().detach()
        shared.head.read.output.bias.data = own.head.read.output.bias_MO[column].detach()
        close(found[..., column], predicted(shared, source)[..., column])


@pytest.mark.parametrize("affine", ["false", "true"])
@pytest.mark.parametrize("channels", ["apart", "together"])
@pytest.mark.parametrize("gaps", [False, True])
@pytest.mark.parametrize("normalize", ["none", "last", "mean", "standard"])
def test_a_network_of_zeros_gives_the_level(normalize, gaps, channels, affine):
    sizes = replace(SIZES["features-gaps-quantiles"], quantiles=(), gaps=gaps)
    embedder = f"{{kind: series, channels: {channels}, normalize: {normalize}, affine: {affine}}}"
    network = forecaster(f"embedder: {embedder}, {GRU}, head: {{kind: direct}}", sizes)
    for weight in network.parameters():
        nn.init.zeros_(weight)
    source = batch(sizes).source
    values_BLM = source.arrays["values_BLC"][:, :, list(sizes.targets)].astype(float)
    expected = np.zeros((4, 2))
    for row, column in np.ndindex(4, 2):
        there = values_BLM[row, ~np.isnan(values_BLM[row, :, column]), column]
        if len(there) and normalize != "none":
            expected[row, column] = there[-1] if normalize == "last" else there.mean()
    assert (expected != 0).any() == (normalize != "none")
    for step in range(STEPS):
        close(predicted(network, source)[:, step].double(), expected, 1e-6)


@pytest.mark.parametrize("gaps", [False, True])
def test_what_is_read_has_no_level_and_a_deviation_of_one(gaps):
    sizes = replace(SIZES["plain"], gaps=gaps)
    network = forecaster(f"embedder: {{kind: series, normalize: standard}}, {GRU}, head: {{kind: direct}}", sizes)
    source = batch(sizes).source
    values_BLC = torch.from_numpy(source.arrays["values_BLC"])
    window = network.embedder.window(values_BLC)
    for row, column in np.ndindex(4, 3):
        known = ~values_BLC[row, :, column].isnan()
        one = window.values_BLC[row, known, column]
        assert not window.values_BLC[row, ~known, column].any()
        if len(one) > 1:
            close(one.mean(), 0.0)
            close(one.std(correction=0), 1.0, 1e-3)
    target_BKM = torch.from_numpy(batch(sizes).target.arrays["values_BKC"])
    back = network.embedder.undo(network.embedder.levelled(target_BKM, window).unsqueeze(-1), window)
    torch.testing.assert_close(back[..., 0], target_BKM, rtol=0, atol=1e-5, equal_nan=True)


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("sizes", SIZES)
def test_company_changes_nothing(model, sizes):
    network = forecaster(MODELS[model], SIZES[sizes])
    source = batch(SIZES[sizes]).source
    found = predicted(network, source)
    columns, quantiles = len(SIZES[sizes].targets), SIZES[sizes].quantiles
    assert found.shape[1:] == (SIZES[sizes].steps, columns, *([3] if quantiles else []))
    for row in range(4):
        close(found[row], predicted(network, some(source, slice(row, row + 1)))[0])


@pytest.mark.parametrize("model", MODELS)
def test_missing_values_reach_neither_network_nor_loss(model):
    sizes = SIZES["features-gaps-quantiles"]
    network = forecaster(MODELS[model], sizes).train()
    one = batch(sizes)
    known_BKM = ~np.isnan(one.target.arrays["values_BKC"])
    torch.manual_seed(0)
    loss = network.loss(one, Memory())
    loss.sum.backward()
    assert all(weight.grad is None or weight.grad.isfinite().all() for weight in network.parameters())
    if "shifted" not in model:
        assert loss.targets == known_BKM.sum() < known_BKM.size
        assert predicted(network, one.source).isfinite().all()
    nothing = Side({"values_BKC": np.full_like(one.target.arrays["values_BKC"], np.nan)}, one.target.lengths_B)
    source = one.source
    if "shifted" in model:
        values_BLC = np.full_like(source.arrays["values_BLC"], np.nan)
        source = Side({**source.arrays, "values_BLC": values_BLC}, source.lengths_B)
    empty = network.loss(Batch(source, nothing, one.rows), Memory())
    assert (empty.sum.item(), empty.targets) == (0, 0)


def test_a_gap_is_told_to_the_network():
    """A value that is missing and one that stands at the level are the same number, and not the same."""
    sizes = replace(SIZES["one-step"], look_back=LOOK_BACK, features=0, gaps=True)
    network = forecaster(f"embedder: {{{APART}}}, head: {{kind: direct, reads: all}}", sizes)
    values_BLC = np.zeros((2, LOOK_BACK, 1), np.float32)
    values_BLC[1, 3] = np.nan
    features = {"features_BSF": np.zeros((2, LOOK_BACK + 1, 0), np.float32)}
    found = predicted(network, Side({"values_BLC": values_BLC, **features}, np.full(2, LOOK_BACK)))
    assert abs(found[0] - found[1]) > 1e-3


def test_pinball_loss_equals_scikit_learn():
    sizes = replace(SIZES["plain"], quantiles=(0.05, 0.5, 0.8))
    network = forecaster(MODELS["rnn"], sizes)
    one = batch(sizes)
    found = predicted(network, one.source).numpy()
    true = one.target.arrays["values_BKC"].ravel()
    expected = [
        mean_pinball_loss(true, found[..., number].ravel(), alpha=share) for number, share in enumerate(sizes.quantiles)
    ]
    assert loss_of(network, one).item() == pytest.approx(np.mean(expected), rel=1e-5)


@pytest.mark.parametrize("kind", ["mse", "mae", "huber"])
def test_errors_by_hand(kind):
    network = forecaster(f"embedder: {{kind: series}}, {GRU}, head: {{kind: direct, loss: {kind}}}", ETT)
    gaps = np.array([[0.5, -0.25, np.nan], [-3.0, 2.0, 1.0]], np.float32)
    found = network.errors(torch.zeros(1, 2, 3, 1), torch.from_numpy(gaps)[None])
    values = np.array([0.5, 0.25, 3.0, 2.0, 1.0])
    expected = {"mse": values**2, "mae": values, "huber": np.where(values < 1, values**2 / 2, values - 0.5)}[kind]
    assert (found.sum.item(), found.targets) == (pytest.approx(expected.sum()), 5)


@pytest.mark.parametrize("model", ["dlinear", "rnn", "segrnn", "seq2seq"])
def test_quantiles_never_cross(model):
    sizes = replace(SIZES["plain"], quantiles=(0.1, 0.5, 0.9))
    network = forecaster(MODELS[model], sizes)
    for weight in network.parameters():
        nn.init.normal_(weight, std=2)
    found = predicted(network, batch(sizes, windows=50).source)
    assert (found.diff(dim=-1) >= 0).all()
    assert (found.diff(dim=-1) > 0.1).any()


def test_columns_apart_do_not_see_each_other():
    one = batch(ETT)
    other = {name: array.copy() for name, array in one.source.arrays.items()}
    other["values_BLC"][:, :, 1] += 1
    for model, sees in (("gru-apart", False), ("dlinear", False), ("segrnn", False), ("rnn", True), ("cnn", True)):
        network = forecaster(MODELS[model].replace("normalize: last", "normalize: none"), ETT)
        difference = predicted(network, one.source) - predicted(network, Side(other, one.source.lengths_B))
        assert difference[..., 1].any()
        assert bool(difference[..., [0, 2]].any()) == sees


def test_shifted_equals_direct_at_the_last_position():
    body = f"embedder: {{kind: series}}, {GRU}"
    for sizes in (ETT, SIZES["features-gaps-quantiles"]):
        shifted = forecaster(f"{body}, head: {{kind: shifted}}", sizes)
        direct = forecaster(f"{body}, head: {{kind: direct}}", sizes)
        direct.load_state_dict(shifted.state_dict())
        source = batch(sizes).source
        close(predicted(shifted, source), predicted(direct, source), 1e-6)


@pytest.mark.parametrize("model", [name for name in MODELS if name.startswith("shifted")])
def test_shifted_loss_is_that_of_all_shorter_windows(model):
    """Each position predicts what a network does whose window ends there."""
    network = forecaster(MODELS[model], SIZES["plain"])
    one = batch(SIZES["plain"])
    values_BSM = np.concatenate([one.source.arrays["values_BLC"], one.target.arrays["values_BKC"]], 1)
    segment = network.embedder.segment
    ends = range((LOOK_BACK - 1) % segment + 1, LOOK_BACK + 1, segment)
    total = 0.0
    for end in ends:
        shorter = forecaster(MODELS[model], replace(SIZES["plain"], look_back=end))
        shorter.load_state_dict(network.state_dict())
        features = np.zeros((4, end + STEPS, 0), np.float32)
        source = Side({"values_BLC": values_BSM[:, :end].copy(), "features_BSF": features}, np.full(4, end))
        errors = predicted(shorter, source).numpy() - values_BSM[:, end : end + STEPS]
        total += float((errors.astype(float) ** 2).sum())
    loss = network.loss(one, Memory())
    assert loss.targets == len(ends) * 4 * STEPS * 3
    assert loss.sum.item() == pytest.approx(total, rel=1e-5)


@pytest.mark.parametrize("model", MODELS)
def test_what_is_known_of_a_step_changes_its_forecast(model):
    sizes = SIZES["features-gaps-quantiles"]
    network = forecaster(MODELS[model], sizes)
    one = batch(sizes)
    changed = {name: array.copy() for name, array in one.source.arrays.items()}
    changed["features_BSF"][:, LOOK_BACK + 2] += 1  # of the third step to come
    difference = (predicted(network, one.source) - predicted(network, Side(changed, one.source.lengths_B))).abs()
    steps = difference.amax((0, 2, 3)) > 0
    sees = {"segrnn": [0, 1, 2], "seglstm-together": [2, 3]}  # the segment of that step
    expected = sees.get(model, [2, 3, 4] if "seq2seq" in model else [2])
    assert steps.nonzero().flatten().tolist() == expected


def test_stepwise_by_hand():
    """What the decoder reads: the last value, then its own predictions, or the truth where that is forced."""
    network = forecaster(MODELS["seq2seq-apart"], ETT)
    one = batch(ETT)
    values_BLC, target_BKC = (
        torch.from_numpy(array) for array in (one.source.arrays["values_BLC"], one.target.arrays["values_BKC"])
    )
    level_BC = values_BLC.mean(1)
    first, second = network.decoder.layers
    for forced in (False, True):
        network.head.teacher_forcing = float(forced)
        expected = torch.empty(4, 6, 3)
        for row, column in np.ndindex(4, 3):
            level = level_BC[row, column]
            encoded, _ = network.encoder.ahead[0]((values_BLC[row, :, column] - level).view(-1, 1))
            begin, after = torch.tanh(network.decoder.begin(encoded[-1:])).chunk(2, -1)
            reads = values_BLC[row, -1, column] - level
            for step in range(6):
                hidden, begin = first(network.input(reads.view(1, 1)), begin)
                hidden, after = second(hidden, after)
                weights = torch.softmax(network.decoder.attention.keys(encoded) @ hidden[0], 0)
                joined = torch.cat([weights @ encoded, hidden[0]])
                made = network.head.output(torch.tanh(network.decoder.combine(joined)))[0]
                expected[row, step, column] = made + level
                reads = target_BKC[row, step, column] - level if forced else made
        loss = network.loss(one, Memory())
        assert loss.sum.item() == pytest.approx(float(((expected - target_BKC) ** 2).sum()), rel=1e-4)
        if not forced:
            close(predicted(network, one.source), expected.detach())


@pytest.mark.parametrize("model", MODELS)
def test_every_kind_learns_a_handful_by_heart(model):
    sizes = SIZES["features-gaps-quantiles"]
    sizes = replace(sizes, quantiles=() if "loss" in MODELS[model] or "linear" in model else sizes.quantiles)
    network = forecaster(MODELS[model].replace("dim: 6", "dim: 24"), sizes).train()
    one = batch(sizes, windows=3)
    constant = np.nanmedian(one.target.arrays["values_BKC"], axis=(0, 1))
    best = network.errors(
        torch.from_numpy(constant).expand(3, STEPS, 2).unsqueeze(-1), torch.from_numpy(one.target.arrays["values_BKC"])
    )
    optimizer = torch.optim.Adam(network.parameters(), lr=0.02)
    for _ in range(300):
        optimizer.zero_grad()
        loss = loss_of(network, one)
        loss.backward()
        optimizer.step()
        if learned := bool(loss < 0.1 * best.sum / best.targets):
            break
    assert learned


def test_a_linear_head_trained_to_the_end_equals_least_squares():
    sizes = SeriesSizes(2, (0, 1), 0, 4, 3)
    network = forecaster(MODELS["linear"], sizes).double()
    one = batch(sizes, windows=40)
    one = Batch(
        *(
            Side({name: array.astype(float) for name, array in side.arrays.items()}, side.lengths_B)
            for side in (one.source, one.target)
        ),
        one.rows,
    )
    optimizer = torch.optim.LBFGS(
        network.parameters(), max_iter=500, tolerance_grad=1e-10, line_search_fn="strong_wolfe"
    )

    def step():
        optimizer.zero_grad()
        loss = loss_of(network, one)
        loss.backward()
        return loss

    optimizer.step(step)
    x_RL = one.source.arrays["values_BLC"].transpose(0, 2, 1).reshape(-1, 4)
    y_RK = one.target.arrays["values_BKC"].transpose(0, 2, 1).reshape(-1, 3)
    x_RL = np.concatenate([x_RL, np.ones((80, 1))], 1)
    fitted_RK = x_RL @ np.linalg.lstsq(x_RL, y_RK)[0]
    found = network.outputs(
        network.embedder.window(torch.from_numpy(one.source.arrays["values_BLC"])), torch.zeros(40, 7, 0)
    )
    close(found[..., 0].detach(), fitted_RK, 1e-5)
