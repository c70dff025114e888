"""One page about a job: what was done, how fast, where the time went, and what it looks like."""

from cvbatch.inspect.report.data import JobReport
from cvbatch.inspect.report.gather import gather
from cvbatch.inspect.report.page import render
from cvbatch.inspect.report.slices import Slice, slices_of

__all__ = ["JobReport", "Slice", "gather", "render", "slices_of"]
