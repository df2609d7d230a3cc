"""The public names of ``qtaml_hw.hardening``, each with where it is defined: the one table behind ``__init__.py``."""

from qtaml_hw.hardening.method import METHODS as METHODS
from qtaml_hw.hardening.method import Hardening as Hardening
from qtaml_hw.hardening.network import fine_tuned as fine_tuned
from qtaml_hw.hardening.network import hardened as hardened
from qtaml_hw.hardening.steps import practice as practice
from qtaml_hw.names import Method as Method
