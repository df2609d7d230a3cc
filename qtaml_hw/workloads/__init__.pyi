"""The public names of ``qtaml_hw.workloads``, each with where it is defined: the one table behind ``__init__.py``."""

from qtaml_hw.files import cache_folder as cache_folder
from qtaml_hw.workloads.cache import TrainingRecord as TrainingRecord
from qtaml_hw.workloads.cache import state_digest as state_digest
from qtaml_hw.workloads.catalogue import NetworkSpec as NetworkSpec
from qtaml_hw.workloads.catalogue import Recipe as Recipe
from qtaml_hw.workloads.catalogue import names as names
from qtaml_hw.workloads.catalogue import network as network
from qtaml_hw.workloads.data import DataSet as DataSet
from qtaml_hw.workloads.data import array_digest as array_digest
from qtaml_hw.workloads.data import load_data as load_data
from qtaml_hw.workloads.encoder import load_encoder as load_encoder
from qtaml_hw.workloads.factory import load_data_factory as load_data_factory
from qtaml_hw.workloads.factory import load_factory as load_factory
from qtaml_hw.workloads.factory import load_weights as load_weights
from qtaml_hw.workloads.files import Preprocessing as Preprocessing
from qtaml_hw.workloads.files import from_arrays as from_arrays
from qtaml_hw.workloads.files import load_idx as load_idx
from qtaml_hw.workloads.files import load_npz as load_npz
from qtaml_hw.workloads.files import read_idx as read_idx
from qtaml_hw.workloads.load import LoadedNetwork as LoadedNetwork
from qtaml_hw.workloads.load import load_network as load_network
from qtaml_hw.workloads.model_files import load_model_file as load_model_file
from qtaml_hw.workloads.texts import load_texts as load_texts
