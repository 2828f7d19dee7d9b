"""The kinds of value a variable may hold, each with a check that advises. Which variables there are: model.py."""

from __future__ import annotations

import base64
import binascii
import importlib.util
import ipaddress
import math
import re
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal
from urllib.parse import SplitResult, urlsplit

from pydantic import AfterValidator, BeforeValidator, SecretStr
from pydantic_core import PydanticCustomError

from safetyamp_pipelines.sync.rules.calendar import HOUR, RHYTHMS

if TYPE_CHECKING:
    from sqlalchemy import URL

HOST_NAME = re.compile(r"(?!-)[A-Za-z0-9-]{1,63}(?<!-)(\.(?!-)[A-Za-z0-9-]{1,63}(?<!-))*")
_ATOM = r"[\w!#$%&'*+/=?^`{|}~-]+"
EMAIL_ADDRESS = re.compile(rf"{_ATOM}(\.{_ATOM})*@{HOST_NAME.pattern}", re.ASCII)
"""Without quotes and comments, and in ASCII: what every mail server takes."""


def wrong(what: str, do: str) -> PydanticCustomError:
    """The error a validator raises: it carries the words for a `Problem` through pydantic, and not the value."""
    return PydanticCustomError("wrong_setting", "{what}", {"what": what, "do": do})


def is_loopback(host: str) -> bool:
    """True for an address or name that never leaves this machine."""
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def whole_number(low: int, high: int | None = None) -> BeforeValidator:
    """A whole number from `low` to `high`, both included."""
    wanted = f"{low} or more" if high is None else f"from {low} to {high}"

    def check(value: Any) -> int:
        try:
            number = int(str(value))
        except ValueError:
            raise wrong("is not a whole number", f"Give a whole number, {wanted}") from None
        if number < low or (high is not None and number > high):
            raise wrong("is out of range", f"Give a whole number, {wanted}")
        return number

    return BeforeValidator(check)


def _rhythm(value: Any) -> int:
    """Minutes between two syncs whose cron ticks fall on the same minutes of every day."""
    text = str(value).strip()
    if not text.isdecimal() or int(text) not in RHYTHMS:
        hours = ", ".join(str(minutes) for minutes in RHYTHMS if minutes >= HOUR)
        shorter = ", ".join(str(minutes) for minutes in RHYTHMS if minutes < HOUR)
        raise wrong("is not a rhythm that a day divides into", f"Give minutes: {shorter}, or in whole hours {hours}")
    return int(text)


def _positive_number(value: Any) -> float:
    try:
        number = float(str(value))
    except ValueError:
        number = math.nan
    if not (math.isfinite(number) and number > 0):
        raise wrong("is not a number above 0", "Give a number of seconds, such as 30 or 0.5")
    return number


def _address(url: str, *, http: Literal["nowhere", "on loopback", "anywhere"]) -> str:
    """A URL of scheme, host, port and path alone, without a closing slash."""
    parts = _split(url)
    if parts.username or parts.password or parts.query or parts.fragment:
        raise wrong("holds more than an address", "Remove user, password, ? and # from it")
    if parts.scheme == "http" and http == "on loopback" and not is_loopback(parts.hostname or ""):
        raise wrong("is plain http, which would show the token to the network", "Use https; http is for loopback only")
    if parts.scheme != "https" and (parts.scheme != "http" or http == "nowhere"):
        raise wrong("is not https" if http == "nowhere" else "is not a URL with a host", "Give it as https://host")
    return url.rstrip("/")


def _split(url: str) -> SplitResult:
    """The parts of a URL that has a host, and no port but a number."""
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:
        raise wrong("is not a URL", "Give it as https://host or https://host:port") from None
    if not parts.hostname:
        raise wrong("is not a URL with a host", "Give it as https://host")
    return parts


def _origin_only(url: str) -> str:
    if urlsplit(url).path:
        raise wrong("holds a path", "Give only https://host; the tenant belongs into MS_GRAPH_TENANT_ID")
    return url


def _webhook(secret: SecretStr) -> SecretStr:
    parts = _split(secret.get_secret_value())
    if parts.scheme != "https" and not (parts.scheme == "http" and is_loopback(parts.hostname or "")):
        raise wrong("is not an https URL", "Copy the whole address that the other system shows")
    return secret


def matching(pattern: str | re.Pattern[str], what: str, do: str) -> AfterValidator:
    """Text, or a secret, all of which the pattern matches."""

    def check(value: str | SecretStr) -> str | SecretStr:
        text = value.get_secret_value() if isinstance(value, SecretStr) else value
        if not re.fullmatch(pattern, text):
            raise wrong(what, do)
        return value

    return AfterValidator(check)


def _email_addresses(value: Any) -> tuple[str, ...]:
    texts = re.split(r"[,;]", value) if isinstance(value, str) else list(value)
    addresses = tuple(text.strip() for text in texts if text.strip())
    if not all(EMAIL_ADDRESS.fullmatch(address) for address in addresses):
        raise wrong("is not a list of e-mail addresses", "Separate the addresses with commas")
    return addresses


