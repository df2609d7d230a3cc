"""What a study file may say, section by section: each mistake has its place, its reason and what is allowed."""

from __future__ import annotations

import pytest

from qtaml_hw.config import Study, StudyError, parse_study

MISTAKES = {
    "unknown section": ("cel: {t_ox: 1 nm}", "1:1 cel: unknown section 'cel'", "did you mean 'cell'"),
    "field outside its section": ("t_ox: 1 nm", "1:1 t_ox: unknown section", "did you mean 'cell.t_ox'"),
    "unknown key": ("cell:\n  t_oxx: 1 nm", "2:3 cell.t_oxx: unknown key 't_oxx'", "did you mean 't_ox'"),
    "unknown nested key": ("evaluate: {maps: {mni: 3}}", "1:19 evaluate.maps.mni: unknown key", "did you mean 'min'"),
    "key of another section": ("refresh: {seed: 3}", "1:11 refresh.seed: unknown key", "or 'evaluate.seed'"),
    "missing unit": ("cell: {t_ox: 1.8}", "1:14 cell.t_ox: 1.8 has no unit", "1.2 nm"),
    "wrong unit": ("cell: {t_ox: 1.8 V}", "1:14 cell.t_ox: 'V' is not a unit of length", "nm"),
    "too thick": ("cell: {t_ox: 1.8 m}", "1:14 cell.t_ox: 1.8 m is outside", "10 nm"),
    "negative": ("cell: {t_ox: -1 nm}", "1:14 cell.t_ox: -1 nm is outside", "400 pm"),
    "v_ref above v_dd": ("cell: {v_dd: 1 V, v_ref: 1.2 V}", "1:26 cell.v_ref: 1.2 V", "v_dd"),
    "v_dd below the preset's v_ref": ("cell: {v_dd: 0.4 V}", "1:14 cell.v_dd: 500 mV", "v_ref is 0.5 V in the preset"),
    "unknown kind": ("cell: {kind: sram}", "1:14 cell.kind: unknown kind of cell 'sram'", "did you mean 'sram6t'"),
    "field of another kind": (
        "cell: {kind: sram6t, v_ref: 1 V}",
        "1:22 cell.v_ref: 'v_ref' is a field of other",
        "v_th_n",
    ),
    "unknown preset": (
        "cell: {preset: gain-cell}",
        "1:16 cell.preset: unknown preset",
        "did you mean 'gain-cell-65nm'",
    ),
    "preset of another kind": ("cell: {kind: edram1t1c, preset: gain-cell-65nm}", "1:33 cell.preset", "edram1t1c-65nm"),
    "no value": ("cell:\n  t_ox:\n", "2:8 cell.t_ox: has no value", "remove the line"),
    "section as a number": ("weights: 3", "1:10 weights: expected a mapping", "encoding"),
    "section as a list": ("cell: [1]", "1:8 cell[0]: an item of a list over planes", "planes: [7]"),
    "unknown law": ("flips: {law: fixd}", "1:14 flips.law: unknown value 'fixd'", "did you mean 'fixed'"),
    "p with another law": ("flips: {p: 0.1}", "1:12 flips.p: p is stated for the law fixed only", "law: fixed"),
    "direction with another law": (
        "flips: {law: poisson, direction: 1to0}",
        "1:34 flips.direction",
        "laws fixed, curve and voltage only",
    ),
    "fixed without p": ("flips: fixed", "1:8 flips.law: law fixed needs p", "p: 0.10"),
    "p above 1": ("flips: {law: fixed, p: 110 %}", "1:24 flips.p: 110 % is out of range", "at most 100 %"),
    "node without figures": ("array: {node: 28 nm}", "1:15 array.node: 28 nm has no fitted figures", "32 nm"),
    "broken words": ("array: {row_bits: 100}", "1:19 array.row_bits", "not a whole number of words of word_bits 64"),
    "no bank": ("array: {banks: 0}", "1:16 array.banks: 0 is out of range", "at least 1"),
    "truth value as a number": ("array: {banks: true}", "1:16 array.banks: expected a whole number", "True"),
    "fraction of a bank": ("array: {banks: 1.5}", "1:16 array.banks: expected a whole number", "1.5"),
    "capacity below a row": ("array: {capacity: 512 B}", "1:19 array.capacity", "8192 bit"),
    "refresh of a static cell": ("cell: {kind: sram6t}\nrefresh: 10 us", "2:10 refresh.interval", "'refresh: off'"),
    "decay without time": ("refresh: off", "1:10 evaluate.at: without refresh", "at: [10 us, 100 us]"),
    "no refresh at all": ("refresh: 0 s", "1:10 refresh.interval: 0 s is out of range", "above 0 s"),
    "yes as a truth value": ("weights: {fold_batch_norm: yes}", "1:28 weights.fold_batch_norm: expected true", "'yes'"),
    "inverted planes before the end": (
        "weights: {transforms: [invert_planes, equalise]}",
        "1:23 weights.transforms: invert_planes chooses",
        "always the last step: [equalise, invert_planes]",
    ),
    "unknown encoding": ("weights: {encoding: twos}", "1:21 weights.encoding: unknown value", "twos_complement"),
    "unknown policy": ("protection: {policy: tacc}", "1:22 protection.policy: unknown policy", "did you mean 'tac'"),
    "two budgets": (
        "protection: {budget: {bits: 5 %, area: 1 mm2}}",
        "1:29 protection.budget.bits",
        "got bits and area",
    ),
    "no budget": ("protection: {budget: {}}", "1:22 protection.budget: a budget has exactly one", "got none"),
    "budget without currency": (
        "protection: {budget: 5 %}",
        "1:22 protection.budget: expected a mapping",
        "bits, parity",
    ),
    "planes and budget": (
        "protection: {policy: uniform, planes: 2, budget: {bits: 1 %}}",
        "protection.planes",
        "keep one",
    ),
    "planes for tac": ("protection: {policy: tac, planes: 2}", "1:35 protection.planes", "uniform"),
    "empty menu": ("protection: {menu: []}", "1:20 protection.menu: the list is empty", "at least one"),
    "menu with duplicates": (
        "protection: {menu: [ideal, ideal]}",
        "1:20 protection.menu: 'ideal' is listed twice",
        "once",
    ),
    "unknown code": ("protection: {menu: [secded-72-65]}", "1:21 protection.menu[0]: unknown", "'secded-72-64'?"),
    "unknown network": ("network: digits-vg", "1:10 network.name: unknown network", "did you mean 'digits-vgg'"),
    "two networks": ("network: {name: digits-vgg, factory: a:b}", "1:17 network.name", "got name and factory"),
    "no factory": ("network: {factory: a.b}", "1:20 network.factory", "package.module:function"),
    "pickled weights": ("network: {factory: a:b, weights: w.pt}", "1:34 network.weights", ".safetensors"),
    "weights without factory": ("network: {weights: w.safetensors}", "1:20 network.weights", "goes with a factory"),
    "unknown data": ("data: mnist", "1:7 data.name: unknown data set", "digits"),
    "half of idx": ("data: {idx: {images: a}}", "1:22 data.idx.labels: is missing", ""),
    "not npz": ("data: {npz: a.csv}", "1:13 data.npz.path", ".npz"),
    "minimum above maximum": (
        "evaluate: {maps: {min: 9, max: 8}}",
        "1:24 evaluate.maps.min: min 9 is more than max 8",
        "",
    ),
    "one map": ("evaluate: {maps: {min: 1}}", "1:24 evaluate.maps.min: 1 is out of range", "at least 2"),
    "no interval": ("evaluate: {maps: {ci95_halfwidth: 0 %}}", "1:35 evaluate.maps.ci95_halfwidth: 0 %", "above 0 %"),
    "times that fall": (
        "evaluate: {at: [2 ms, 1 ms]}",
        "1:16 evaluate.at: times must increase",
        "1 ms comes after 2 ms",
    ),
    "no time": ("evaluate: {at: []}", "1:16 evaluate.at: the list is empty", ""),
    "wrong unit in a list": ("evaluate: {at: [1 ms, 2 nm]}", "1:23 evaluate.at[1]: 'nm'", "did you mean 'ns'"),
    "negative seed": ("evaluate: {seed: -1}", "1:18 evaluate.seed: -1 is out of range", "at least 0"),
    "unknown dataflow": (
        "accelerator: {dataflow: ws}",
        "1:25 accelerator.dataflow: unknown value",
        "weight_stationary",
    ),
    "bits chosen of a file's codes": (
        "weights: {format: file}\nprotection: {policy: joint}",
        "1:19 weights.format: the policy joint rounds weights anew",
        "name an integer format",
    ),
    "label as a number": ("study: 5", "1:8 study: expected a name", "5"),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_mistake_has_place_reason_and_what_is_allowed(name: str) -> None:
    text, start, needle = MISTAKES[name]
    with pytest.raises(StudyError) as caught:
        parse_study(text, name="f.yaml")
    assert len(caught.value.errors) == 1, str(caught.value)
    message = str(caught.value)
    assert start in message
    assert needle in message
    assert "\n" not in message


@pytest.mark.parametrize(
    "text",
    [
        "study:",
        "cell:\n",
        "refresh: off\nevaluate: {at: 10 us}",
        "refresh: off\nflips: {law: fixed, p: 10 %}",
        "cell: {kind: sram6t}",
        "cell: {kind: sram6t}\nrefresh: off",
        "cell: {preset: gain-cell-65nm-pmos, temperature: 300 K}",
        "protection: {policy: none, planes: 0}",
        "protection: {policy: uniform, planes: 8, menu: parity-zero}",
        "protection: {budget: {energy: 2 pJ}}",
        "network: {factory: 'a.b:c', weights: w.safetensors, arguments: {width: 3, names: [x]}}",
        "data: {idx: {images: a, labels: b}, preprocessing: {mean: 0.5}}",
        "data: {npz: mine.npz}\n",
        "data: {npz: {path: mine.npz, x: test_x, y: test_y, train_x: tx, train_y: ty}}\n",
        "array: {capacity: 4 MB, node: 0.065 um}",
        "study: Gerät für Öl 界\n",
    ],
)
def test_what_is_allowed_runs(text: str) -> None:
    assert isinstance(parse_study(text), Study)


def test_defaults_run_and_follow_the_cell() -> None:
    gain = parse_study("study: a")
    assert (gain.cell.kind, gain.cell.preset) == ("gain_cell", "gain-cell-65nm")
    assert gain.refresh.interval_s == 10e-6
    assert not gain.scrub.on
    assert gain.protection.budget is not None
    assert (gain.protection.budget.kind, gain.protection.budget.value) == ("bits", 0.05)
    assert gain.protection.menu == ("ideal",)
    assert (gain.network.name, gain.data.name) == ("digits-lenet", "digits")
    assert gain.evaluate.at_s == (1e-3,)
    assert parse_study("cell: {kind: edram1t1c}").refresh.interval_s == 40e-6
    assert not parse_study("cell: {kind: sram6t}").refresh.on


def test_attributes_are_in_si() -> None:
    study = parse_study(
        "cell: {t_ox: 18 Å, temperature: 105 degC}\nrefresh: 40 us\naccelerator: {clock: 0.5 GHz}\n"
        "protection: {policy: tac, budget: {area: 0.1 mm2}}\narray: {capacity: 512 KB}\n"
    )
    assert study.cell.t_ox_m == 1.8e-9
    assert study.cell.temperature_k == 378.15
    assert study.refresh.interval_s == 40e-6
    assert study.accelerator.clock_hz == 5e8
    assert study.protection.budget is not None
    assert study.protection.budget.area_m2 == 1e-7
    assert study.array.capacity_bits == 512 * 8192


def test_a_study_is_frozen() -> None:
    study = parse_study("study: a")
    with pytest.raises(ValueError, match="frozen"):
        study.cell.t_ox_m = 1e-9
    with pytest.raises(ValueError, match="frozen"):
        study.label = "b"


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("secded-72-64", "secded-72-64"),
        ("SECDED-72-64", "secded-72-64"),
        ("hsiao-72-64", "secded-72-64"),
        ("tmr", "repeat-3"),
        ("golay", "golay-24-12"),
        ("bch-71-64", "bch-71-64"),
        ("hamming-63-57", "hamming-63-57"),
        ("refresh-3x", "refresh-3x"),
        ("refresh-1.5x", "refresh-1.5x"),
        ("parity-zero-4", "parity-zero-4"),
        ("mycode.json", "mycode.json"),
        ("./codes/Mine.alist", "./codes/Mine.alist"),
    ],
)
def test_the_menu_takes_every_size_of_a_family_and_code_files(written: str, meant: str) -> None:
    text = f"cell: {{preset: sram6t-65nm}}\nprotection: {{policy: uniform, menu: ['{written}']}}\n"
    assert parse_study(text).protection.menu == (meant,)
    assert parse_study(text).identity() == parse_study(text.replace(written, meant)).identity()


@pytest.mark.parametrize("name", ["ldpc-100-0.4", "ldpc-16384", "ldpc-16384-0.95"])
def test_a_long_block_that_is_none_says_which_there_are(name: str) -> None:
    with pytest.raises(StudyError, match=r"N = 1024 to 16384 bits, a share R = 0\.25 to 0\.9"):
        parse_study(f"protection: {{policy: uniform, planes: 1, menu: [{name}]}}")


@pytest.mark.parametrize("name", ["secded-72", "mycode.txt", "none", "bch-7a-64", "refresh-x", "x" * 5000 + ".json"])
def test_what_is_no_protection_is_refused(name: str) -> None:
    with pytest.raises(StudyError, match="unknown protection"):
        parse_study(f"cell: {{preset: sram6t-65nm}}\nprotection: {{policy: uniform, menu: ['{name}']}}\n")
