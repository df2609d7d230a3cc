"""Studies of a causal language model of a few thousand parameters: records, plans, memory, early refusals."""

from __future__ import annotations

import re
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from qtaml_hw import run, tac
from qtaml_hw.config import Study, parse_study
from qtaml_hw.errors import InputError
from qtaml_hw.records.fields import F
from qtaml_hw.records.measure import MEASURES
from qtaml_hw.records.record import Record
from qtaml_hw.records.store import read_records
from qtaml_hw.study.design.design import DesignPoint, prepare
from qtaml_hw.study.design.networks import calibration as calibrating
from qtaml_hw.study.design.networks.loaded import Networks
from qtaml_hw.study.design.networks.network import StoredNetwork
from qtaml_hw.study.questions.criterion import Criterion
from qtaml_hw.tac.decoding import placed
from qtaml_hw.tac.worth import per_sample
from qtaml_hw.weights import image as image_module
from tests.workloads.tiny_llama import gguf_file

pytest.importorskip("transformers", reason="language models need transformers: pip install 'qtaml-hw[transformers]'")
STUDY = """study: tiny
flips: {law: fixed, p: 0.01}
refresh: off
weights: {format: file}
protection: {policy: tac, budget: {bits: 25 %}, menu: [ideal], correction: none}
network: {gguf: FOLDER/tiny.gguf, store: {exclude: ["*embed_tokens*", "*lm_head*"]}}
data: {texts: FOLDER/mine.txt, tokens: 12, stride: 12, calibration: 3, take: spread}
accelerator: {inferences_per_second: 1}
evaluate: {metric: perplexity, images: 6, maps: {min: 2, max: 2}}
"""
Of = Callable[..., Study]


@pytest.fixture(scope="module")
def of(tmp_path_factory: pytest.TempPathFactory) -> Of:
    folder = tmp_path_factory.mktemp("tiny")
    gguf_file(folder / "tiny.gguf")
    words = ["the cat sat on a mat, and the dog ran. ", "a bird in the hand is worth two in the bush. "]
    (folder / "mine.txt").write_text("\n\n\n\n".join(word * 3 for word in words * 3))

    def changed(changes: dict[str, Any] | None = None) -> Study:
        study = parse_study(STUDY.replace("FOLDER", str(folder)))
        return study.with_(changes) if changes else study

    return changed


@pytest.fixture(scope="module")
def stored(of: Of) -> StoredNetwork:
    return Networks().load(of())


def of_dict(point: DesignPoint) -> DesignPoint:
    """The point whose faulty weights lie beside the module's own, as those of other networks do."""
    return replace(point, network=replace(point.network, served=replace(point.network.served, own=None)))


def test_faulty_weights_take_the_place_of_the_modules_own_and_leave_no_trace(of: Of) -> None:
    point = prepare(of({"protection.policy": "none"}), Networks())
    module, image = point.network.served.module, point.image
    before = {name: p.detach().clone() for name, p in module.named_parameters()}
    places = {name: p.data_ptr() for name, p in module.named_parameters()}
    records = [point.record(m) for m in (0, 1)]
    assert records == [of_dict(point).record(m) for m in (0, 1)]
    assert records[0][F.score] != records[1][F.score] != point.facts[F.quantised_score]
    for name, p in module.named_parameters():
        assert np.array_equal(p.detach().numpy(), before[name].numpy())
        assert p.data_ptr() == places[name]
    assert point.facts[F.quantised_score] == point.facts[F.clean_score] == point.network.score(image.decode())
    with pytest.raises(RuntimeError), point.network.served.held(image.decoded(), point.network.device):
        raise RuntimeError  # whatever happens meanwhile
    assert all(np.array_equal(p.detach().numpy(), before[n].numpy()) for n, p in module.named_parameters())


@pytest.mark.parametrize("group", ["layer", "channel"])
@pytest.mark.parametrize("output", ["logits", "fisher"])
def test_energies_summed_by_code_are_those_of_every_weight(stored: StoredNetwork, group: Any, output: Any) -> None:
    image, seen = stored.image, stored.calibration
    starts, layers = image.group_starts(group), image.group_starts("layer")
    dense, summed = tac.damage_model(image, seen.worth(image, output), starts), seen.by_code(image, starts, output)
    for found, expected in (
        (summed.damage(starts), dense),
        (summed.damage(layers), tac.damage_model(image, seen.worth(image, output), layers)),
    ):
        np.testing.assert_allclose(found.zeros, expected.zeros, rtol=1e-9, atol=1e-12 * float(expected.zeros.max()))
        np.testing.assert_allclose(found.ones, expected.ones, rtol=1e-9, atol=1e-12 * float(expected.ones.max()))


