"""Reading named secrets from Azure Key Vault within a bounded time. Which ones are read: model.py.

Azure's libraries are imported only when a vault is configured: they take a second to load.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from azure.keyvault.secrets import SecretClient

ClientFactory = Callable[[str], "SecretClient"]

SECOND_NAMES: Mapping[str, str] = {"SQL_PASSWORD": "VISTA-SQL-PASSWORD"}
"""What an older vault calls a secret; looked for when the first name is not there."""

DEADLINE_SECONDS = 30.0
"""For signing in and reading everything; a start that waits longer looks dead."""


class VaultError(Exception):
    """The vault could not be read. `what` and `do` are for the operator; no secret is in them."""

    def __init__(self, what: str, do: str) -> None:
        self.what, self.do = what, do
        super().__init__(what)


def azure_client(url: str) -> SecretClient:
    """A client that signs in as the process (workload identity, managed identity, Azure CLI …)."""
    # Here and below: loading Azure's libraries takes a second.
    from azure.identity import DefaultAzureCredential
    from azure.keyvault.secrets import SecretClient

    return SecretClient(url, DefaultAzureCredential(), retry_total=2, connection_timeout=5, read_timeout=5)


class VaultReader:
    """One vault, asked for secrets by the names of their variables."""

    def __init__(
        self, url: str, factory: ClientFactory | None = None, deadline_seconds: float = DEADLINE_SECONDS
    ) -> None:
        self._url = url
        self._factory = factory or azure_client
        self._deadline_seconds = deadline_seconds

    def read(self, variables: Iterable[str]) -> dict[str, str | None]:
        """Variable to value; a secret that is not in the vault is left out. VaultError when the vault cannot be read.

        The work runs in a thread of its own because only that bounds every way of hanging: a server that sends a byte
        now and then outlasts any socket time-out, and signing in may wait for a command line tool.
        """
        outcome: list[dict[str, str | None] | VaultError] = []
        worker = threading.Thread(target=lambda: outcome.append(self._outcome(tuple(variables))), daemon=True)
        worker.start()
        worker.join(self._deadline_seconds)
        if not outcome:
            raise VaultError(
                f"{self._url} did not give its secrets within {self._deadline_seconds:g} seconds",
                "Check the network path to the vault and the identity of this process",
            )
        if isinstance(outcome[0], VaultError):
            raise outcome[0]
        return outcome[0]

    def _outcome(self, variables: tuple[str, ...]) -> dict[str, str | None] | VaultError:
        try:
            with self._factory(self._url) as client:
                return {name: value for name in variables if (value := _secret(client, name)) is not None}
        except VaultError as error:
            return error
        # Whatever Azure's libraries raise must reach the waiting thread, or it would wait for nothing.
        except Exception as error:  # noqa: BLE001
            return _explained(self._url, error)


def secret_expiries(url: str, factory: ClientFactory | None = None) -> dict[str, datetime]:
    """Variable → when its secret expires, for those whose expiry is set in the vault. Their values are not read."""
    with (factory or azure_client)(url) as client:
        found = {one.name: one.expires_on for one in client.list_properties_of_secrets()}
    return {str(name).replace("-", "_"): ends for name, ends in found.items() if ends is not None}


def _secret(client: SecretClient, variable: str) -> str | None:
    # as in azure_client
    from azure.core.exceptions import ClientAuthenticationError, HttpResponseError, ResourceNotFoundError

    for name in filter(None, (variable.replace("_", "-"), SECOND_NAMES.get(variable))):
        try:
            return client.get_secret(name).value
        except ResourceNotFoundError:
            continue
        except ClientAuthenticationError:
            raise
        except HttpResponseError as error:
            refused = error.status_code == 403
            raise VaultError(
                f"the vault answered {error.status_code} when asked for {name}",
                "Give this process the role Key Vault Secrets User, and enable the secret"
                if refused
                else "Try again; if it stays so, look at the vault in the Azure portal",
            ) from error
    return None


def _explained(url: str, error: Exception) -> VaultError:
    """Azure's errors in two kinds: could not sign in, could not be reached."""
    # as in azure_client
    from azure.core.exceptions import ClientAuthenticationError

    kind = type(error).__name__
    if isinstance(error, ClientAuthenticationError):
        return VaultError(
            f"signing in to {url} failed ({kind})", "Check the identity of this process and its role there"
        )
    return VaultError(f"{url} cannot be reached ({kind})", "Check the address and the network, or remove the variable")
