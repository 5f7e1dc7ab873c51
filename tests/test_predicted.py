"""What the kept networks say of single rows, and the trivial predictor beside them."""
