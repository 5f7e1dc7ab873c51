"""Tests of estimates."""
