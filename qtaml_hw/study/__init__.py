"""qtaml_hw.study"""
