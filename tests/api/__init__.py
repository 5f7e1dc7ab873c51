"""Tests of the public Python names."""
