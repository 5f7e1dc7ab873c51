"""Tests of the whole: rooms, faults, attacks, scale."""
