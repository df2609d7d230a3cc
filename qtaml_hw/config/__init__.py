"""What a study is: sections in SI, strict YAML, presets, sweeps. Imports nothing of the package but the units."""
