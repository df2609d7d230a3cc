"""A memory without a network costs what it costs with one."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import pytest
from typer.testing import CliRunner

import qtaml_hw as q
from qtaml_hw.accelerator.topology import CONV_HEADING, read_topology
from qtaml_hw.cli.app import app
from qtaml_hw.config import Study, parse_study
from qtaml_hw.errors import InputError
from qtaml_hw.study.design.design import prepare
from qtaml_hw.study.design.networks.loaded import Networks

TEXT = """
cell: {t_ox: 1.9 nm, temperature: 85 degC}
array: {banks: 3}
refresh: 10 us
protection: {policy: uniform, planes: 2, menu: [secded-72-64], correction: none}
network: digits-lenet
data: digits
evaluate: {at: [1 ms], images: 20, maps: {min: 2, max: 2}}
"""
SHARED = (
    "area_m2",
    "area_low_m2",
    "codec_area_m2",
    "energy_per_inference_j",
    "energy_high_j",
    "refresh_energy_j",
    "codec_energy_j",
    "read_latency_s",
    "parity_bits_fraction",
    "stored_bits_per_weight",
    "cycles_per_inference",
)


@pytest.fixture(scope="module")
def study() -> Study:
    return parse_study(TEXT)


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"accelerator.dataflow": "output_stationary", "weights.scale": "per_channel"},
        {"protection.policy": "none", "refresh.interval": "off"},
        {"protection.planes": None, "protection.budget.parity": "2 %", "weights.format": "int4"},
        {"protection.menu": ["refresh-2x"]},
    ],
)
def test_layers_listed_by_us_cost_what_the_record_says(
    study: Study, changes: dict[str, object], tmp_path: Path
) -> None:
    asked = study.with_(changes)
    file = tmp_path / "net.csv"
    file.write_text(q.topology(asked), encoding="utf-8")
    found, record = q.price(asked, topology=file).as_dict(), prepare(asked, Networks(None)).facts
    for name in SHARED:
        assert found[name] == pytest.approx(record[name], rel=1e-12), name
    shares = (found["refresh_bandwidth_share"], record["refresh_bandwidth_share"])
    assert shares[0] == pytest.approx(shares[1], rel=0.0102)  # the record counts the 99 passes of its 1 ms
    assert found["weights"] == 31032
    assert found["accuracy"] is None


def test_a_topology_has_a_line_for_every_product(study: Study) -> None:
    rows = list(csv.reader(io.StringIO(q.topology(study))))
    assert rows[0] == ["Layer", "M", "N", "K"]
    assert [int(row[2]) * int(row[3]) for row in rows[1:]] == [144, 4608, 15360, 10080, 840]


def test_convolutions_are_their_products(tmp_path: Path) -> None:
    """AlexNet's first layer in SCALE-Sim's own file: 227 x 227 x 3, 96 filters of 11 x 11, stride 4 -> 55 x 55."""
    file = tmp_path / "conv.csv"
    heading = "Layer name, IFMAP Height, IFMAP Width, Filter Height, Filter Width, Channels, Num Filter, Strides,\n"
    file.write_text(
        heading + "Conv1, 227, 227, 11, 11, 3, 96, 4,\n\nFC, 1, 1, 1, 1, 9216, 4096, 1,\nFC, 1,1,1,1,2,3,1\n"
    )
    first, second, third = read_topology(file)
    assert (first.m, first.k, first.n) == (55 * 55, 363, 96)
    assert (second.m, second.k, second.n, third.name) == (1, 9216, 4096, "FC#2")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "the file is empty"),
        ("Layer,M,N,K\n", "no layer"),
        ("a,b\n1,2\n", r":1: the heading is neither 'Layer, M, N, K' or 'Layer name, IFMAP Height"),
        ("Layer,M,N,K\nx,1,2\n", ":2: 3 values where 4 are wanted"),
        ("Layer,M,N,K\nx,1,-2,3\n", ":2: N must be a whole number from 1 up"),
        ("Layer,M,N,K\nx,1,1e3,3\n", ":2: N must be"),
        (
            f"{','.join(CONV_HEADING)}\nc,3,3,5,5,1,1,1\n",
            "a filter of 5 x 5 does not fit an input of 3 x 3",
        ),
    ],
)
def test_files_of_neither_form_are_refused(study: Study, text: str, said: str, tmp_path: Path) -> None:
    file = tmp_path / "net.csv"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(InputError, match=said):
        q.price(study, topology=file)


def test_weights_alone_are_read_once(study: Study) -> None:
    found = q.price(study, weights=2**20).as_dict()
    assert found["data_bits"] == 2**23
    access = found["access"]
    words = 2**21 // 64
    accesses = (2**23 + 8 * words) // 64
    hardware = q.ecc.code("secded-72-64").hardware(45e-9)
    read_j = found["weight_read_energy_j"] / accesses + words * hardware.decode_energy_j / accesses
    assert access["read_energy_j"] == pytest.approx(read_j, rel=1e-4)  # whole accesses of every bank
    assert found["refresh_energy_j"] == pytest.approx(access["refresh_w"] / 1000.0, rel=1e-9)


def test_a_refresh_that_takes_all_time_is_told(study: Study) -> None:
    """A memory that refreshes for longer than its interval has a price, and does nothing else."""
    assert q.price(study.with_({"refresh.interval": "1 ms"}), weights=2**20).warnings == []
    busy = q.price(study.with_({"refresh.interval": "2 us"}), weights=2**20)
    share = busy["refresh_bandwidth_share"]
    assert share > 1.0
    (told,) = busy.warnings
    assert told.startswith(f"refresh takes {100 * share:.4g} % of the banks' time: the memory does nothing but refresh")
    assert set(busy.as_dict()) == set(q.price(study, weights=2**20).as_dict())


def test_what_needs_a_network_is_refused(study: Study, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="policy tac needs a network"):
        q.price(study.with_({"protection.policy": "tac", "protection.planes": None}), weights=100)
    with pytest.raises(InputError, match="one of the two"):
        q.price(study)
    with pytest.raises(InputError, match="weights must be from 1 up"):
        q.price(study, weights=0)
    file = tmp_path / "s.yaml"
    file.write_text(TEXT, encoding="utf-8")
    shown = CliRunner().invoke(app, ["price", str(file), "--weights", "4194304"])
    assert shown.exit_code == 0, shown.output
    assert "4,194,304" in shown.stdout
    assert "accuracy is not asked" in shown.stderr
    listed = CliRunner().invoke(app, ["topology", str(file), "-q"])
    assert listed.stdout.startswith("Layer,M,N,K\n")
