"""A study's networks: loaded, hardened, rewritten, quantised into stored images, and known by their digests."""
