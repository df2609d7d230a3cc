"""qtaml_hw.config"""
