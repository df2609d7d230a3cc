"""A model of any size through the memory, tensor after tensor."""
