"""A study's activation buffers: the values in them and what happens to those."""
