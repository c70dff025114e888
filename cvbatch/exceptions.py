"""The errors of :mod:`cvbatch.errors`, under the name that CloudVolume has for the module."""

from cvbatch.errors import *  # noqa: F403 - that is what this module is
