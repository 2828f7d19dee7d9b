"""What the command `safetyamp` starts with, so that Ctrl-C while modules load is a sentence, too."""

from __future__ import annotations

import gc
import sys
from importlib import import_module

INTERRUPTED = 130
"""The exit code after Ctrl-C."""
SAFE = "interrupted. Run it again: it looks up what was under way, and sends nothing twice\n"


def main() -> None:
    """Run the command that was typed."""
    # A command keeps nearly all that it makes: looking for garbage after every 50,000 objects, and through all of them
    # at the end, took a third of `status` and a tenth of `plan`.
    gc.set_threshold(200_000)
    try:
        import_module("safetyamp_pipelines.cli.main").app()  # in here, so that Ctrl-C while it loads is caught
    except KeyboardInterrupt:
        end = SystemExit(INTERRUPTED)
    except SystemExit as error:
        end = error
    else:
        return
    finally:
        gc.freeze()
    if end.code == INTERRUPTED:
        sys.stderr.write(SAFE)
    raise end
