"""Opening the ledger that the settings describe. Its tables are in `ledger/`."""

from safetyamp_pipelines.ledger import Ledger
from safetyamp_pipelines.settings.model import Settings


def open_ledger(settings: Settings) -> Ledger:
    """The ledger of LEDGER_URL, migrated. Raises LedgerUnusable, whose message has the cause and not the password."""
    return Ledger.open(settings.ledger_url.get_secret_value())
