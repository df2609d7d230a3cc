"""Long texts in windows of token numbers, for a language model that is asked for the next token.

A window sees ``tokens`` tokens; the next begins ``stride`` further on.  A token is judged once, in the first window
that it is a label of, so that every one has more than ``tokens - stride`` tokens before it but at its text's beginning.
The first token of a text has none before it and is not judged.
"""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import Final

import numpy as np

from qtaml_hw.arrays import Int64
from qtaml_hw.workloads.data import DataSet, Windows, data_set, spread
from qtaml_hw.workloads.reading import readable
from qtaml_hw.workloads.tokenizers_of import Encode

DESCRIPTIONS: Final = "dataset-descriptions"
"""The texts in which scikit-learn describes its data sets (sklearn/datasets/descr, BSD-3-Clause), in order of name."""

IGNORED: Final = -100  # label of a token that is not judged (torch's ignore_index)
ASIDE_EVERY: Final = 4  # every fourth text is set aside for sensitivities
FEWEST_TEXTS: Final = 2


def load_windows(
    texts: str | Path, encode: Encode, *, tokens: int = 128, stride: int | None = None, calibration: int = 8
) -> DataSet:
    """Windows [N, tokens] with a label for every token [N, tokens], int64; -100 is not judged.

    texts: a UTF-8 file, in which blank lines of three or more stand between texts, or ``dataset-descriptions``.  Every
    fourth text is set aside whole, at most ``calibration`` windows of it, evenly.  stride: None is half a window.
    Raises ValueError for files that cannot be read, fewer than two texts, or a stride longer than a window.
    """
    step = max(tokens // 2, 1) if stride is None else stride
    if not 1 <= step <= tokens:
        raise ValueError(f"a stride of {step} tokens leaves tokens out of windows of {tokens}")
    whole = _texts(texts)
    cut = [_cut(*encode(text), tokens, step) for text in whole]
    aside = [i for i in range(len(whole)) if i % ASIDE_EVERY == 0]
    seen, judged = (np.concatenate([cut[i][part] for i in aside]) for part in range(2))
    seen = _whole(seen, judged)
    seen = seen[spread(len(seen), calibration)]
    rest = [i for i in range(len(whole)) if i % ASIDE_EVERY]
    x, y, sizes = (np.concatenate([cut[i][part] for i in rest]) for part in range(3))
    numbers = np.concatenate([np.full(len(cut[i][0]), i, dtype=np.int64) for i in rest])
    none = np.full(seen.shape, IGNORED, dtype=np.int64)
    return data_set(str(texts), (seen, none), (x, y), seen, Windows(numbers, sizes))


def _texts(texts: str | Path) -> list[str]:
    with readable(texts, "UTF-8 text"):
        if texts == DESCRIPTIONS:
            found = [file.read_text(encoding="utf-8") for file in sorted(_descriptions().glob("*.rst"))]
        else:
            found = Path(texts).read_text(encoding="utf-8").split("\n\n\n\n")
    found = [text.strip() for text in found if text.strip()]
    if len(found) < FEWEST_TEXTS:
        raise ValueError(
            f"{texts}: at least two texts are needed, as one is set aside; three blank lines stand between texts"
        )
    return found


def _whole(windows: Int64, labels: Int64) -> Int64:
    """Windows without padding at their end, where there are any.

    Nobody asks what comes after padding, and logits there answer to weights a hundred times as strongly as to text.
    """
    full = labels[:, -1] != IGNORED
    return windows[full] if full.any() else windows


def _descriptions() -> Path:
    """The folder of the texts; scikit-learn itself, which would take 80 MB, is not loaded."""
    spec = find_spec("sklearn")
    if spec is None or not spec.submodule_search_locations:
        raise ValueError("scikit-learn is not installed")
    return Path(spec.submodule_search_locations[0]) / "datasets" / "descr"


def _cut(ids: list[int], sizes: list[int], tokens: int, stride: int) -> tuple[Int64, Int64, Int64]:
    """Windows and labels [N, tokens] of a text, and the bytes of the judged tokens [N]."""
    windows, labels, judged = [], [], []
    done, last = 0, max(len(ids) - 1, 0)
    for start in range(0, max(last, 1), stride):
        end = min(start + tokens, last)
        if end <= done:
            break
        x, y = np.zeros(tokens, dtype=np.int64), np.full(tokens, IGNORED, dtype=np.int64)
        x[: end - start] = ids[start:end]
        y[done - start : end - start] = ids[done + 1 : end + 1]
        windows.append(x)
        labels.append(y)
        judged.append(sum(sizes[done + 1 : end + 1]))
        done = end
    shape = (len(windows), tokens)
    return np.array(windows).reshape(shape), np.array(labels).reshape(shape), np.array(judged, dtype=np.int64)
