"""A long run of the attacks that the tests make in short: mutated studies, damaged files, edited stores, kills.

``scripts/fuzz 600`` spends ten minutes, a quarter on each kind of attack, with seeds that count up from ``--seed``, and
prints for each how many cases were read, how many refused in words, and every failure: a case that ended otherwise.
Exit code 1 when there is one.
"""

from __future__ import annotations

import argparse
import io
import json
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path

import torch
from safetensors.torch import save_file

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from qtaml_hw import cli, sweep  # noqa: E402  # the checkout's own
from qtaml_hw.config import parse_study  # noqa: E402
from qtaml_hw.errors import InputError  # noqa: E402
from qtaml_hw.records.store import read_records  # noqa: E402
from qtaml_hw.workloads.factory import load_weights  # noqa: E402
from qtaml_hw.workloads.files import load_idx, load_npz  # noqa: E402
from tests import test_fuzz as attacks  # noqa: E402
from tests.records import test_edited as edits  # noqa: E402

Attack = Callable[[random.Random, Path], str]
"""One case in a folder of its own: ``read`` or ``refused``; anything else is a failure, as is any exception."""


def study(draw: random.Random, folder: Path) -> str:
    """A shipped study mutated, through the command line."""
    text = draw.choice(attacks.MUTATIONS)(draw.choice(attacks.CONFIGS), draw)
    file = folder / "study.yaml"
    file.write_bytes(text.encode("utf-8", "surrogatepass"))
    sys.argv = ["qtaml-hw", "validate", str(file)]
    out, err = io.StringIO(), io.StringIO()
    with redirect_stdout(out), redirect_stderr(err):
        try:
            cli.main()
        except SystemExit as stopped:
            code = stopped.code or 0
            return {0: "read", 2: "refused"}.get(code, f"exit code {code}: {err.getvalue()}")
    return "no exit"


def weights(draw: random.Random, folder: Path) -> str:
    """A damaged safetensors file."""
    module, path = torch.nn.Linear(3, 2), folder / "w.safetensors"
    save_file(dict(module.state_dict()), path)
    path.write_bytes(attacks.damaged(path.read_bytes(), draw))
    return _tried(lambda: load_weights(module, path))


def arrays(draw: random.Random, folder: Path) -> str:
    """A damaged npz archive, whole or in a member."""
    images, labels = (attacks.npy(array) for array in attacks.ARRAYS)
    inner = attacks.npz(attacks.damaged(images, draw), labels), attacks.npz(images, attacks.damaged(labels, draw))
    (folder / "a.npz").write_bytes(draw.choice((*inner, attacks.damaged(attacks.npz(images, labels), draw))))
    return _tried(lambda: load_npz(folder / "a.npz"))


def idx(draw: random.Random, folder: Path) -> str:
    """Damaged IDX images or labels."""
    for name, whole in zip("xy", attacks.IDX, strict=True):
        (folder / name).write_bytes(attacks.damaged(whole, draw) if draw.random() < 0.7 else whole)
    return _tried(lambda: load_idx(folder / "x", folder / "y"))


def edited(draw: random.Random, folder: Path) -> str:
    """A store in which somebody changed a value, through everything that reads stores."""
    edits.edited(_whole(), folder / "store", draw)
    uses = edits.uses(folder / "store", folder / "out", drawn=draw.random() < 0.05)
    return "refused" if "refused" in [_tried(use) for use in uses] else "read"


def killed(draw: random.Random, folder: Path) -> str:
    """A sweep on two processes killed at any time, then run again: the records of a whole one."""
    (folder / "study.yaml").write_text(edits.STUDY)
    command = [sys.executable, "-m", "qtaml_hw.cli", "sweep", "study.yaml", "--jobs", "2", "--out", "out", "--quiet"]
    first = subprocess.Popen(command, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        first.wait(timeout=draw.uniform(0.5, 30.0))
    except subprocess.TimeoutExpired:
        first.send_signal(draw.choice((signal.SIGKILL, signal.SIGTERM, signal.SIGINT)))
        first.wait(timeout=60)
    again = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=600, check=False)
    if again.returncode:
        return f"exit code {again.returncode}: {again.stderr}"
    found, expected = (
        [json.dumps(dict(r), sort_keys=True) for r in read_records(p)] for p in (folder / "out", _whole())
    )
    return "read" if found == expected else "other records"


def _tried(attempt: Callable[[], object]) -> str:
    try:
        attempt()
    except (InputError, ValueError):
        return "refused"
    return "read"


_WHOLE: list[Path] = []


def _whole() -> Path:
    """A store that nobody touched."""
    if not _WHOLE:
        folder = Path(tempfile.mkdtemp(prefix="qtaml-fuzz-")) / "whole"
        sweep(parse_study(edits.STUDY, name="study.yaml"), store=folder)
        _WHOLE.append(folder)
    return _WHOLE[0]


KINDS: dict[str, tuple[Attack, ...]] = {
    "mutated studies": (study,),
    "damaged files": (weights, arrays, idx),
    "edited stores": (edited,),
    "kills": (killed,),
}


def cases(kind: str, seconds: float, seed: int) -> Iterator[tuple[str, str]]:
    """(case, how it ended) until the time is over."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        attack = KINDS[kind][seed % len(KINDS[kind])]
        with tempfile.TemporaryDirectory() as folder:
            try:
                ended = attack(random.Random(f"{attack.__name__} {seed}"), Path(folder))
            except Exception as error:
                ended = f"{type(error).__name__}: {error}"
        yield f"{attack.__name__} {seed}", ended
        seed += 1


def main() -> int:
    """Every kind for its share of the time; the number of kinds with a failure is not hidden by the others."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("seconds", nargs="?", type=float, default=600.0)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", choices=KINDS)
    given = parser.parse_args()
    chosen, failures = [given.only] if given.only else list(KINDS), 0
    for kind in chosen:
        counts = Counter[str]()
        for case, ended in cases(kind, given.seconds / len(chosen), given.seed):
            counts[ended if ended in ("read", "refused") else "failed"] += 1
            if ended not in ("read", "refused"):
                failures += 1
                print(f"FAILED {case}: {' '.join(ended.split())[:300]}", flush=True)
        listed = ", ".join(f"{counts[name]} {name}" for name in ("read", "refused", "failed"))
        print(f"{kind}: {counts.total()} cases: {listed}", flush=True)
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
