"""What the accelerator decodes in place of a drifted level: corrections, decoders, side information."""
