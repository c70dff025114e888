"""A small made-up volume, for trying things without data or a network."""

from cvbatch.sample.write import Sample, write_sample

__all__ = ["Sample", "write_sample"]
