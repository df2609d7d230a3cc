"""From a study to a design point: network, cell, array, protection and cost, prepared once."""
