"""qtaml_hw.ecc"""
