"""What an architect asks of a study, beyond its records."""
