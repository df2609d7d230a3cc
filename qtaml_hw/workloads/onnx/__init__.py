"""ONNX networks, read through a table of operators."""
