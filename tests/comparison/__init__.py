"""Tests of the comparison of batch sizes and optimizers."""
