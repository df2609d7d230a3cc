"""qtaml_hw.report"""
