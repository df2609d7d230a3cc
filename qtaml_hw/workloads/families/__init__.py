"""Network families, one file each: plain torch.nn modules that torch.fx can trace (batch-norm folding)."""
