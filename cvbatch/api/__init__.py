"""Jobs from Python: the functions behind the commands, of which :mod:`cvbatch` has the most used ones.

Import what is needed by its module: a run begins as soon as what it needs is loaded.
"""
