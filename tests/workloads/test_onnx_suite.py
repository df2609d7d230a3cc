"""The ONNX project's own tests within the operator table: equal to onnxruntime or refused in one line, never else."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
import torch

pytest.importorskip("onnx", reason="reads .onnx files: pip install 'qtaml-hw[onnx]'")
ort = pytest.importorskip("onnxruntime", reason="the peer of the ONNX importer")

from qtaml_hw.workloads.onnx.graph import Importer  # noqa: E402
from qtaml_hw.workloads.onnx.operators import OPS  # noqa: E402
from tests.workloads.onnx_suite import Case, cases  # noqa: E402


def by_onnxruntime(case: Case) -> np.ndarray:
    """The peer's result; the suite's own where onnxruntime no longer runs an old definition or a type."""
    options = ort.SessionOptions()
    options.intra_op_num_threads, options.log_severity_level = 1, 4
    try:
        session = ort.InferenceSession(case.model.SerializeToString(), options, providers=["CPUExecutionProvider"])
        found = session.run(None, {session.get_inputs()[0].name: case.x})[0]
    except Exception:  # of its own kinds, all below Exception
        return case.expected
    return np.asarray(found)


def judged(case: Case) -> str:
    try:
        importer = Importer(case.model, OPS)
        network = importer.network()
        kind = np.int64 if importer.input_type == torch.int64 else np.float32
        with torch.inference_mode():
            found = network(torch.from_numpy(case.x.astype(kind))).numpy()
    except ValueError as error:
        one_line = "\n" not in str(error) and len(str(error)) < 800
        return "refused" if one_line else f"{case.name}: {error}"
    except Exception as error:
        return f"{case.name}: {type(error).__name__}: {error}"
    expected = by_onnxruntime(case)
    room = {"rtol": 1e-3, "atol": 1e-4, "equal_nan": True}
    same = found.shape == expected.shape and np.allclose(found.astype(float), expected.astype(float), **room)
    return "equal" if same else f"{case.name} differs: {found.shape}, {expected.shape}"


@pytest.mark.filterwarnings("ignore")
def test_every_case_is_equal_or_refused_in_words() -> None:
    verdicts = Counter(judged(case) for case in cases())
    assert verdicts.keys() == {"equal", "refused"}, verdicts
    assert verdicts["equal"] >= 360  # of 657 in onnx 1.23: 376, and 281 are refused
