"""What a weight is worth and what flips of it damage: label-free energies, scores, one layer alone."""
