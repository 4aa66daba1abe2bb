"""An LSTM over what each token brings to the gates gives the states of the plain one."""

import pytest
import torch

from seqcli.engines.projected import ProjectedLSTM
from seqcli.models.recurrent import RecurrentEncoder
from seqcli.recipe.encoders import GRUConfig, LSTMConfig


class Holder:
    def __init__(self, config):
        torch.manual_seed(3)
        self.encoder = RecurrentEncoder(LSTMConfig.model_validate(config), 6).eval()


@pytest.mark.parametrize("bidirectional", [False, True])
def test_states_equal_those_of_the_encoder(bidirectional):
    model = Holder({"dim": 5, "bidirectional": bidirectional})
    projected = ProjectedLSTM.of(model, torch.device("cpu"))
    vectors_ND = torch.randn(9, 6)
    index_BT = torch.randint(0, 9, (4, 7))
    lengths_B = torch.tensor([7, 1, 4, 6])
    with torch.inference_mode():
        expected = model.encoder(vectors_ND[index_BT], lengths_B)
        states = projected(index_BT, projected.project(vectors_ND), lengths_B)
    for row, length in enumerate(lengths_B.tolist()):
        torch.testing.assert_close(states[row, :length], expected[row, :length], atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("options", [{"layers": 2}, {"layer_norm": True}, {"residual": True}, {"peepholes": True}])
def test_other_encoders_are_left_alone(options):
    assert ProjectedLSTM.of(Holder({"dim": 6, "bidirectional": False, **options}), torch.device("cpu")) is None
    plain = Holder({"dim": 6})
    plain.encoder = RecurrentEncoder(GRUConfig.model_validate({"dim": 6}), 6)
    assert ProjectedLSTM.of(plain, torch.device("cpu")) is None
