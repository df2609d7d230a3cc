"""What protects a study's memory, and what that costs: prices, budget, plan, decoder."""
