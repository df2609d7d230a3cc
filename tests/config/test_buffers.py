"""Memories beside the weights': read, told apart, refused."""

from __future__ import annotations

import pytest

from qtaml_hw.config import StudyError, parse_study
from qtaml_hw.config.axes import axes_si
from qtaml_hw.config.designs import design_space

HEAD = "study: a\ncell: {preset: gain-cell-65nm}\n"
KV = """buffers:
  - {name: act, contents: activations, refresh: 20 us}
  - name: kv
    contents: [kv]
    format: bfloat16
    cell:
      - {planes: [0, 1, 2, 3, 4, 5, 6], preset: gain-cell-65nm, t_ox: 2 nm}
      - {planes: [7, 8, 9, 10, 11, 12, 13, 14, 15], preset: edram1t1c-65nm}
    refresh:
      - {planes: [0, 1, 2, 3, 4, 5, 6], interval: off}
      - {planes: [7, 8, 9, 10, 11, 12, 13, 14, 15], interval: 45 us}
    array: {banks: 4}
    tokens: {score: age, relaxed: [{share: 80 %, interval: [4 ms, 1 ms]}]}
"""
BUFFERED = (
    HEAD
    + """buffers:
  - {name: features, contents: activations, cell: {preset: gain-cell-65nm}, refresh: 10 us}
"""
)


def test_a_buffers_field_that_is_set_is_no_longer_swept_whichever_way_it_is_named() -> None:
    text = BUFFERED + "sweep: {grid: {AXIS: [1.6 nm, 1.7 nm], cell.t_ox: [2.0 nm, 2.1 nm]}}\n"
    for axis in ("buffers.0.cell.t_ox", "buffers.features.cell.t_ox"):
        study = parse_study(text.replace("AXIS", axis))
        assert len(study.points()) == 4
        for name in ("buffers.0.cell.t_ox", "buffers.features.cell.t_ox"):
            kept = study.with_({name: "1.75 nm"}).points()
            assert [point.label for point in kept] == ["t_ox=2.0 nm", "t_ox=2.1 nm"]
            assert all(point.study.resolved()["buffers"][0]["cell"]["t_ox_m"] == 1.75e-9 for point in kept)
        assert len(study.with_({"buffers.features.refresh.interval": "20 us"}).points()) == 4


@pytest.mark.parametrize("which", ["0", "features"])
def test_what_is_wrong_with_a_set_field_of_a_buffer_is_said_of_what_set_it(which: str) -> None:
    study = parse_study(BUFFERED)
    for field, value, words in (
        ("refresh.interval", "20", "has no unit"),
        ("cell.t_ox", "99 nm", "99 nm is outside"),
        ("format", "int99", "did you mean 'int8'"),
    ):
        with pytest.raises(StudyError, match=rf"^with_ buffers\[0\]\.{field}: .*{words}"):
            study.with_({f"buffers.{which}.{field}": value})
    with pytest.raises(StudyError, match=r"^with_ buffers\[0\]\.refresh\.intervall: no such field"):
        study.with_({f"buffers.{which}.refresh.intervall": "20 us"})


def test_designs_are_not_compared_over_fields_of_buffers() -> None:
    with pytest.raises(StudyError, match=r"space\.buffers\.features.cell.t_ox: what a buffer costs is not among"):
        parse_study(BUFFERED + "space: {buffers.features.cell.t_ox: [1.6 nm, 1.7 nm]}\n")
    with pytest.raises(StudyError, match="what a buffer costs is not among the costs"):
        parse_study(BUFFERED + "space: {cases: [{label: a, buffers.features.cell.t_ox: 1.6 nm}]}\n")
    with pytest.raises(StudyError, match=r"--over.*what a buffer costs is not among the costs"):
        design_space(parse_study(BUFFERED), ["buffers.features.cell.t_ox"])


def test_a_buffer_has_sections_of_its_own_and_the_weights_stay() -> None:
    plain, study = (
        parse_study(HEAD + "array: {node: 65 nm, banks: 16}\n"),
        parse_study(HEAD + "array: {node: 65 nm, banks: 16}\n" + KV),
    )
    assert plain.buffers == ()
    assert study.array.banks == 16
    act, kv = study.beside
    assert act.study.refresh.interval_s == 20e-6
    assert act.study.cell == study.cell
    assert (kv.study.array.banks, kv.study.array.node_m) == (4, 65e-9)
    assert [one.study.refresh.interval_s for one in kv.study.classes] == [None, 45e-6]
    assert kv.study.classes[0].study.cell.t_ox_m == 2e-9
    assert study.buffers[1].tokens is not None
    assert study.buffers[1].tokens.relaxed[0].interval_s == (4e-3, 1e-3)


def test_identity_is_the_buffers_too_and_that_of_a_study_without_is_as_before() -> None:
    plain, study = parse_study(HEAD), parse_study(HEAD + KV)
    assert "buffers" not in plain.resolved()
    assert study.identity() != plain.identity()
    assert {k: v for k, v in study.resolved().items() if k != "buffers"} == plain.resolved()
    assert study.with_({"buffers.0.name": "other"}).identity() == study.identity()
    assert study.with_({"buffers.0.refresh.interval": "0.02 ms"}).identity() == study.identity()
    assert study.with_({"buffers.0.refresh.interval": "30 us"}).identity() != study.identity()
    assert study.with_({"buffers": None}).identity() == plain.identity()


