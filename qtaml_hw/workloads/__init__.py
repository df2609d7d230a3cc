"""qtaml_hw.workloads"""
