"""The array as silicon: geometry, what it costs, and what else is resident in it."""
