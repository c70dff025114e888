"""Configurations: YAML to a checked model, and that to a job."""

from cvbatch.config.load import LoadedConfig, load_config
from cvbatch.config.model import Config
from cvbatch.config.resolve import Resolved, crew_for, resolve

__all__ = ["Config", "LoadedConfig", "Resolved", "crew_for", "load_config", "resolve"]
