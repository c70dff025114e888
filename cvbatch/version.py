"""The version of this package, also read by its build."""

__version__ = "0.1.0"
