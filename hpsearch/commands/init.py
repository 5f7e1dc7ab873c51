"""Later."""

import argparse


def add(command: argparse.ArgumentParser) -> None:
    """Add the command's options."""


def call(options: argparse.Namespace) -> None:
    """Do it."""
