"""Weights as they are stored: formats, scales, bit planes, and a network as one image."""

from qtaml_hw.weights.formats import ENCODINGS, Encoding, WeightFormat
from qtaml_hw.weights.image import (
    WORD_WEIGHTS,
    Codes,
    Granularity,
    GroupKind,
    StoredImage,
    StoredTensor,
    quantise,
)

__all__ = [
    "ENCODINGS",
    "WORD_WEIGHTS",
    "Codes",
    "Encoding",
    "Granularity",
    "GroupKind",
    "StoredImage",
    "StoredTensor",
    "WeightFormat",
    "quantise",
]
