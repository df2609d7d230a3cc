"""qtaml_hw.weights"""
