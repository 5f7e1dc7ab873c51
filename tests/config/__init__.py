"""Tests of the study's file."""
