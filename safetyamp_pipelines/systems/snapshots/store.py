"""A store of payloads with manifests, on a local folder or any fsspec URL: published whole, kept, read back, pruned.

It knows bytes and manifests; what the bytes mean is in `parquet.py`.

Layout: `<name>/<UTC stamp>_<run>_<unique>.json` is a manifest and the file of the same stem its payload. The payload is
written and verified first, the manifest last, and only manifests are read: whatever a killed writer left is invisible.
No rename, folder or time of a file is relied on, for blob stores have none that can be trusted.
"""

from __future__ import annotations

import hashlib
import json
import re
import secrets
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from safetyamp_pipelines.settings.model import Settings
from safetyamp_pipelines.sync.model.errors import SnapshotError, SnapshotUnreadable
from safetyamp_pipelines.systems.http.deadline import TIMEOUTS_A_CALL
from safetyamp_pipelines.systems.snapshots.files import SnapshotFiles

if TYPE_CHECKING:
    from cryptography.fernet import MultiFernet

_FORMAT = 1
_STAMP = "%Y%m%dT%H%M%S%fZ"
_NAME = re.compile(r"[A-Za-z0-9_.-]*[A-Za-z0-9_-](?:/[A-Za-z0-9_.-]*[A-Za-z0-9_-])*")
_FILE = re.compile(r"(?P<stamp>\d{8}T\d{12}Z)_(?P<run>[0-9A-Za-z-]{1,8})_[0-9a-f]{8}\.(?P<suffix>[0-9a-z.]+)")
_ORPHAN_AGE = timedelta(days=1)


@dataclass(frozen=True)
class SnapshotRef:
    """One published payload. `content` is what its publisher put into the manifest; `sha256` is of the stored bytes."""

    name: str
    run_id: str
    published_at: str
    payload: str
    kind: str
    size: int
    sha256: str
    encrypted: bool
    content: Mapping[str, Any]

    @property
    def path(self) -> str:
        """The payload's path below the store's base."""
        return f"{self.name}/{self.payload}"


