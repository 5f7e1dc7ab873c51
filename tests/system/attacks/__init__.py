"""Attacks: everything that a stranger can bring stays data."""
