"""Configurations: YAML to a checked model, and that to a job.

What makes a job of one is in :mod:`cvbatch.config.resolve`, which loads much more than reading one does.
"""

from cvbatch.config.load import LoadedConfig, load_config
from cvbatch.config.model import Config

__all__ = ["Config", "LoadedConfig", "load_config"]