class SnapshotStore:
    """Publishes payloads under a name, newest last. Safe for several processes at once; `clock` gives aware UTC times,
    `seconds` is the deadline of a call to a blob store.

    Every method raises SnapshotError when the storage fails or holds something torn or foreign.
    """

    def __init__(
        self,
        base_url: str,
        keep_count: int = 50,
        keep_days: int = 30,
        encryption_key: str | None = None,
        *,
        connection_string: str | None = None,
        seconds: float = 60.0,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._files = SnapshotFiles(base_url, connection_string, seconds)
        self._keep_count, self._keep_days = keep_count, keep_days
        self._fernet = _fernet(encryption_key)
        self._clock = clock

    def publish(
        self, name: str, run_id: str, payload: bytes, manifest: Mapping[str, Any], *, kind: str = "bytes"
    ) -> SnapshotRef:
        """Store the payload, verify it by reading it back, then make it visible. `manifest` holds no personal data."""
        if not _NAME.fullmatch(name):
            raise SnapshotError(f"{name!r} is not a name for a snapshot: use letters, digits, _, - and / between parts")
        now = self._clock()
        run = re.sub(r"[^0-9A-Za-z]", "-", run_id)[:8] or "-"
        stem = f"{now.strftime(_STAMP)}_{run}_{secrets.token_hex(4)}"
        stored = payload if self._fernet is None else self._fernet.encrypt(payload)
        ref = SnapshotRef(
            name=name,
            run_id=run_id,
            published_at=now.isoformat(),
            payload=f"{stem}.{'parquet' if kind == 'snapshot' else 'bin'}",
            kind=kind,
            size=len(stored),
            sha256=hashlib.sha256(stored).hexdigest(),
            encrypted=self._fernet is not None,
            content=dict(manifest),
        )
        self._files.write(ref.path, stored)
        self._stored(ref)
        self._files.write(f"{name}/{stem}.json", _manifest(ref))
        return ref

    def rewrite(self, ref: SnapshotRef, payload: bytes | None, manifest: Mapping[str, Any]) -> None:
        """Put another payload in the place of a published one, in its key and age; None leaves it as it is.

        The old payload is deleted, also one that a crash of an earlier rewriting left beside the new one.
        """
        stem = _stem(ref.payload)
        if payload is not None:
            stored = payload if self._fernet is None else self._fernet.encrypt(payload)
            suffix = ref.payload.rpartition(".")[2]
            new = replace(
                ref,
                payload=f"{stem}.{secrets.token_hex(4)}.{suffix}",
                size=len(stored),
                sha256=hashlib.sha256(stored).hexdigest(),
                encrypted=self._fernet is not None,
                content=dict(manifest),
            )
            self._files.write(new.path, stored)
            self._stored(new)
            self._files.write(f"{ref.name}/{stem}.json", _manifest(new))
            ref = new
        for match in self._matches(ref.name):
            if _stem(match.string) == stem and match.string not in (ref.payload, f"{stem}.json"):
                self._files.delete(f"{ref.name}/{match.string}")

    def newest(self, name: str, run_id: str | None = None) -> SnapshotRef | None:
        """The newest one published under this name, or by this run; None when there is none."""
        return next((ref for ref in self._refs(name, run_id) if run_id in (None, ref.run_id)), None)

    def history(self, name: str, unreadable: list[str] | None = None) -> list[SnapshotRef]:
        """Every one published under this name, newest first. Manifests that cannot be read raise, or are added to
        `unreadable` as paths."""
        return list(self._refs(name, unreadable=unreadable))

    def remove(self, path: str) -> None:
        """Delete a manifest, and the payloads beside it."""
        name, _, manifest = path.rpartition("/")
        files = [match.string for match in self._matches(name) if _stem(match.string) == _stem(manifest)]
        for file in sorted(files, key=lambda file: not file.endswith(".json")):
            self._files.delete(f"{name}/{file}")

    def read(self, ref: SnapshotRef) -> bytes:
        """The payload as it was published, verified and decrypted."""
        stored = self._stored(ref)
        if not ref.encrypted:
            return stored
        if self._fernet is None:
            raise SnapshotError(f"{ref.path} is encrypted: set SNAPSHOT_ENCRYPTION_KEY to the key it was written with")
        try:
            return self._fernet.decrypt(stored)
        except _encryption().InvalidToken:
            raise SnapshotUnreadable(
                f"{ref.path} was encrypted with another key: set SNAPSHOT_ENCRYPTION_KEY to that one, or materialise "
                f"{ref.name} again"
            ) from None

    def prune(self, name: str) -> int:
        """Delete what is past the count or the age, never the newest, and payloads that no manifest came to name.

        Returns the number of files deleted. A manifest goes before its payload, so that none is left without one.
        """
        files = [(match, match.string) for match in self._matches(name)]
        manifests = _newest_first(file for match, file in files if match["suffix"] == "json")
        oldest = (self._clock() - timedelta(days=self._keep_days)).strftime(_STAMP)
        kept = {_stem(manifests[0])} if manifests else set()
        kept |= {_stem(file) for file in manifests[: self._keep_count] if file >= oldest}

        published = {_stem(file) for file in manifests}
        abandoned = (self._clock() - _ORPHAN_AGE).strftime(_STAMP)
        expired = [file for file in manifests if _stem(file) not in kept]
        loose = [
            file
            for match, file in files
            if match["suffix"] != "json"
            and _stem(file) not in kept
            and (_stem(file) in published or match["stamp"] < abandoned)
        ]
        for file in (*expired, *loose):
            self._files.delete(f"{name}/{file}")
        return len(expired) + len(loose)

    def _refs(self, name: str, run_id: str | None = None, unreadable: list[str] | None = None) -> Iterator[SnapshotRef]:
        """Manifests newest first; of one run only, those of others are skipped by the file's name."""
        run = None if run_id is None else re.sub(r"[^0-9A-Za-z]", "-", run_id)[:8] or "-"
        matches = (match for match in self._matches(name) if match["suffix"] == "json" and run in (None, match["run"]))
        for file in _newest_first(match.string for match in matches):
            path = f"{name}/{file}"
            text = self._files.read(path)
            if text is None:  # another process may have pruned it since the listing
                continue
            try:
                ref = _parsed(name, path, text)
            except SnapshotUnreadable:
                if unreadable is None:
                    raise
                unreadable.append(path)
            else:
                yield ref

    def _matches(self, name: str) -> list[re.Match[str]]:
        """The store's own files under a name; others are left alone."""
        return [match for file in self._files.names(name) if (match := _FILE.fullmatch(file))]

    def _stored(self, ref: SnapshotRef) -> bytes:
        stored = self._files.read(ref.path)
        if stored is None:
            raise SnapshotUnreadable(
                f"{ref.path} is missing although its manifest is there: materialise {ref.name} again"
            )
        if len(stored) != ref.size or hashlib.sha256(stored).hexdigest() != ref.sha256:
            raise SnapshotUnreadable(
                f"{ref.path} is not what was published (size or hash): materialise {ref.name} again"
            )
        return stored


def _manifest(ref: SnapshotRef) -> bytes:
    return json.dumps({"format": _FORMAT, **vars(ref)}, indent=1, allow_nan=False).encode()


def _stem(file: str) -> str:
    return file.partition(".")[0]


def _newest_first(files: Iterable[str]) -> list[str]:
    return sorted(files, reverse=True)


def _parsed(name: str, path: str, text: bytes) -> SnapshotRef:
    try:
        fields = json.loads(text)
        if fields.pop("format") != _FORMAT:
            raise ValueError("another format")
        ref = SnapshotRef(**fields)
    except (ValueError, KeyError, TypeError, AttributeError):
        raise SnapshotUnreadable(
            f"{path} is not a readable manifest: delete it and its payload, then materialise {name} again"
        ) from None
    if ref.name != name or _stem(ref.payload) != _stem(path.rpartition("/")[2]):
        raise SnapshotUnreadable(f"{path} is the manifest of another payload: delete it, then materialise {name} again")
    return ref


def _encryption() -> Any:
    from cryptography import fernet  # of use with a key alone, and dearer than what `status` asks the ledger

    return fernet


def _fernet(keys: str | None) -> MultiFernet | None:
    """The first key encrypts, and each of them decrypts: an older one goes when nothing is kept that it wrote."""
    if keys is None:
        return None
    library = _encryption()
    try:
        found: MultiFernet = library.MultiFernet([library.Fernet(key.strip()) for key in keys.split(",")])
        return found
    except ValueError:
        raise SnapshotError(
            "SNAPSHOT_ENCRYPTION_KEY is not a Fernet key: make one with "
            "`python -c 'from cryptography.fernet import Fernet; print(Fernet.generate_key().decode())'`"
        ) from None


def snapshot_store(settings: Settings) -> SnapshotStore:
    """The store these settings describe."""
    key, account = settings.snapshot_encryption_key, settings.azure_storage_connection_string
    return SnapshotStore(
        settings.snapshot_url,
        settings.snapshot_keep_count,
        settings.snapshot_keep_days,
        None if key is None else key.get_secret_value(),
        connection_string=None if account is None else account.get_secret_value(),
        seconds=TIMEOUTS_A_CALL * settings.http_request_timeout,
    )
