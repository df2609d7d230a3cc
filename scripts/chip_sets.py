"""Chips to test intervals on: images that each of 400 chips answers right, for three networks, without and with dies.

    .venv/bin/python scripts/chip_sets.py tests/records/data/chips.csv

Every column is a design point, every row a chip (fault map); 360 test images, the 65 nm gain cell at 85 degC, refreshed
every 10 us. The thicknesses lie where accuracy begins to fall, which is where samples of chips are most skewed.
"""

import csv
import sys
from pathlib import Path

from qtaml_hw.config import Study, parse_study
from qtaml_hw.records.fields import F
from qtaml_hw.study.design.design import prepare
from qtaml_hw.study.design.networks.loaded import Networks

CHIPS = 400
NETWORKS = ("digits-lenet", "digits-mobilenet", "digits-resnet")
POINTS = tuple((t_ox, die) for t_ox in ("1.85 nm", "1.9 nm") for die in ("0 %", "1.33 %"))
STUDY = """
study: chips
cell: {{preset: gain-cell-65nm, t_ox: {t_ox}, temperature: 85 degC, sigma_t_ox_die: {die}}}
refresh: {{interval: 10 us}}
protection: {{policy: none}}
network: {{name: {network}}}
data: {{name: digits}}
evaluate: {{at: [1 ms], images: 360}}
"""


def chips(study: Study, networks: Networks) -> list[int]:
    """Images that every chip of a design answers right."""
    design = prepare(study, networks)
    return [int(design.record(chip)[F.correct]) for chip in range(CHIPS)]


def main() -> None:
    """Draw all chips of all points and write them."""
    networks, columns = Networks(), dict[str, list[int]]()
    for network in NETWORKS:
        for t_ox, die in (*POINTS, *((("1.95 nm", "2.5 %"),) if network == NETWORKS[0] else ())):
            name = f"{network} {t_ox} die {die}"
            columns[name] = chips(parse_study(STUDY.format(t_ox=t_ox, die=die, network=network)), networks)
            print(name, sum(columns[name]) / CHIPS / 360, flush=True)
    with Path(sys.argv[1]).open("w", newline="") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow(columns)
        table.writerows(zip(*columns.values(), strict=True))


if __name__ == "__main__":
    main()
