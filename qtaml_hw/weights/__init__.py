"""Weights as they are stored: formats, scales, bit planes, and a network as one image."""

from qtaml_hw.arrays import Codes
from qtaml_hw.names import FORMATS, Encoding, GroupKind, Specials
from qtaml_hw.weights.codes import BinaryFormat, PowerFormat
from qtaml_hw.weights.cosq import ChannelFormat
from qtaml_hw.weights.floats import LAYOUTS, SPECIALS, FloatFormat
from qtaml_hw.weights.formats import ENCODINGS, LINEAR_ENCODINGS, NumberFormat, UnsignedFormat, WeightFormat
from qtaml_hw.weights.image import WORD_WEIGHTS, StoredImage, StoredTensor
from qtaml_hw.weights.parts import ScalePart
from qtaml_hw.weights.quantise import Clip, quantise
from qtaml_hw.weights.registry import number_format
from qtaml_hw.weights.scales import GRANULARITIES, Granularity, ScaleLayout

__all__ = [
    "ENCODINGS",
    "FORMATS",
    "GRANULARITIES",
    "LAYOUTS",
    "LINEAR_ENCODINGS",
    "SPECIALS",
    "WORD_WEIGHTS",
    "BinaryFormat",
    "ChannelFormat",
    "Clip",
    "Codes",
    "Encoding",
    "FloatFormat",
    "Granularity",
    "GroupKind",
    "NumberFormat",
    "PowerFormat",
    "ScaleLayout",
    "ScalePart",
    "Specials",
    "StoredImage",
    "StoredTensor",
    "UnsignedFormat",
    "WeightFormat",
    "number_format",
    "quantise",
]
