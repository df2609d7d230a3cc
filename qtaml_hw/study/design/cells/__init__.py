"""The memory as a study states it: supplies, array, cells and what ages them, and its time as records tell it."""
