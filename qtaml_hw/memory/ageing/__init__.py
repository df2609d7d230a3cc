"""What time does to the stored bits between restores."""
