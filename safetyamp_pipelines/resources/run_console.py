"""The console of a run that starts by itself: the lines of its event log in LOG_FORMAT, made by `settings/logs.py`.

Dagster writes coloured text of its own unless the config of the run names a logger. A default config of the job would
name it for every run, but then the launchpad shows that config, and no longer the form of the pushes.
"""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any, Literal

import dagster as dg

from safetyamp_pipelines.settings.logs import log_handlers

CONSOLE: dict[str, Any] = {"loggers": {"console": {}}}
"""The run config that takes the logger of `console_logger`."""


def console_logger(format: Literal["text", "json"], file: Path | None = None) -> dg.LoggerDefinition:
    """The logger `console` of all jobs."""

    @dg.logger(
        config_schema={
            "log_level": dg.Field(str, default_value="INFO", description="Lines below this level are not shown.")
        },
        description="The log of the run, in LOG_FORMAT: text or JSON.",
    )
    def console(context: dg.InitLoggerContext) -> logging.Logger:
        # Made by hand, so that it has no parent: lines of ours would be written by that a second time.
        made = logging.Logger("dagster", context.logger_config["log_level"].upper())
        for handler in log_handlers(format, file=file):
            made.addHandler(handler)
        return made

    return console
