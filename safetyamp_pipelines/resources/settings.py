"""The settings as a Dagster resource, nested by every resource that needs one. What a setting means: `settings.py`."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from threading import Lock
from typing import ClassVar

import dagster as dg

from safetyamp_pipelines.settings.loading import load_settings
from safetyamp_pipelines.settings.model import Settings


class SettingsResource(dg.ConfigurableResource[Settings]):
    """All settings, read when first asked for. It has no config, so that no secret can show in the UI."""

    # On the class, not the instance: Dagster builds resources anew from their config for each run and for each
    # resource that nests them, and the private state of an instance does not come along.
    _source: ClassVar[_Source | None] = None

    @classmethod
    def of(cls, environ: Mapping[str, str] | None = None) -> SettingsResource:
        """A resource whose settings are read once, however many resources nest it.

        `environ` replaces the process environment and .env; None means those two.
        """
        body = {"_source": _Source(environ), "__doc__": cls.__doc__, "__module__": cls.__module__}
        kind: type[SettingsResource] = type(cls.__name__, (cls,), body)
        return kind()

    def get(self) -> Settings:
        """The validated settings; raises SettingsError listing every problem."""
        return (self._source or _Source(None)).settings


class _Source:
    """Where settings come from, and the settings once they were read."""

    def __init__(self, environ: Mapping[str, str] | None) -> None:
        self._environ = environ
        self._lock = Lock()

    @property
    def settings(self) -> Settings:
        with self._lock:
            return self._loaded

    @cached_property
    def _loaded(self) -> Settings:
        return load_settings() if self._environ is None else load_settings(self._environ, env_file=None)
