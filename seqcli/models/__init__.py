"""Models: embedders, encoders and heads, tensors in and tensors out."""
