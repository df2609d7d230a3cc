"""Records: one line per design point and fault map, their store, summaries and comparison."""

from qtaml_hw.records.interval import Interval, t_interval

__all__ = ["Interval", "t_interval"]
