"""Formats of volumes, a folder each."""
