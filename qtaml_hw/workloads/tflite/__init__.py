"""TensorFlow Lite networks, with the codes that their files store."""
