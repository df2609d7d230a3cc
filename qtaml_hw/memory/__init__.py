"""qtaml_hw.memory"""
