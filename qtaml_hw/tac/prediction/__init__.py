"""What a budget will keep, told without labels: soft agreement, crossings of ladders."""
