"""From YAML to checked leaves: strict parsing with positions, presets, layers of values, units."""
