"""Where networks compute: a torch device by its name, there and usable, or a reason why not."""

from __future__ import annotations

import torch

from qtaml_hw.errors import InputError


def place(name: str) -> torch.device:
    """The device of that name; ``auto`` is a CUDA device where there is one, else the processor.

    Raises InputError with torch's reason when no code can go there and come back.
    """
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        torch.zeros(1, dtype=torch.uint8, device=name).cpu()
    except (AssertionError, RuntimeError, ImportError) as error:  # as torch raises them, by kind of device
        there = "cpu, cuda" if torch.cuda.is_available() else "cpu"
        reason = (str(error).splitlines() or ["no reason given"])[0].rstrip(".")
        raise InputError(f"device {name!r} cannot be used on this machine, {there} can: {reason}") from error
    return torch.device(name)


def titled(device: torch.device) -> str:
    """The device as records name it: ``cpu``, or its kind and model."""
    return f"cuda ({torch.cuda.get_device_name(device)})" if device.type == "cuda" else device.type
