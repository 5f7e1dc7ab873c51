"""Tests of tables, figures, page and screen."""