def _words(value: Any) -> tuple[str, ...]:
    texts = value.split(",") if isinstance(value, str) else list(value)
    return tuple(text.strip() for text in texts if text.strip())


def _networks(value: Any) -> tuple[str, ...]:
    try:
        return tuple(str(ipaddress.ip_network(text)) for text in _words(value))
    except ValueError:
        raise wrong("is not a list of addresses", "Separate them with commas, as 10.0.0.7,10.1.0.0/16") from None


def one_of(*allowed: str, fold: bool = False) -> BeforeValidator:
    """One of these words; `fold` when capitals do not matter (the words are then given in capitals)."""

    def check(value: Any) -> str:
        word = str(value).upper() if fold else str(value)
        if word not in allowed:
            raise wrong("is not one of the known words", f"Give one of {', '.join(allowed)}")
        return word

    return BeforeValidator(check)


def _fernet_key(secret: SecretStr) -> SecretStr:
    """One key, or several between commas, the newest first."""
    try:
        lengths = {len(base64.urlsafe_b64decode(key.strip())) for key in secret.get_secret_value().split(",")}
    except (binascii.Error, ValueError):
        lengths = {0}
    if lengths != {32}:
        raise wrong("is not a Fernet key", "Make one with cryptography.fernet.Fernet.generate_key()")
    return secret


def database_url(text: str) -> URL:
    """The SQLAlchemy URL of this text. Raises ArgumentError, a ValueError."""
    from sqlalchemy import make_url  # half a second, which `--help` and loading the definitions do without

    return make_url(text)


def _parsed(secret: SecretStr, example: str) -> URL:
    """The URL; one whose password is not encoded is refused, since the rest of the password would be its host."""
    try:
        url = database_url(secret.get_secret_value())
    except Exception:  # noqa: BLE001 (SQLAlchemy's ArgumentError, and whatever a driver's name brings along)
        raise wrong("is not a SQLAlchemy URL", f"Give it as {example}") from None
    if "@" in (url.host or "") or (url.host is not None and "@" in (url.database or "")):
        what = "holds a user or password with a character that has a meaning in a URL"
        raise wrong(what, "Write @ as %40, / as %2F, : as %3A, # as %23 and % as %25 in it")
    return url


def _ledger_url(secret: SecretStr) -> SecretStr:
    """SQLite in a file, or PostgreSQL; the latter always through psycopg2, the driver that Dagster's storage uses."""
    example = "postgresql://user:password@host/database or sqlite:////absolute/path/ledger.db"
    url = _parsed(secret, example)
    backend, _, driver = url.drivername.partition("+")
    if backend in ("postgres", "postgresql") and driver in ("", "psycopg2"):
        url = url.set(drivername="postgresql+psycopg2")
    elif backend != "sqlite" or driver not in ("", "pysqlite"):
        raise wrong("is neither SQLite nor PostgreSQL by psycopg2", f"Give it as {example}")
    elif not url.database or ":memory:" in url.database:
        raise wrong("is a database in memory, which forgets every link at the end", f"Give it as {example}")
    elif not url.database.startswith("file:"):
        url = url.set(database=str(_absolute(Path(url.database))))  # one ledger, whatever folder a process starts in
    return SecretStr(url.render_as_string(hide_password=False))


def _viewpoint_url(secret: SecretStr) -> SecretStr:
    example = "mssql+pyodbc://user:password@host/database or sqlite:////absolute/path"
    if _parsed(secret, example).drivername not in ("mssql+pyodbc", "sqlite", "sqlite+pysqlite"):
        raise wrong("is neither mssql+pyodbc nor sqlite", f"Give it as {example}, or set SQL_SERVER and SQL_DATABASE")
    return secret


def _snapshot_url(url: str) -> str:
    """A folder, as an absolute path, or the URL of a store whose library is installed."""
    protocol, separator, _ = url.partition("://")
    if not separator:
        return str(_absolute(Path(url)))
    if protocol == "file" and "?" not in url:
        return url.rstrip("/")
    from fsspec.registry import known_implementations  # not loaded for a folder

    known = known_implementations.get(protocol)
    if known is None:
        raise wrong("names a kind of store that fsspec does not know", "Give a folder or abfs://container/folder")
    if urlsplit(url).password or "?" in url:
        do = "Set AZURE_STORAGE_CONNECTION_STRING, or let this process's own identity read and write it"
        raise wrong("holds a login, which would be displayed with it", do)
    library = known["class"].partition(".")[0]
    if importlib.util.find_spec(library) is None:
        raise wrong(f"needs the library {library}, which is not installed", "Install safetyamp-pipelines[azure]")
    return url.rstrip("/")


def sql_server_parts(text: str) -> tuple[str, int | None]:
    r"""Host and port of what SQL Server people write: `host`, `host\instance`, `tcp:host, 1433`, `[::1]:1433`."""
    found = re.fullmatch(
        r"(?:tcp:)?\s*(\[[0-9A-Fa-f:.]+\]|[0-9A-Fa-f]*:[0-9A-Fa-f:.]*:[0-9A-Fa-f:.]*|[\w.-]+(?:\\[\w$-]+)?)"
        r"(?:\s*[,:]\s*(\d{1,5}))?",
        text,
        re.IGNORECASE,
    )
    if found is None:
        raise wrong("is not the name of a server", "Give host, host\\instance or host,port")
    port = None if found[2] is None else int(found[2])
    if port is not None and not 0 < port < 65_536:
        raise wrong("has an invalid port", "Give a port from 1 to 65535, or none")
    return found[1].strip("[]"), port


