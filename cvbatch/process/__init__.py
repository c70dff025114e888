"""Processes of this machine: which live, and those that work for this one.

Import what is needed by its module: these are loaded before anything large is.
"""