def test_gradients_of_one_input_at_a_time_are_those_of_many(
    stored: StoredNetwork, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By sums over probes, whose signs are drawn in another order: 64 probes agree to 5 standard errors."""
    seen, names = stored.calibration, list(stored.calibration.names)
    assert seen.inputs is not None
    together = tac.jacobian_energy(seen.served.module, names, seen.inputs, probes=64)
    monkeypatch.setattr(per_sample, "_MOST_OUTPUTS", 1)
    alone = tac.jacobian_energy(seen.served.module, names, seen.inputs, probes=64)
    edges = np.cumsum([0, *(t.weights for t in stored.image.tensors)])[:-1]
    a, b = (np.add.reduceat(one.values, edges) for one in (together, alone))
    error = np.hypot(together.relative_error, alone.relative_error)
    assert np.all(np.abs(a / b - 1.0) < 5.0 * error)
    assert np.all(error < 0.1)
    one = seen.inputs[:1]  # of one input, the order is the same
    np.testing.assert_allclose(
        tac.jacobian_energy(seen.served.module, names, one, probes=2).values,
        _by_layers(seen.served.module, names, one, monkeypatch),
        rtol=1e-4,
        atol=1e-9,
    )
    assert all(p.grad is None for p in seen.served.module.parameters())


def test_layers_run_again_give_the_same_gradients_from_a_smaller_graph(
    stored: StoredNetwork, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Bit for bit; what is kept of a pass is at most half."""
    seen, names, kept = stored.calibration, list(stored.calibration.names), dict[str, int]()
    assert seen.inputs is not None
    monkeypatch.setattr(per_sample, "_MOST_OUTPUTS", 1)

    def energies(what: str) -> Any:
        def keep(tensor: torch.Tensor) -> torch.Tensor:
            kept[what] = kept.get(what, 0) + tensor.numel()
            return tensor

        with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor), per_sample.recomputed(module):
            module(seen.inputs[:1])
        return tac.jacobian_energy(module, names, seen.inputs, probes=2, output="fisher").values

    module = seen.served.module
    again = energies("again")
    monkeypatch.setattr(per_sample, "recomputed", lambda _: nullcontext())
    assert np.array_equal(again, energies("at once"))
    assert 2 * kept["again"] < kept["at once"]
    assert not any("forward" in vars(layer) for layer in module.modules())


def test_codes_of_a_map_are_decoded_once_and_the_files_own_once(of: Of, monkeypatch: pytest.MonkeyPatch) -> None:
    """Weights are told apart from those of other maps where they lie."""
    point, decoded = prepare(of({"protection.policy": "none"}), Networks()), list[str]()
    assert point.facts[F.clean_score] == point.network.clean_score
    plain = image_module.StoredTensor.decode
    placed_once = placed.PlacedTensor.decode

    def own(tensor: Any, *given: Any) -> Any:
        decoded.append("own")
        return plain(tensor, *given)

    def faulty(tensor: Any, *given: Any) -> Any:
        decoded.append("faulty")
        return placed_once(tensor, *given)

    monkeypatch.setattr(image_module.StoredTensor, "decode", own)
    monkeypatch.setattr(placed.PlacedTensor, "decode", faulty)
    point.record(0)
    assert {kind: decoded.count(kind) for kind in set(decoded)} == dict.fromkeys(
        ("own", "faulty"), len(point.image.tensors)
    )


