"""Protection plans, word layout and the menu."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from qtaml_hw import ecc, protection
from qtaml_hw.channel import FlipChannel, Keeping

MENU = ("none", "secded-39-32", "parity-zero", "ideal")


def plain_words(plan: protection.ProtectionPlan, tensor: int, entry: int) -> list[tuple[int, int]]:
    """The data bits of a tensor and entry in word order, by the definition (plain loops)."""
    first, last = plan.tensor_starts[tensor : tensor + 2]
    bits = []
    for weight in range(first, last):
        group = max(g for g in range(plan.groups) if plan.starts[g] <= weight)
        bits += [
            (weight - first, plane) for plane in range(plan.planes - 1, -1, -1) if plan.choice[group, plane] == entry
        ]
    return bits


@given(st.integers(0, 2**32 - 1))
def test_layout_is_the_definition_and_its_own_inverse(seed: int) -> None:
    rng = np.random.default_rng(seed)
    sizes = rng.integers(1, 30, 6)
    starts = np.concatenate([[0], np.cumsum(sizes)])
    tensors = starts[[0, int(rng.integers(1, 6)), 6]]
    plan = protection.ProtectionPlan(starts, tensors, "channel", "tac", MENU, rng.integers(0, 4, (6, 8)))
    for tensor in range(2):
        for entry in range(4):
            layout = plan.layout(tensor, entry)
            bits = np.array(plain_words(plan, tensor, entry), dtype=np.int64).reshape(-1, 2)
            assert layout.data_bits == len(bits)
            assert layout.n_words == -(-len(bits) // layout.k)
            word, position = layout.locate(bits[:, 0], bits[:, 1])
            assert (word * layout.k + position == np.arange(len(bits))).all()
            weight, plane = layout.address(word, position)
            assert (np.stack([weight, plane], axis=1) == bits).all()
            assert layout.exists(word, position).all()


def test_counts_of_a_small_plan_by_hand() -> None:
    choice = np.zeros((3, 8), dtype=np.uint8)
    choice[0, 6:] = 1
    choice[1, 7] = 1
    choice[2, 5:] = 2
    plan = protection.ProtectionPlan([0, 20, 50, 60], [0, 50, 60], "channel", "tac", MENU, choice)
    assert (plan.groups, plan.planes, plan.weights, plan.stored_bits, plan.tensors) == (3, 8, 60, 480, 2)
    assert plan.planes_protected().tolist() == [2, 1, 3]
    assert plan.protected_bits == 20 * 2 + 30 + 10 * 3
    assert plan.protected_bits_fraction == 100 / 480
    # tensor 0: 70 bits in 3 words of 32 with 7 check bits; tensor 1: 30 bits in 15 words of 2 with 1 check bit
    assert plan.parity_bits == 3 * 7 + 15
    assert plan.parity_bits_fraction == 36 / 480
    assert plan.bits_by_entry() == {"none": 380, "secded-39-32": 70, "parity-zero": 30, "ideal": 0}
    with pytest.raises(ValueError, match="hold data bits"):
        plan.layout(0, 1).address(np.array([2]), np.array([7]))
    with pytest.raises(ValueError, match="not protected"):
        plan.layout(0, 1).locate(np.array([0]), np.array([0]))


def test_uniform_and_unprotected_constructors_and_json() -> None:
    none = protection.ProtectionPlan.unprotected([0, 5, 9], 8)
    assert none.protected_bits == none.parity_bits == 0
    plan = protection.ProtectionPlan.uniform_msb([0, 5, 9], 8, 2, "ideal")
    assert plan.choice.tolist() == [[0, 0, 0, 0, 0, 0, 1, 1]] * 2
    assert plan.protected_bits_fraction == 0.25
    assert plan.parity_bits == 0
    assert protection.ProtectionPlan.from_json(plan.to_json()) == plan
    with pytest.raises(ValueError, match="not a protection plan"):
        protection.ProtectionPlan.from_json("{}")
    with pytest.raises(ValueError, match="3 of 2"):
        protection.ProtectionPlan.uniform_msb([0, 5], 2, 3, "ideal")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"starts": [0, 3, 10]}, "straddle"),
        ({"menu": ("ideal",)}, "menu\\[0\\]"),
        ({"menu": ("none", "secdd-72-64")}, "did you mean"),
        ({"choice": np.full((2, 8), 2)}, "choices must be"),
        ({"choice": np.zeros((3, 8))}, "groups, planes"),
        ({"group_kind": "bank"}, "group kind"),
        ({"tensor_starts": [0, 0, 10]}, "rise strictly"),
    ],
)
def test_bad_plans_are_refused(change: dict, message: str) -> None:
    good = {
        "starts": [0, 5, 10],
        "tensor_starts": [0, 5, 10],
        "group_kind": "layer",
        "policy": "tac",
        "menu": ("none", "ideal"),
        "choice": np.zeros((2, 8)),
    }
    with pytest.raises(ValueError, match=message):
        protection.ProtectionPlan(**(good | change))


def test_residual_of_a_plan() -> None:
    channel = FlipChannel.uniform(0.01, 8)
    choice = np.zeros((2, 8), dtype=np.uint8)
    choice[0, 7], choice[0, 6], choice[1, 7] = 1, 3, 2
    plan = protection.ProtectionPlan([0, 100, 200], [0, 200], "channel", "tac", MENU, choice)
    p01, p10 = plan.residual(channel)
    assert p01.shape == p10.shape == (2, 8)
    assert p01[0, 7] == pytest.approx(ecc.code("secded-39-32").residual(0.01).bit_error, rel=1e-12)
    assert p01[0, 6] == p10[0, 6] == 0.0
    parity = ecc.code("parity-zero").residual(0.01)
    assert (p01[1, 7], p10[1, 7]) == pytest.approx((parity.p01, parity.p10), rel=1e-12)
    assert (p01[:, :6] == 0.01).all()
    with pytest.raises(ValueError, match="planes"):
        plan.residual(FlipChannel.uniform(0.01, 4))


def test_residual_of_mixed_planes_uses_each_planes_own_rate_and_the_mean_of_the_words_other_bits() -> None:
    channel = FlipChannel(np.full(2, 0.0), np.array([0.02, 0.06]), "fixed", "test")
    plan = protection.ProtectionPlan.uniform_msb([0, 64], 2, 2, "secded-39-32")
    p01, p10 = plan.residual(channel)
    for plane, p in ((0, 0.02), (1, 0.06)):
        others = (39 * 0.02 - p / 2) / 38  # a bit errs with (0 + p)/2, and the bits of a word with 0.02 on average
        up, down = ecc.code("secded-39-32").transfer(others, others).directional(0.0, p, "raw")
        assert (p01[0, plane], p10[0, plane]) == pytest.approx((up.mean(), down.mean()), rel=1e-12)


@pytest.mark.parametrize(
    ("name", "p"), [("secded-39-32", (0.01, 0.1)), ("secded-8-4", (1e-3, 0.1)), ("repeat-3", (0.01, 0.1))]
)
def test_residual_of_mixed_planes_is_that_of_drawn_words(name: str, p: tuple[float, float]) -> None:
    code, weights, draws = ecc.code(name), 128, 1500
    rng, rates = np.random.default_rng(5), np.array(p)
    plan = protection.ProtectionPlan.uniform_msb([0, weights], 2, 2, name)
    layout = plan.layout(0, 1)
    words = np.arange(layout.n_words, dtype=np.int64)
    plane = np.stack([layout.address(words, np.full_like(words, j))[1] for j in range(code.k)], axis=1)
    mean = rates[plane] if code.k == 1 else np.full((words.size, 1), rates.mean())  # check cells: of every plane alike
    chance = np.concatenate([rates[plane], np.repeat(mean, code.parity, axis=1)], axis=1)
    hit = np.nonzero(rng.random((draws, *chance.shape)) < chance)
    left = code.correct_errors(hit[0] * words.size + hit[1], hit[2])
    wrong = np.bincount(plane[left.word_ids % words.size, left.positions], minlength=2)
    bits = draws * weights
    for which, found in enumerate(plan.residual(FlipChannel(rates, rates, "fixed", "test"))[0][0]):
        assert abs(wrong[which] - bits * found) < 5.0 * np.sqrt(bits * found) + 0.08 * bits * found
        alike = protection.entry(name).residual_channel(rates[which], rates[which])[0]
        assert code.k == 1 or not 0.9 < wrong[which] / (bits * alike) < 1.1


@pytest.mark.parametrize("name", ["secded-39-32", "secded-8-4", "bch-63-45"])
@pytest.mark.parametrize(("p", "within"), [((1e-3, 1e-2), 0.03), ((1e-4, 0.05), 0.12)])
def test_residual_of_mixed_planes_beside_the_exact_sum_over_the_pattern(
    name: str, p: tuple[float, float], within: float
) -> None:
    code, rates = ecc.code(name), np.array(p)
    plan = protection.ProtectionPlan.uniform_msb([0, code.k], 2, 2, name)  # two whole words
    layout, total = plan.layout(0, 1), np.zeros(2)
    for word in range(2):
        plane = layout.address(np.full(code.k, word), np.arange(code.k))[1]
        transfer = code.transfer(rates[plane], np.full(code.parity, rates.mean()))
        total += np.bincount(plane, transfer.directional(rates[plane], rates[plane], "raw")[0], minlength=2)
    left = plan.residual(FlipChannel(rates, rates, "fixed", "test"))[0][0]
    np.testing.assert_allclose(left, total / code.k, rtol=within)


@pytest.mark.parametrize("name", ["secded-72-64", "bch-63-45", "parity-zero", "repeat-3", "golay-24-12"])
@pytest.mark.parametrize("p", [1e-4, 0.013, 0.2])
def test_residual_of_planes_that_are_alike_is_that_of_the_entry_to_the_last_bit(name: str, p: float) -> None:
    plan = protection.ProtectionPlan.uniform_msb([0, 77, 130], 8, 3, name)
    p01, p10 = plan.residual(FlipChannel(np.full(8, p), np.full(8, p / 3), "fixed", "test"))
    entry = protection.entry(name).residual_channel(p, p / 3)
    assert {*zip(p01[:, 5:].ravel().tolist(), p10[:, 5:].ravel().tolist(), strict=True)} == {entry}


def test_menu_entries() -> None:
    assert protection.entry("none").residual_channel(0.1, 0.2) == (0.1, 0.2)
    ideal = protection.entry("ideal")
    assert ideal.residual_channel(0.1, 0.2) == (0.0, 0.0)
    assert (ideal.parity_per_bit, ideal.title) == (0.0, "ideal (error-free, not buildable)")
    secded = protection.entry("secded-72-64")
    assert (secded.kind, secded.parity_per_bit) == ("code", 0.125)
    up, down = secded.residual_channel(0.0, 0.02)
    assert 0.0 < up < down  # miscorrection hits zeros too, but decay dominates
    assert protection.entry("parity-zero").kind == "detect"
    assert protection.entry("parity-zero").zeroes_weight
    with pytest.raises(ValueError, match="did you mean"):
        protection.entry("golay-24-13x")
    with pytest.raises(ValueError, match="p01"):
        ideal.residual_channel(2.0, 0.0)


def test_stronger_cells_and_faster_refresh_ask_the_cell_behind_the_channel() -> None:
    def kept(keeping: Keeping) -> FlipChannel:
        left = 0.1 * 10.0 ** (-1e10 * keeping.more_oxide_m) / keeping.refresh_factor
        return FlipChannel(np.zeros(2), np.array([left, left / 2]), "retention", "a made-up cell")

    channel = FlipChannel(np.zeros(2), np.array([0.1, 0.05]), "retention", "a made-up cell", kept=kept)
    robust, faster = protection.entry("robust-cell"), protection.entry("refresh-4x")
    assert robust.keeping == Keeping(more_oxide_m=0.2e-9)
    assert faster.refresh_factor == 4.0
    np.testing.assert_allclose(robust.residuals(channel)[1], [1e-3, 5e-4])
    np.testing.assert_allclose(faster.residuals(channel)[1], [0.025, 0.0125])
    plan = protection.ProtectionPlan.uniform_msb([0, 10], 2, 1, "refresh-4x")
    assert plan.residual(channel)[1].tolist() == [[0.1, 0.0125]]
    assert plan.residual(channel.padded(2))[1].tolist() == [[0.1, 0.0125]]
    dies = FlipChannel.over_dies([(0.25, channel), (0.75, kept(Keeping(refresh_factor=2.0)))])
    with pytest.raises(ValueError, match="there is none here: a made-up cell"):  # of the second die
        robust.residuals(dies)
    with pytest.raises(ValueError, match="a matter of the cell: ask residuals"):
        robust.residual_channel(0.1, 0.1)
    with pytest.raises(ValueError, match="factor >= 1"):
        protection.faster_refresh(0.5)
    with pytest.raises(ValueError, match="more oxide"):
        protection.robust_cell(0.0)