def test_a_sweep_names_an_item_by_its_place() -> None:
    study = parse_study(HEAD + KV + "sweep: {grid: {buffers.0.refresh.interval: [10 us, 20 us]}}\n")
    assert [point.study.beside[0].study.refresh.interval_s for point in study.points()] == [10e-6, 20e-6]


def test_axes_of_items_have_numbers_in_si_as_those_of_the_weights() -> None:
    """Of buffers, and of lists over planes; words stay words."""
    sweep = (
        "cell.1.t_ox: [1.9 nm], buffers.0.refresh.interval: [10 us], buffers.0.refreshed: [banks], "
        "buffers.0.batch: [4], buffers.1.refresh.interval: [off], buffers.0.array.capacity: [1 MB]"
    )
    cell = "cell: [{planes: [7], kind: sram6t}, {planes: [0, 1, 2, 3, 4, 5, 6], preset: gain-cell-65nm}]\n"
    plain = "buffers:\n  - {name: a, contents: [x], cell: {preset: gain-cell-65nm}}\n"
    study = parse_study(
        f"study: a\n{cell}{plain}{plain[9:].replace('a,', 'b,').replace('[x]', '[y]')}sweep: {{grid: {{{sweep}}}}}\n"
    )
    (point,) = study.points()
    assert axes_si(point) == {
        "cell.1.t_ox": pytest.approx(1.9e-9),
        "buffers.0.refresh.interval": pytest.approx(10e-6),
        "buffers.0.refreshed": "banks",
        "buffers.0.batch": 4,
        "buffers.1.refresh.interval": "off",
        "buffers.0.array.capacity": 8 * 2**20,
    }


@pytest.mark.parametrize(
    ("item", "place", "words"),
    [
        ("{name: a, contents: [x], format: int9}", "f:4:38 buffers[0].format", "int8, int16, float16, bfloat16"),
        ("{name: a, contents: [x], lifetime: 0 s}", "buffers[0].lifetime", "above 0 s"),
        ("{name: a, contents: [x], lifetime: -1 us}", "buffers[0].lifetime", "above 0 s"),
        ("{name: a, contents: [x], foo: 1}", "buffers[0].foo", "unknown key 'foo'"),
        ("{name: a, contents: []}", "buffers[0].contents", "empty"),
        ("{contents: [x]}", "buffers[0]", "missing"),
        ("{name: a, contents: [x], array: {capacity: 1 bit}}", "buffers[0].array.capacity", "one row in each bank"),
        (
            "{name: a, contents: [x], protection: {policy: uniform, planes: 12}}",
            "buffers[0].protection.planes",
            "int8 has 8",
        ),
        ("{name: a, contents: [x], protection: {policy: joint}}", "buffers[0].protection", "those of its format"),
        ("{name: a, contents: [x], tokens: {relaxed: [{share: 1, interval: 1 ms}]}}", "buffers[0]", "has kv"),
        ("{name: a, contents: [x], cell: {preset: gain-cell}}", "buffers[0].cell.preset", "unknown preset"),
        ("7", "buffers[0]", "a buffer is a mapping"),
    ],
)
def test_bad_buffers_are_refused_where_they_stand(item: str, place: str, words: str) -> None:
    with pytest.raises(StudyError) as caught:
        parse_study(f"{HEAD}buffers:\n  - {item}\n", name="f")
    assert len(caught.value.errors) == 1, caught.value
    assert place in str(caught.value)
    assert words in str(caught.value)


def test_a_structure_of_the_weights_is_not_taken_over_silently() -> None:
    burst = "flips: {law: fixed, p: 1 %, structure: {kind: row_burst, length: 4}}\n"
    with pytest.raises(StudyError, match=r"buffers\[0\].*give the buffer flips of its own"):
        parse_study(HEAD + burst + "buffers:\n  - {name: a, contents: [x]}\n")
    plain = "{name: a, contents: [x], flips: {law: fixed, p: 1 %}}"
    assert parse_study(HEAD + burst + f"buffers:\n  - {plain}\n").beside[0].study.flips.structure is None


def test_all_that_is_wrong_is_told_at_once() -> None:
    text = HEAD.replace("65nm", "66nm") + "buffers:\n  - {name: a, contents: [x], format: int9, refresh: 0 s}\n"
    with pytest.raises(StudyError) as caught:
        parse_study(text + "  - {name: a, contents: [x]}\n")
    paths = {problem.path for problem in caught.value.errors}
    assert {"cell.preset", "buffers[0].format", "buffers[0].refresh.interval", "buffers[1].name"} <= paths


