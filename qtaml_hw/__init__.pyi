"""The public names of ``qtaml_hw``, each with where it is defined: the one table behind ``__init__.py``."""

from qtaml_hw import accelerator as accelerator
from qtaml_hw import channel as channel
from qtaml_hw import config as config
from qtaml_hw import device as device
from qtaml_hw import ecc as ecc
from qtaml_hw import faults as faults
from qtaml_hw import memory as memory
from qtaml_hw import protection as protection
from qtaml_hw import records as records
from qtaml_hw import tac as tac
from qtaml_hw import units as units
from qtaml_hw import weights as weights
from qtaml_hw import workloads as workloads
from qtaml_hw.config import Study as Study
from qtaml_hw.config import StudyError as StudyError
from qtaml_hw.config import load_study
from qtaml_hw.errors import InputError as InputError
from qtaml_hw.explore.notebook import explore as explore
from qtaml_hw.records.compare import compare as compare
from qtaml_hw.records.results import Result as Result
from qtaml_hw.records.results import SweepResult as SweepResult
from qtaml_hw.records.results import WhatIf as WhatIf
from qtaml_hw.report import write_report as write_report
from qtaml_hw.reproduce import ReproductionResult as ReproductionResult
from qtaml_hw.reproduce import reproduce as reproduce
from qtaml_hw.study.design.corruption import corrupted as corrupted
from qtaml_hw.study.design.streamed.model import stream as stream
from qtaml_hw.study.questions.allocation import allocate as allocate
from qtaml_hw.study.questions.design import design as design
from qtaml_hw.study.questions.ecc_table import ecc_table as ecc_table
from qtaml_hw.study.questions.export import export as export
from qtaml_hw.study.questions.feasible import feasible as feasible
from qtaml_hw.study.questions.gate import gate_current as gate_current
from qtaml_hw.study.questions.layers import layers as layers
from qtaml_hw.study.questions.price import price as price
from qtaml_hw.study.questions.price import topology as topology
from qtaml_hw.study.questions.retention import retention as retention
from qtaml_hw.study.questions.search import search as search
from qtaml_hw.study.questions.tensors import tensors as tensors
from qtaml_hw.study.questions.tornado import tornado as tornado
from qtaml_hw.study.questions.validate import validate as validate
from qtaml_hw.verbs import run as run
from qtaml_hw.verbs import sweep as sweep
from qtaml_hw.verbs import what_if as what_if
from qtaml_hw.versions import __version__ as __version__

load = load_study
