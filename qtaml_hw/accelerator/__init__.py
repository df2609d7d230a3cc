"""qtaml_hw.accelerator"""
