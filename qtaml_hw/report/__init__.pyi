"""The public names of ``qtaml_hw.report``, each with where it is defined: the one table behind ``__init__.py``."""

from qtaml_hw.report.answers import write_design as write_design
from qtaml_hw.report.answers import write_layers as write_layers
from qtaml_hw.report.codes import ecc_page as ecc_page
from qtaml_hw.report.codes import table_page as table_page
from qtaml_hw.report.questions import comparison_table as comparison_table
from qtaml_hw.report.questions import design_table as design_table
from qtaml_hw.report.questions import effective_table as effective_table
from qtaml_hw.report.questions import feasible_table as feasible_table
from qtaml_hw.report.questions import front_table as front_table
from qtaml_hw.report.questions import layers_table as layers_table
from qtaml_hw.report.questions import price_table as price_table
from qtaml_hw.report.questions import stream_cost as stream_cost
from qtaml_hw.report.questions import stream_damage as stream_damage
from qtaml_hw.report.questions import tensors_in_short as tensors_in_short
from qtaml_hw.report.questions import tensors_table as tensors_table
from qtaml_hw.report.questions import tornado_table as tornado_table
from qtaml_hw.report.stored import stored_line as stored_line
from qtaml_hw.report.terminal import allocation_table as allocation_table
from qtaml_hw.report.terminal import ecc_table as ecc_table
from qtaml_hw.report.terminal import retention_table as retention_table
from qtaml_hw.report.terminal import run_table as run_table
from qtaml_hw.report.terminal import sweep_table as sweep_table
from qtaml_hw.report.terminal import what_if_table as what_if_table
from qtaml_hw.report.write import write_report as write_report
from qtaml_hw.report.write import write_tornado as write_tornado
