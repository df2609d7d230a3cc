"""The public names of ``qtaml_hw.accelerator``, each with where it is defined: the one table behind ``__init__.py``."""

from qtaml_hw.accelerator.energy import MAC_ENERGIES as MAC_ENERGIES
from qtaml_hw.accelerator.energy import EnergySplit as EnergySplit
from qtaml_hw.accelerator.energy import MacEnergy as MacEnergy
from qtaml_hw.accelerator.energy import WeightMemory as WeightMemory
from qtaml_hw.accelerator.energy import energy_per_inference as energy_per_inference
from qtaml_hw.accelerator.energy import mac_energy as mac_energy
from qtaml_hw.accelerator.layers import LayerCost as LayerCost
from qtaml_hw.accelerator.layers import NetworkCost as NetworkCost
from qtaml_hw.accelerator.layers import layer_costs as layer_costs
from qtaml_hw.accelerator.layers import network_cost as network_cost
from qtaml_hw.accelerator.served import ServedNetwork as ServedNetwork
from qtaml_hw.accelerator.served import serving as serving
from qtaml_hw.accelerator.systolic import DATAFLOWS as DATAFLOWS
from qtaml_hw.accelerator.systolic import SystolicCost as SystolicCost
from qtaml_hw.accelerator.systolic import dataflow_code as dataflow_code
from qtaml_hw.accelerator.systolic import systolic_cost as systolic_cost