def _by_layers(module: Any, names: list[str], inputs: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setattr(per_sample, "_MOST_OUTPUTS", 1 << 22)
    return tac.jacobian_energy(module, names, inputs, probes=2).values


@pytest.mark.parametrize("correction", ["none", "auto"])
def test_a_large_networks_plan_is_a_small_ones(of: Of, monkeypatch: pytest.MonkeyPatch, correction: str) -> None:
    study = of({"protection.correction": correction, "flips.p": 0.05})
    small = prepare(study, Networks())
    monkeypatch.setattr(calibrating, "LARGE", 0)
    large = prepare(study, Networks())
    assert np.array_equal(small.protection.plan.choice, large.protection.plan.choice)
    assert large.protection.predicted_distortion == pytest.approx(small.protection.predicted_distortion, rel=1e-9)
    if correction == "none":
        assert small.record(0)[F.score] == large.record(0)[F.score]
    else:
        assert len(set(large.protection.decoder.kinds)) == 1  # told by a handful of passes


def test_one_kind_for_all_layers_is_the_best_of_a_plain_search(stored: StoredNetwork) -> None:
    image, seen = stored.image, stored.calibration
    flips = tac.ProtectedImage(image, _nothing(stored), _skewed(image.planes))
    asked: list[str] = []

    def forward(weights: Any) -> Any:
        asked.append("pass")
        return seen.outputs(weights)

    one = tac.OneKind(image, lambda starts: seen.by_code(image, starts), forward)
    found = one.decoder(flips).kinds[0]
    assert len(asked) <= 1 + len(tac.FOLDING_KINDS)
    reference, worth = seen.outputs(image.decode()), seen.worth(image)
    left = {}
    for kind in tac.FOLDING_KINDS:
        total, mean = 0.0, {}
        for i, t in enumerate(image.tensors):
            rest, mine = flips.flips(i).left([flips.layer(i, kind)])[0], slice(*image.tensor_starts[i : i + 2])
            scale = t.weight_scale().astype(np.float64)
            total += float((worth[mine] * scale**2 * rest.variance[0][t.codes]).sum())
            shift = (rest.bias[0][t.codes] * scale).astype(np.float32).reshape(t.shape)
            mean[t.name] = t.decode(t.codes) + shift
        change = (seen.outputs(mean) - reference) ** 2  # [windows, tokens, vocabulary]; worth is of whole windows
        left[kind] = total + float(np.mean(change.sum(axis=(1, 2))))
    assert found == min(left, key=lambda kind: left[kind])


def _nothing(stored: StoredNetwork) -> Any:
    from qtaml_hw.protection import ProtectionPlan

    return ProtectionPlan.unprotected(stored.image.tensor_starts, stored.image.planes)


def _skewed(planes: int) -> Any:
    from qtaml_hw.channel import FlipChannel

    return FlipChannel.uniform(0.1, planes, direction="1to0")


def test_a_memory_that_cannot_do_its_work_is_refused_before_gradients_or_scores(
    of: Of, monkeypatch: pytest.MonkeyPatch
) -> None:
    def never(*_: object, **__: object) -> Any:
        raise AssertionError("something expensive was begun")

    monkeypatch.setattr(tac, "jacobian_energy", never)
    monkeypatch.setattr(tac, "energies_into", never)
    monkeypatch.setattr("qtaml_hw.study.design.networks.network.Network._outputs", never)
    rate = {"accelerator.inferences_per_second": 100_000_000}
    for policy in ("tac", "none", "uniform"):
        with pytest.raises(InputError, match="inferences per second"):
            prepare(of({**rate, "protection.policy": policy}), Networks())
    with pytest.raises(InputError, match=r"refresh takes .* of every bank"):
        prepare(of({"refresh.interval": "1 ns", "cell.kind": "gain_cell"}), Networks())


def test_records_and_words_of_a_perplexity_study(of: Of, tmp_path: Path) -> None:
    study = of({"protection.policy": "uniform", "flips.p": 0.02})
    result = run(study, store=tmp_path / "store")
    records, read = read_records(tmp_path / "store"), MEASURES["perplexity"]
    assert {record["tokens"] for record in records} == {Networks().load(study).network.tokens}
    assert not any("classes" in record for record in records)
    assert {record["metric_title"] for record in records} == {"Perplexity"}
    mean = np.exp(np.mean([np.log(float(record["metric_value"])) for record in records]))
    assert read.value(result.accuracy.mean) == pytest.approx(float(mean))
    page = (tmp_path / "store" / "report.html").read_text(encoding="utf-8")
    shown = re.sub(r"<(script|style)\b.*?</\1>", "", page, flags=re.DOTALL)
    results = re.sub(r"<[^>]*>", " ", shown).partition("Meaning")[0]  # of every column that there is
    for said in (repr(result), results):
        assert "perplexity" in said.lower()
        assert re.findall(r"\b(?:accuracy|classes|images?)\b", said.lower()) == []


def test_a_design_whose_perplexity_is_too_high_is_given_up_after_few_maps(of: Of) -> None:
    point = prepare(of({"flips.p": 0.2, "protection.policy": "none"}), Networks())
    criterion, drawn = Criterion.of(0.95, None, None), list[Record]()
    while not drawn or not criterion(drawn):
        drawn.append(point.record(len(drawn)))
        assert len(drawn) <= 4
    assert not criterion.is_good(drawn)
    assert criterion.figures(drawn)["metric"] == "perplexity"
    assert criterion.figures(drawn)["target"] == pytest.approx(0.95 * point.facts[F.clean_score])


@pytest.mark.parametrize(
    ("changes", "score"),
    [
        ({}, "fisher"),
        ({"evaluate.metric": "bits_per_byte"}, "fisher"),
        ({"evaluate.metric": "agreement"}, "jacobian"),
        ({"protection.score": "jacobian"}, "jacobian"),
        ({"protection.output": "softmax"}, "jacobian"),
        ({"evaluate.metric": "agreement", "protection.score": "fisher"}, "fisher"),
    ],
)
def test_plans_go_by_the_likelihood_where_it_is_measured_and_no_score_is_named(
    of: Of, changes: dict[str, Any], score: str
) -> None:
    study = of(changes)
    assert study.protection.score == score
    named = study.with_({"protection.score": score})
    assert named.identity() == study.identity()  # whether it is written or meant
    back = study.with_({"evaluate.metric": "agreement"})  # sections that are taken over from a neighbour
    assert back.protection.score == of({**changes, "evaluate.metric": "agreement"}).protection.score
