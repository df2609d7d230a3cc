"""qtaml_hw.tac"""