def _sql_server(text: str) -> str:
    sql_server_parts(text)
    return text


def _absolute(path: Path) -> Path:
    try:
        path = path.expanduser().absolute()
        path.exists()
        path.parent.is_dir()
        str(path).encode()
    except (OSError, RuntimeError, ValueError):  # too long, of no known user, or with a character that no name has
        raise wrong("is not a path that this machine can have", "Give a shorter one, without ~name") from None
    return path


def _data_dir(path: Path) -> Path:
    path = _absolute(path)
    if path.exists() and not path.is_dir():
        raise wrong("is not a folder", "Give a folder; it is created when missing")
    return path


def _new_file(path: Path) -> Path:
    path = _absolute(path)
    if path.is_dir() or not path.parent.is_dir():
        raise wrong("is not a file in an existing folder", "Give the path of a file, and make its folder first")
    return path


def _existing(path: Path) -> Path:
    path = _absolute(path)
    if not path.exists():
        raise wrong("points to a file that does not exist", "Give the path of an existing file, or remove it")
    return path


def _readable(path: Path) -> Path:
    path = _existing(path)
    try:
        path.open("rb").close()
    except OSError as error:
        what = f"points to a file that cannot be read ({type(error).__name__})"
        raise wrong(what, "Give the path of a readable file") from None
    return path


_LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")
SyncInterval = Annotated[int, BeforeValidator(_rhythm)]
PositiveSeconds = Annotated[float, BeforeValidator(_positive_number)]
OnOff = Annotated[Literal["on", "off"], one_of("on", "off")]
StartTls = Annotated[Literal["off", "offered", "required"], one_of("off", "offered", "required")]
SqlAuthMode = Annotated[Literal["managed_identity", "sql_auth"], one_of("managed_identity", "sql_auth")]
LogFormat = Annotated[Literal["text", "json"], one_of("text", "json")]
LogLevel = Annotated[Literal["DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"], one_of(*_LEVELS, fold=True)]

# A token must not travel in clear text over a network; the address of the UI carries none.
BaseUrl = Annotated[str, AfterValidator(partial(_address, http="on loopback"))]
HttpsUrl = Annotated[str, AfterValidator(partial(_address, http="nowhere"))]
HttpsOrigin = Annotated[HttpsUrl, AfterValidator(_origin_only)]
UiUrl = Annotated[str, AfterValidator(partial(_address, http="anywhere"))]
WebhookUrl = Annotated[SecretStr, AfterValidator(_webhook)]
LedgerUrl = Annotated[SecretStr, AfterValidator(_ledger_url)]
ViewpointUrl = Annotated[SecretStr, AfterValidator(_viewpoint_url)]
SnapshotUrl = Annotated[str, AfterValidator(_snapshot_url)]
DataDir = Annotated[Path, AfterValidator(_data_dir)]
NewFile = Annotated[Path, AfterValidator(_new_file)]
ExistingPath = Annotated[Path, AfterValidator(_existing)]
ReadableFile = Annotated[Path, AfterValidator(_readable)]
FernetKey = Annotated[SecretStr, AfterValidator(_fernet_key)]
EmailAddresses = Annotated[tuple[str, ...], BeforeValidator(_email_addresses)]

Networks = Annotated[tuple[str, ...], BeforeValidator(_networks)]
Words = Annotated[tuple[str, ...], BeforeValidator(_words)]

HostName = Annotated[
    str, matching(HOST_NAME, "is not a bare host name", "Give the name alone, without https://, port or path")
]
EmailAddress = Annotated[
    str, matching(EMAIL_ADDRESS, "is not an e-mail address", "Give one address, such as safety@example.com")
]
HeaderText = Annotated[
    str, matching(r"[ -~]+", "holds a letter that an HTTP header cannot carry", "Use plain ASCII, such as Company/1.0")
]
HeaderName = Annotated[
    str, matching(r"[A-Za-z0-9-]+", "is not the name of an HTTP header", "Give it as X-Auth-Request-Email")
]
Token = Annotated[
    SecretStr, matching(r"[!-~]+", "holds a blank, a line break or a letter that no token has", "Copy the token again")
]
DirectoryId = Annotated[  # it becomes a part of a URL
    str,
    matching(
        r"[A-Za-z0-9.-]+",
        "is not an id of Entra ID",
        "Copy the id, letters, digits, dots and dashes, from the Azure portal",
    ),
]
SqlServer = Annotated[str, AfterValidator(_sql_server)]
VaultName = Annotated[
    str,
    matching(
        r"[A-Za-z][A-Za-z0-9-]{1,22}[A-Za-z0-9]",
        "is not the name of a vault",
        "Give the name alone, 3 to 24 letters, digits and dashes",
    ),
]
