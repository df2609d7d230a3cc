"""A pass through buffers against the same pass written plainly, and what must hold of any."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import numpy as np
import pytest
import torch
from torch import nn

from qtaml_hw.activations import Counts, Fresh, Held, Kept, Numbers, Same, _kernels, calibrate, guard, trace
from qtaml_hw.activations.numbers import Granularity
from qtaml_hw.arrays import Float32
from qtaml_hw.faults import MapKey, flip
from qtaml_hw.names import Encoding
from qtaml_hw.protection import entry
from qtaml_hw.weights.network import stored_names
from qtaml_hw.weights.registry import number_format
from qtaml_hw.workloads.families.lenet import build
from tests.activations import twin

INT8 = Numbers(number_format("int8"))


def lenet() -> nn.Module:
    torch.manual_seed(1)
    return build(1, 8, 10, 4).eval()


def kept_of(net: nn.Module, inputs: torch.Tensor, numbers: Numbers = INT8) -> tuple[Kept, ...]:
    taps = trace(net, inputs[:1], ["activations"], stored_names(net))
    return calibrate(net, [Kept(tap, numbers) for tap in taps], inputs)


def struck(kept: tuple[Kept, ...], p01: float, p10: float) -> list[Kept]:
    planes = kept[0].numbers.form.planes
    rates = np.full((1, planes), p01), np.full((1, planes), p10)
    return [replace(one, faults=Fresh(MapKey(5, 3), i, *rates)) for i, one in enumerate(kept)]


def outputs(net: nn.Module, kept: list[Kept] | tuple[Kept, ...], inputs: torch.Tensor, batch: int) -> torch.Tensor:
    with torch.inference_mode(), Held(kept).hooked(net):
        return torch.cat([net(chunk) for chunk in inputs.split(batch)])


INPUTS = torch.rand(7, 1, 8, 8, generator=torch.Generator().manual_seed(2))


@pytest.mark.parametrize(("p01", "p10"), [(0.0, 0.0), (0.002, 0.06)])
def test_a_pass_is_the_twins_bit_for_bit(p01: float, p10: float) -> None:
    net, few = lenet(), INPUTS[:3]
    kept = kept_of(net, INPUTS)
    through = {
        one.tap.name: partial(
            twin.read_back, scale=one.scale.item(), p01=p01, p10=p10, seed=5, map_index=3, value=i, first=0
        )
        for i, one in enumerate(kept)
        if one.scale is not None
    }
    with torch.inference_mode():
        plain = twin.lenet_by_hand(net, few, through)
    assert torch.equal(outputs(net, struck(kept, p01, p10), few, 3), plain)


def test_without_a_flip_a_pass_is_that_of_rounded_values() -> None:
    net = lenet()
    for numbers in (INT8, Numbers(number_format("bfloat16")), Numbers(number_format("int16"), "per_channel")):
        kept = kept_of(net, INPUTS, numbers)
        assert torch.equal(outputs(net, kept, INPUTS, 7), outputs(net, struck(kept, 0.0, 0.0), INPUTS, 7))


def test_flips_are_those_of_an_input_whatever_its_batch() -> None:
    net = lenet()
    kept = struck(kept_of(net, INPUTS), 0.01, 0.01)
    whole = outputs(net, kept, INPUTS, 7)
    assert torch.allclose(outputs(net, kept, INPUTS, 2), whole, atol=1e-5)
    held, more = Held(kept), Held(struck(kept, 0.05, 0.05))  # type: ignore[arg-type]
    for one in (held, more):
        with torch.inference_mode(), one.hooked(net):
            net(INPUTS)
    assert all(0 < held.counts[name].raw < more.counts[name].raw for name in held.counts)


@pytest.mark.parametrize("granularity", ["per_tensor", "per_channel", "per_token"])
def test_weak_cells_do_the_same_code_by_code_and_in_one_call(granularity: Granularity) -> None:
    """Values that lie elsewhere (float64) go code by code; the twin is a loop over cells; flips are counted alike."""
    net, rng = lenet(), np.random.default_rng(6)
    kept = kept_of(net, INPUTS, Numbers(number_format("int8"), granularity))
    masks = [rng.integers(0, 256, (2, 3 * one.tap.values), dtype=np.uint8) for one in kept]
    masks = [np.where(rng.random(m.shape) < 0.1, m, np.uint8(0)) for m in masks]  # of three inferences at a time
    weak = [replace(one, faults=Same(MapKey(0), i, *m, 3)) for i, (one, m) in enumerate(zip(kept, masks, strict=True))]
    counts = [Counts.none(8) for _ in range(3)]
    for one, (up, down) in zip(weak, masks, strict=True):
        x = torch.randn(5, *one.tap.shape)
        codes, scale = one.numbers.encode(x.numpy(), one.tap, one.scale)
        up, down = (m.reshape(3, -1)[[1, 2, 0, 1, 2]] for m in (up, down))  # inputs from number 7 on
        wrong = (~codes & up) | (codes & down)
        expected = np.empty_like(x.numpy())
        one.numbers.decode(codes ^ wrong, scale, one.tap, expected)
        for given, counted in ((x.clone(), counts[0]), (x.double(), counts[1])):
            one.striking(counted, lambda: 7)(given)
            np.testing.assert_array_equal(given.float().numpy(), expected)
        counts[2].struck += (wrong[..., None] >> np.arange(8) & 1).sum(axis=(0, 1))
    for counted in counts:
        np.testing.assert_array_equal(counted.struck, counts[2].struck)
        assert counted is counts[2] or counted.left == counted.raw > 0


@pytest.mark.parametrize("granularity", ["per_tensor", "per_channel"])
@pytest.mark.parametrize("form", ["int8", "int16"])
@pytest.mark.parametrize("p", [0.01, 0.3])
def test_draws_are_the_same_code_by_code_and_in_one_call(form: str, granularity: Granularity, p: float) -> None:
    """Values that lie elsewhere (float64) go code by code; the twin flips one input after the other by its own key."""
    numbers = Numbers(number_format(form), granularity)
    rates = np.geomspace(p, p / 100, numbers.form.planes)[None]
    for i, one in enumerate(kept_of(lenet(), INPUTS, numbers)):
        x = 3.0 * torch.randn(5, *one.tap.shape, generator=torch.Generator().manual_seed(i))
        codes, scale = numbers.encode(x.numpy(), one.tap, one.scale)
        keys = [MapKey(5, 3, twin.number(7 + row, i)) for row in range(5)]
        wrong = np.stack([flip(row, rates[0], rates[0, ::-1], key) for row, key in zip(codes, keys, strict=True)])
        expected = np.empty_like(x.numpy())
        numbers.decode(wrong, scale, one.tap, expected)
        drawn = replace(one, faults=Fresh(MapKey(5, 3), i, rates, rates[:, ::-1]))
        for given in (x.clone(), x.double()):
            counts = Counts.none(numbers.form.planes)
            drawn.striking(counts, lambda: 7)(given)
            np.testing.assert_array_equal(given.float().numpy(), expected)
            planes = (codes ^ wrong)[..., None] >> np.arange(numbers.form.planes) & 1
            np.testing.assert_array_equal(counts.struck, planes.sum(axis=(0, 1)))
            assert counts.left == counts.raw > 0


def test_a_network_is_as_it_was_after_the_block() -> None:
    net = lenet()
    kept = kept_of(net, INPUTS)

    def doubled(x: torch.Tensor) -> torch.Tensor:
        return 2.0 * type(net.fc3).forward(net.fc3, x)  # type: ignore[arg-type, operator]

    net.fc3.forward = doubled  # type: ignore[method-assign, assignment]
    with torch.inference_mode():
        before = net(INPUTS)
        with pytest.raises(RuntimeError), Held(kept).hooked(net):
            net(INPUTS[:, :, :5])
        assert torch.equal(net(INPUTS), before)
    assert [name for name, layer in net.named_modules() if "forward" in vars(layer)] == ["fc3"]


def test_what_a_shortcut_reads_was_in_the_buffer_too() -> None:
    class Block(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.inner, self.last = (nn.Linear(4, 4) for _ in range(3))

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            x = torch.relu(self.first(x))
            return torch.as_tensor(self.last(x + self.inner(x)))

    net = Block().eval()
    x = torch.rand(2, 4)
    taps = trace(net, x[:1], ["activations"], stored_names(net))
    assert [(tap.name, tap.written_after, tap.read_last) for tap in taps] == [
        ("inner", "first", "inner"), ("last", "inner", "last"),
    ]  # fmt: skip
    ones = np.full(4, 255, dtype=np.uint8)
    lost = Kept(taps[0], INT8, np.ones((1, 1), np.float32), Same(MapKey(0), 0, ones * 0, ones))
    with torch.inference_mode():
        expected = net.last(net.inner(torch.zeros(2, 4)))
    assert torch.equal(outputs(net, [lost], x, 2), expected)


@pytest.mark.parametrize("form", ["int8", "int4", "int16", "float16", "bfloat16"])
@pytest.mark.parametrize("granularity", ["per_tensor", "per_channel", "per_token"])
@pytest.mark.parametrize("shape", [(5,), (4, 3, 2), (6, 5)])
def test_numbers_are_nearest_values_of_their_format(form: str, granularity: str, shape: tuple[int, ...]) -> None:
    numbers = Numbers(number_format(form), granularity)  # type: ignore[arg-type]
    tap = trace(net := nn.Sequential(nn.Linear(3, 3), nn.Linear(3, 3)), torch.zeros(1, 3), ["0"], stored_names(net))[0]
    tap = replace(tap, shape=shape, channels_first=len(shape) == 3)
    x: Float32 = np.random.default_rng(1).normal(size=(3, *shape)).astype(np.float32)
    known = numbers.steps(numbers.peaks(x, tap).max(axis=0)[None]) if numbers.calibrated else None
    codes, scale = numbers.encode(x, tap, known)
    back = np.empty_like(x)
    numbers.decode(codes, scale, tap, back)
    rounded = x.copy()
    numbers.round(rounded, tap, known)
    np.testing.assert_array_equal(back, rounded)
    if numbers.unscaled:
        kind = torch.bfloat16 if form == "bfloat16" else torch.float16
        np.testing.assert_array_equal(back, torch.from_numpy(x).to(kind).float().numpy())
    else:
        axis: tuple[int, ...] = {  # reduced over
            "per_tensor": (0, *range(1, x.ndim)),
            "per_channel": tuple(i for i in range(x.ndim) if i != (1 if len(shape) == 3 else x.ndim - 1)),
            "per_token": (x.ndim - 1,) if len(shape) == 2 else tuple(range(1, x.ndim)),
        }[granularity]
        step = np.abs(x).max(axis=axis, keepdims=True) / np.float32(numbers.form.largest)
        np.testing.assert_array_equal(back, np.rint(x / step) * step)


def test_what_is_no_number_is_written_as_zero_and_the_rest_saturates() -> None:
    x = np.array([[np.nan, np.inf, -np.inf, 0.0]], dtype=np.float32)
    tap = trace(net := nn.Sequential(nn.Linear(3, 4), nn.Linear(4, 3)), torch.zeros(1, 3), ["0"], stored_names(net))[0]
    for form in ("int8", "float16", "bfloat16"):
        numbers = Numbers(number_format(form))
        back = x.copy()
        numbers.round(back, tap, np.ones((1, 1), np.float32))
        np.testing.assert_array_equal(back, [[0.0, numbers.form.largest, -numbers.form.largest, 0.0]])


@pytest.mark.parametrize("encoding", ["offset_binary", "sign_magnitude", "gray"])
def test_other_encodings_hold_the_same_values(encoding: Encoding) -> None:
    net = lenet()
    coded = kept_of(net, INPUTS, Numbers(number_format("int8", encoding=encoding)))
    assert torch.equal(outputs(net, kept_of(net, INPUTS), INPUTS, 7), outputs(net, struck(coded, 0.0, 0.0), INPUTS, 7))


@pytest.mark.parametrize("name", ["secded-13-8", "hamming-7-4", "repeat-3", "parity-zero", "secded-72-64"])
def test_words_read_as_their_code_decodes_them(name: str) -> None:
    """The top five planes of int8 codes in words, against the code's own encoder and decoder on whole words."""
    rng, top = np.random.default_rng(4), np.arange(8) >= 3
    written = rng.integers(0, 256, (6, 37), dtype=np.uint8)
    p = np.full(8, 0.03)
    faults = Fresh(MapKey(1), 0, p[None], p[None])
    one = guard(entry(name), top, 37, np.array([[p], [p]]))
    held = written.copy()
    faults.strike(held, 0)
    raw = held.copy()
    counts = Counts.none(8)
    one.read(written, held, faults, 0, counts)
    checks = one._check_errors(written, faults, 0)
    code, n_words = one.code, one.layout.n_words
    assert counts.parity == len(checks) > 0
    expected, zeroed = raw.copy(), set[tuple[int, int]]()
    for i in range(6):
        bits = [(w, b) for w in range(37) for b in range(7, 2, -1)]
        for word in range(n_words):
            mine = bits[word * code.k : (word + 1) * code.k]
            clean, dirty = (
                np.array([row[i, w] >> b & 1 for w, b in mine] + [0] * (code.k - len(mine)), dtype=np.uint8)
                for row in (written, raw)
            )
            sent = code.encode(clean)
            sent[: code.k] = dirty
            for key in checks[checks // code.n == i * n_words + word]:
                sent[key % code.n] ^= 1
            decoded = code.decode(sent)
            lost = bool(decoded.uncorrectable) and one.zeroes
            for (w, b), bit in zip(mine, decoded.data.tolist(), strict=False):
                expected[i, w] = (expected[i, w] & ~np.uint8(1 << b)) | np.uint8(bit << b)
            zeroed |= {(i, w) for w, _ in mine} if lost else set()
    for place in zeroed:
        expected[place] = 0
    np.testing.assert_array_equal(held, expected)


@pytest.mark.parametrize("weak", [True, False])
def test_codes_on_one_value_have_check_cells_of_their_own(weak: bool) -> None:
    """Check cells that are wrong in the words of both of two like codes are as many as by chance."""
    p, values = np.full(8, 0.1), 4000
    nothing = np.zeros(values, dtype=np.uint8)
    faults = Same(MapKey(1), 2, nothing, nothing) if weak else Fresh(MapKey(1), 2, p[None], p[None])
    one = guard(entry("secded-13-8"), np.arange(8) >= 6, values, np.array([[p], [p]]))
    written = np.random.default_rng(3).integers(0, 256, (1, values), dtype=np.uint8)
    first, second = (replace(one, number=number)._check_errors(written, faults, 0) for number in (0, 1))
    cells = one.layout.n_words * one.code.parity
    for found in (first, second):
        assert abs(len(found) - 0.1 * cells) < 5 * np.sqrt(0.09 * cells)
    both = len(np.intersect1d(first, second))
    assert abs(both - 0.01 * cells) < 5 * np.sqrt(0.01 * 0.99 * cells)


def test_rates_meet_what_was_asked_for_in_every_plane() -> None:
    """Within 5 sigma of Bernoulli trials, per plane and direction."""
    p01, p10 = np.geomspace(1e-3, 0.2, 8), np.geomspace(0.3, 3e-3, 8)
    codes = np.random.default_rng(2).integers(0, 256, (50, 3000), dtype=np.uint8)
    held = codes.copy()
    Fresh(MapKey(9), 2, p01[None], p10[None]).strike(held, 11)
    for plane in range(8):
        for bit, p in ((0, p01[plane]), (1, p10[plane])):
            mine = (codes >> plane & 1) == bit
            flips = int(((held ^ codes)[mine] >> plane & 1).sum())
            assert abs(flips - mine.sum() * p) < 5 * np.sqrt(mine.sum() * p * (1 - p)), (plane, bit)


def test_tokens_of_other_ages_have_rates_of_their_own() -> None:
    codes = np.zeros((40, 600), dtype=np.uint16)
    p = np.array([[0.0] * 16, [0.2] * 16, [0.02] * 16])
    Fresh(MapKey(9), 0, p, p, (0, 200, 400)).strike(codes, 0)
    shares = [np.bitwise_count(codes[:, a : a + 200]).sum() / (40 * 200 * 16) for a in (0, 200, 400)]
    assert shares[0] == 0.0
    np.testing.assert_allclose(shares[1:], [0.2, 0.02], atol=5 * np.sqrt(0.16 / 128_000))


def test_the_last_of_many_tokens_draws_apart_from_the_next_value() -> None:
    """Streams are numbered by value and token: token 4096 of a value is not token 0 of the one after it."""
    tokens, width = 4097, 64
    p = np.zeros((tokens, 8))
    p[-1] = 0.5
    many, next_value = np.zeros((1, tokens * width), dtype=np.uint8), np.zeros((1, width), dtype=np.uint8)
    Fresh(MapKey(9), 0, p, p, range(0, tokens * width, width)).strike(many, 3)
    Fresh(MapKey(9), 1, p[-1:], p[-1:]).strike(next_value, 3)
    same = 8 * width - int(np.bitwise_count(many[:, -width:] ^ next_value).sum())
    assert abs(same - 4 * width) < 5 * np.sqrt(2 * width)  # of 512 bits, by chance


def test_a_level_beyond_the_largest_float_is_the_largest_level() -> None:
    """The scale of the largest float32 rounds up, so that 127 times it is infinite: no code lies beyond the table."""
    scale = np.full((1, 1), np.finfo(np.float32).max / np.float32(127), dtype=np.float32)
    form, counted = number_format("int8"), np.zeros(8, dtype=np.int64)
    tables = form.encode(np.arange(-127, 128)), form.decode_table.astype(np.float32)
    weak = np.array([0, 1]), np.array([0]), np.array([0], np.uint8), np.array([0b1000000], np.uint8)
    x = np.array([[np.finfo(np.float32).max, 0.0]], dtype=np.float32)
    scaling = scale, np.float32(127)
    _kernels.strike_at(x.ctypes.data, 1, 0, (1, 1, 2), scaling, tables, weak, counted)
    assert x[0].tolist() == [float(np.float32(127 - 64) * scale[0, 0]), 0.0]
    assert counted.tolist() == [0, 0, 0, 0, 0, 0, 1, 0]
