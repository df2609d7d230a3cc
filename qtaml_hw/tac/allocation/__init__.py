"""What to protect: budgets, knapsacks, policies, widths and the ratio of overheads."""
