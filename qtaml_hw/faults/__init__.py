"""qtaml_hw.faults"""
