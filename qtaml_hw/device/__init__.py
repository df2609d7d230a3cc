"""qtaml_hw.device"""
