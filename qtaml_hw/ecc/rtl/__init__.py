"""Codes as Verilog: encoders, decoders, self-checking benches, and what yosys makes of them."""