@pytest.mark.parametrize("buffers", [KV, ""])
def test_memories_whose_flips_are_read_are_there(buffers: str) -> None:
    with pytest.raises(
        StudyError, match=r":3:\d+ evaluate.faulty: unknown memory 'buffers.akt'; allowed: weights, buffers"
    ):
        parse_study(HEAD + "evaluate: {faulty: [weights, buffers.akt]}\n" + buffers)
    swept = "sweep: {cases: [{label: all}, {label: one, evaluate.faulty: [buffers.kv]}]}\n"
    assert [p.study.evaluate.faulty for p in parse_study(HEAD + KV + swept).points()][1] == ("buffers.kv",)
    with pytest.raises(StudyError, match=r"evaluate.faulty: at the point 'one': unknown memory 'buffers.kv'"):
        parse_study(HEAD + swept).points()


def test_a_runtime_without_layers_holds_no_values() -> None:
    text = HEAD + "network: {file: net.onnx}\nprotection: {policy: none, correction: none}\nevaluate: {RUN}\n"
    with pytest.raises(
        StudyError, match=r"buffers: onnxruntime shows no values .* 'evaluate.runtime: torch'"
    ) as caught:
        parse_study(text.replace("RUN", "runtime: onnxruntime") + KV)
    assert len(caught.value.errors) == 1
    assert len(parse_study(text.replace("RUN", "runtime: torch") + KV).beside) == 2


def test_fused_passes_hold_no_values() -> None:
    with pytest.raises(StudyError, match=r"buffers: fused shows no values .* 'evaluate.compile: exact'") as caught:
        parse_study(HEAD + "evaluate: {compile: fused}\n" + KV)
    assert len(caught.value.errors) == 1
    assert len(parse_study(HEAD + "evaluate: {compile: exact}\n" + KV).beside) == 2


def test_a_change_of_no_item_says_which_there_are() -> None:
    with pytest.raises(StudyError, match=r"buffers\.act\.FIELD, buffers\.kv\.FIELD"):
        parse_study(HEAD + KV).with_({"buffers.7.refresh.interval": "1 us"})


def test_a_buffer_goes_by_its_name_wherever_a_path_names_it() -> None:
    """What ``validate`` and reports print of a buffer can be set and swept as it stands there."""
    study = parse_study(HEAD + KV)
    printed = [path for path in study.provenance if path.startswith("buffers.act.")]
    assert "buffers.act.refresh.interval" in printed
    moved = study.with_({"buffers.act.refresh.interval": "30 us"})
    assert moved.identity() == study.with_({"buffers.0.refresh.interval": "30 us"}).identity()
    assert moved.identity() != study.identity()
    swept = parse_study(HEAD + KV + "sweep: {grid: {buffers.act.refresh.interval: [10 us, 20 us]}}\n").points()
    assert [point.study.beside[0].study.refresh.interval_s for point in swept] == [10e-6, 20e-6]
    assert axes_si(swept[0]) == {"buffers.act.refresh.interval": pytest.approx(10e-6)}
    with pytest.raises(StudyError, match=r"set a field of one item, buffers.act.FIELD, buffers.kv.FIELD"):
        study.with_({"buffers.acts.refresh.interval": "30 us"})


@pytest.mark.parametrize(
    ("old", "new", "place", "said"),
    [
        ("interval: [4 ms, 1 ms]", "interval: [4 ms, 1 ms, 2 ms]", "buffers[1].tokens.relaxed[0].interval",
         "3 intervals are given and the array has 2 row classes: give one, or 2"),
        ("refresh: 20 us}", "refresh: 20 us, partitions: [{holds: x, interval: [1 us, 2 us]}]}",
         "buffers[0].partitions[0].interval", "2 intervals are given and the array has 1 row classes"),
        ("refresh: 20 us}", "refresh: 20 us, array: {banks: 8}, partitions: [{holds: x, interval: 1 us, banks: 9}]}",
         "buffers[0].partitions", "partitions take 9 banks, the array has 8"),
    ],
)  # fmt: skip
def test_refresh_of_tokens_and_partitions_is_known_from_the_file(old: str, new: str, place: str, said: str) -> None:
    with pytest.raises(StudyError) as caught:
        parse_study(HEAD + KV.replace(old, new))
    (problem,) = caught.value.errors
    assert (problem.path, problem.message[: len(said)]) == (place, said)
    assert problem.line == (HEAD + KV.replace(old, new)).split(new)[0].count("\n") + 1


@pytest.mark.parametrize(
    ("buffers", "metric", "said"),
    [
        (KV, "top1", "early: values in buffers are drawn for all images at once: write 'verdicts: whole'"),
        ("", "perplexity", "early counts images, and perplexity counts none: write 'verdicts: whole', or top1, top5"),
        ("", "embedding_cosine", "early counts images, and embedding_cosine counts none"),
    ],
)
def test_early_verdicts_of_what_counts_no_images(buffers: str, metric: str, said: str) -> None:
    with pytest.raises(StudyError) as caught:
        parse_study(HEAD + buffers + f"evaluate:\n  metric: {metric}\n  verdicts: early\n", name="study.yaml")
    (problem,) = caught.value.errors
    assert str(problem).startswith(
        f"study.yaml:{HEAD.count(chr(10)) + buffers.count(chr(10)) + 3}:13 evaluate.verdicts: {said}"
    )
    parse_study(HEAD + buffers + f"evaluate: {{metric: {metric}, verdicts: whole}}\n")
