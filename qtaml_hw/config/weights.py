"""The weights section: how a weight is written into bits. The default is an int8 network."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from qtaml_hw.config.kinds import Flag
from qtaml_hw.config.quantities import Section


class WeightsSection(Section):
    """How a weight is written into bits."""

    format: Literal["int8"] = Field("int8", description="number format of a stored weight")
    encoding: Literal["twos_complement", "offset_binary"] = Field("twos_complement", description="bits of a code")
    scale: Literal["per_tensor", "per_channel"] = Field("per_tensor", description="one scale per tensor or channel")
    fold_batch_norm: Flag = Field(False, description="fold batch normalisation into the weights before storage")
