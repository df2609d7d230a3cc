"""Per-layer GEMMs: closed forms by hand, torch's own FLOP counter as an independent count, and bad input."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import nn
from torch.nn import functional
from torch.nn.utils.parametrizations import weight_norm
from torch.utils.flop_counter import FlopCounterMode

from qtaml_hw.accelerator import layer_costs, network_cost, systolic_cost
from qtaml_hw.accelerator.layers import multiplied
from qtaml_hw.workloads import names, network
from qtaml_hw.workloads.published import CifarResNet, DsCnn, TinyResNet8
from qtaml_hw.workloads.training import build


def gemms(module: nn.Module, input_shape: tuple[int, ...]) -> list[tuple[str, str | None, str, int, int, int, int]]:
    return [(c.name, c.weight, c.kind, c.m, c.k, c.n, c.repeats) for c in layer_costs(module, input_shape, 8, 8)]


def test_convolutions_are_im2col() -> None:
    layers = nn.Sequential(
        nn.Conv2d(3, 8, 5, stride=2, padding=2),  # 16 x 16 -> 8 x 8
        nn.Conv2d(8, 8, 3, padding=1, groups=8),
        nn.Conv2d(8, 12, 3, groups=2),  # -> 6 x 6
        nn.ConvTranspose2d(12, 4, 3),
        nn.Flatten(2),
        nn.Conv1d(4, 6, 3, dilation=2),  # 8 x 8 = 64 -> 60
    )
    assert gemms(layers, (3, 16, 16)) == [
        ("0", "0.weight", "conv", 64, 75, 8, 1),
        ("1", "1.weight", "depthwise", 64, 9, 1, 8),
        ("2", "2.weight", "grouped", 36, 36, 6, 2),
        ("3", "3.weight", "transposed", 36, 12, 36, 1),
        ("5", "5.weight", "conv", 60, 12, 6, 1),
    ]


def test_linear_layers_see_tokens_as_rows() -> None:
    assert gemms(nn.Sequential(nn.Linear(6, 10), nn.Linear(10, 2, bias=False)), (7, 6)) == [
        ("0", "0.weight", "linear", 7, 6, 10, 1),
        ("1", "1.weight", "linear", 7, 10, 2, 1),
    ]


def test_torchs_own_attention_is_found_without_its_fused_path() -> None:
    layer = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True).eval()
    expected = [
        ("self_attn.in_proj_weight", "self_attn.in_proj_weight", "linear", 5, 8, 24, 1),
        ("self_attn.matmul", None, "attention", 5, 4, 5, 2),
        ("self_attn.matmul#2", None, "attention", 5, 5, 4, 2),
        ("self_attn.out_proj", "self_attn.out_proj.weight", "linear", 5, 8, 8, 1),
        ("linear1", "linear1.weight", "linear", 5, 8, 16, 1),
        ("linear2", "linear2.weight", "linear", 5, 16, 8, 1),
    ]
    assert gemms(layer, (5, 8)) == expected
    assert torch.backends.mha.get_fastpath_enabled()


def test_recurrent_layers_step_through_their_state() -> None:
    total = sum(m * k * n * r for *_, m, k, n, r in gemms(nn.LSTM(4, 5, batch_first=True), (3, 4)))
    assert total == 3 * (4 * 20 + 5 * 20)


def test_a_computed_weight_belongs_to_its_layer() -> None:
    model = nn.Sequential(weight_norm(nn.Linear(4, 5)), weight_norm(nn.Linear(5, 2)))
    assert [g[:3] for g in gemms(model, (4,))] == [("0", "0.weight", "linear"), ("1", "1.weight", "linear")]


class TiedAndTransposed(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.mix = nn.Parameter(torch.ones(3, 4))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.mix.transpose(0, 1) @ (self.mix @ x[0])


def test_a_weight_on_the_left_and_used_twice() -> None:
    assert gemms(TiedAndTransposed(), (4, 7)) == [
        ("mix", "mix", "linear", 7, 4, 3, 1),
        ("mix#2", "mix", "linear", 7, 3, 4, 1),
    ]


@pytest.mark.parametrize("name", names())
def test_macs_agree_with_torchs_flop_counter_on_the_zoo(name: str) -> None:
    spec = network(name)
    _compare(build(spec), spec.input_shape)


@pytest.mark.parametrize(
    ("make", "shape", "macs"),
    [
        (lambda: CifarResNet(3), (3, 32, 32), 40_550_000),  # He et al. 2016: 41 M multiply-adds for depth 20
        (TinyResNet8, (3, 32, 32), 12_500_000),  # MLPerf Tiny, Banbury et al. 2021: 12.5 M
        (DsCnn, (1, 49, 10), 2_660_000),  # MLPerf Tiny: 2.7 M
    ],
)
def test_macs_of_published_networks(make: Callable[[], nn.Module], shape: tuple[int, ...], macs: int) -> None:
    assert _compare(make(), shape) == pytest.approx(macs, rel=0.005)


def _compare(module: nn.Module, shape: tuple[int, ...]) -> int:
    costs = layer_costs(module, shape, 32, 32)
    counter = FlopCounterMode(display=False)
    with counter, torch.no_grad():
        module.eval()(torch.zeros(1, *shape))
    macs = sum(c.macs for c in costs)
    assert 2 * macs == counter.get_total_flops()
    return macs


@pytest.mark.parametrize("name", names())
def test_every_weight_matrix_is_read_once_by_weight_stationary(name: str) -> None:
    spec = network(name)
    module = build(spec)
    read: dict[str, int] = {}
    for c in layer_costs(module, spec.input_shape, 16, 16, "ws"):
        if c.weight is not None:
            read[c.weight] = read.get(c.weight, 0) + c.weight_reads
    layers = (nn.Conv2d, nn.Linear)
    assert read == {f"{n}.weight": m.weight.numel() for n, m in module.named_modules() if isinstance(m, layers)}


def test_totals_and_latency() -> None:
    module = nn.Sequential(nn.Conv2d(2, 4, 3, groups=2), nn.Flatten(), nn.Linear(64, 10))
    costs = layer_costs(module, (2, 6, 6), 8, 4, "output_stationary")
    grouped, linear = systolic_cost(16, 9, 2, 8, 4, "os"), systolic_cost(1, 64, 10, 8, 4, "os")
    total = network_cost(costs)
    assert total.cycles == 2 * grouped.cycles + linear.cycles
    assert total.output_writes == 2 * grouped.output_writes + linear.output_writes
    assert total.weight_reads == total.stored_weight_reads == 2 * grouped.weight_reads + linear.weight_reads
    assert total.latency_s(500e6) == pytest.approx(total.cycles * 2e-9)
    with pytest.raises(ValueError, match="clock_hz must be above 0"):
        total.latency_s(0.0)


def test_the_module_is_left_as_it_was() -> None:
    module = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.Dropout())
    module[2].eval()
    before = {k: v.clone() for k, v in module.state_dict().items()}
    layer_costs(module, (1, 5, 5), 4, 4)
    assert [m.training for m in module] == [True, True, False]
    assert all(torch.equal(v, before[k]) for k, v in module.state_dict().items())
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in module.modules())


def test_an_example_input_for_networks_of_token_numbers() -> None:
    module = nn.Sequential(nn.Embedding(11, 6), nn.Linear(6, 3))
    costs = layer_costs(module, (), 4, 4, example=torch.zeros(1, 5, dtype=torch.long))
    assert [(c.weight, c.m) for c in costs] == [("1.weight", 5)]


def test_bad_input_is_one_clear_message() -> None:
    module = nn.Linear(6, 3)
    with pytest.raises(ValueError, match=r"does not take an input of shape \(1, 5\)"):
        layer_costs(module, (5,), 4, 4)
    with pytest.raises(ValueError, match="rows must be a whole number"):
        layer_costs(module, (6,), 0, 4)
    with pytest.raises(ValueError, match="runs no convolution"):
        layer_costs(nn.ReLU(), (6,), 4, 4)
    assert not module._forward_hooks


def test_a_bilinear_layer_is_a_product_and_one_of_activations() -> None:
    class Two(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.mix = nn.Bilinear(4, 4, 3)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.mix(x, x)  # type: ignore[no-any-return]

    assert gemms(Two(), (5, 4)) == [
        ("mix", "mix.weight", "linear", 5, 4, 12, 1),
        ("mix.matmul", None, "attention", 3, 4, 1, 5),
    ]


class Own(nn.Module):
    """Weights as GPT-2 keeps them, masked, normalised, one per expert, and parameters that are none."""

    def __init__(self) -> None:
        super().__init__()
        self.gpt = nn.Parameter(torch.randn(4, 6))
        self.masked, self.free = nn.Parameter(torch.randn(6, 6)), nn.Parameter(torch.randn(6, 6))
        self.register_buffer("mask", torch.ones(6, 6).tril())
        self.experts = nn.Parameter(torch.randn(3, 6, 5))
        self.vector = nn.Parameter(torch.randn(5))
        self.token, self.gain = nn.Parameter(torch.randn(1, 1, 4)), nn.Parameter(torch.randn(3, 6))
        self.table = nn.Embedding(7, 4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = torch.addmm(self.vector.new_zeros(6), (x + self.token + self.table.weight[:1])[0], self.gpt)
        x = functional.linear(x, self.masked * self.mask)
        x = functional.linear(x, self.free / self.free.norm(dim=1, keepdim=True)) * self.gain
        return torch.bmm(x.expand(3, -1, -1), self.experts).mean(0) @ self.table.weight[:, :1].new_ones(5, 2)


def test_what_a_pass_multiplies_with_is_found_by_what_it_does() -> None:
    assert multiplied(Own(), torch.zeros(1, 3, 4)) == {
        "gpt": ((1,), (0,)),
        "masked": None,
        "free": None,
        "experts": ((0, 2), (0, 1)),
    }
    assert multiplied(nn.Linear(4, 2), torch.zeros(1, 5)) is None
    for recurrent in (nn.GRU(4, 5, batch_first=True), nn.LSTM(4, 5, batch_first=True)):
        assert multiplied(recurrent, torch.zeros(1, 3, 4)) == {"weight_ih_l0": None, "weight_hh_l0": None}


def test_only_tensors_in_the_memory_are_read_from_it() -> None:
    module = nn.Sequential(nn.Linear(6, 10), nn.Linear(10, 10, bias=False), nn.Linear(10, 10, bias=False))
    module[2].weight = module[1].weight
    costs = layer_costs(module, (6,), 8, 8, stored=["2.weight"])
    assert [(c.name, c.weight, c.kind) for c in costs] == [
        ("0", None, "linear"),
        ("1", "2.weight", "linear"),
        ("1#2", "2.weight", "linear"),
    ]
    assert network_cost(costs).stored_weight_reads == 200
    assert network_cost(costs).weight_reads == 260


class Experts(nn.Module):
    """A matrix [out, in] per expert, one taken after the other, and a transposed convolution."""

    def __init__(self) -> None:
        super().__init__()
        self.up, self.back = nn.Parameter(torch.randn(3, 5, 4)), nn.ConvTranspose1d(3, 2, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        outputs: torch.Tensor = self.back(torch.stack([functional.linear(x[:, 0], w) for w in self.up], 1))
        return outputs.flatten(1)


def test_channels_are_found_where_they_lie() -> None:
    assert multiplied(Experts(), torch.zeros(1, 1, 4)) == {"up": ((0, 1), (0, 2)), "back.weight": ((1,), (0,))}
