"""What happens to the array over time: schedules, bank commands, reads, and the energy of each."""
