"""Texts as token numbers for an encoder: a user's file with one text per line, or a short list that comes with this."""

from __future__ import annotations

from importlib import resources
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from qtaml_hw.workloads.data import DataSet, data_set
from qtaml_hw.workloads.reading import readable
from qtaml_hw.workloads.tokenizers_of import read_tokenizer

BUILT_IN: Final = "sentences"
CALIBRATION_EVERY: Final = 4  # every fourth text is set aside for sensitivities


def load_texts(texts: str | Path, tokenizer: str | Path, *, tokens: int = 64, calibration: int = 256) -> DataSet:
    """Texts [N, tokens], int64, cut or padded, and labels that are all 0: there are none.

    texts: a UTF-8 file with one text per line, or ``sentences``, 120 of the product's own. tokenizer: the encoder's
    folder, with its tokenizer.json. Every fourth text, at most ``calibration``, is set aside for sensitivities.
    Raises ValueError for files that cannot be read, fewer than two texts, or without the package ``tokenizers``.
    """
    lines = _lines(texts)
    found = _encoded(lines, Path(tokenizer), tokens)
    aside = np.arange(0, len(lines), CALIBRATION_EVERY)[:calibration]
    rest = np.setdiff1d(np.arange(len(lines)), aside)
    none = np.zeros(len(lines), dtype=np.int64)
    return data_set(str(texts), (found[aside], none[aside]), (found[rest], none[rest]), found[aside])


def _lines(texts: str | Path) -> list[str]:
    with readable(texts, "UTF-8 text"):
        if texts == BUILT_IN:
            content = resources.files("qtaml_hw.workloads").joinpath("sentences.txt").read_text(encoding="utf-8")
        else:
            content = Path(texts).read_text(encoding="utf-8")
    lines = [line.strip() for line in content.splitlines() if line.strip()]
    if len(lines) < 2:
        raise ValueError(f"{texts}: at least two texts, one per line, are needed; there are {len(lines)}")
    return lines


def _encoded(lines: list[str], folder: Path, tokens: int) -> npt.NDArray[Any]:
    tokenizer = read_tokenizer(folder)
    with readable(folder / "tokenizer.json", "tokenizer.json"):
        tokenizer.enable_truncation(tokens)
        padding = tokenizer.padding or {}
        tokenizer.enable_padding(
            pad_id=int(padding.get("pad_id", 0)), pad_token=str(padding.get("pad_token", "[PAD]")), length=tokens
        )
        return np.array([one.ids for one in tokenizer.encode_batch(lines)], dtype=np.int64)
