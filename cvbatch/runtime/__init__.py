"""Running a job: state, lock, workers, supervisor.

Import what is needed by its module: a run begins as soon as what it needs is loaded.
"""
