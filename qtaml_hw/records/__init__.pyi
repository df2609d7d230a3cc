from qtaml_hw.records.interval import Interval as Interval
from qtaml_hw.records.interval import t_interval as t_interval
