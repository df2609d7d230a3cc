"""Leaking weight memories of neural-network accelerators: physics, flips, ECC, accuracy and cost in one chain."""
