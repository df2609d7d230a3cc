"""The sections of a study file, one frozen model each."""
