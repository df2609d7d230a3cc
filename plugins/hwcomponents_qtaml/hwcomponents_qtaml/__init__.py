"""Memories of qtaml_hw as components of hwcomponents and AccelForge, which find packages of this name themselves."""

from hwcomponents_qtaml.memory import LeakyMemory as LeakyMemory
