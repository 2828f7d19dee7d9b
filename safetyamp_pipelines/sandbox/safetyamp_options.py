"""What the embedded SafetyAmp may do this way or that: all that its contract only assumes. No behaviour here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal


@dataclass
class TargetOptions:
    """How this SafetyAmp behaves. The defaults follow the contract's evidence and, without any, the harder case.

    A running server reads the options at every request, so a test may change them between two calls.
    """

    token: str = "sandbox-token"  # noqa: S105 - opens nothing but the sandbox
    fqdn: str = "sandbox.safetyamp.com"
    calls: int = 60  # per `period`, all verbs and endpoints of the token together
    period: float = 60.0  # seconds; sliding
    rate_headers: Literal["none", "retry_after", "x_ratelimit", "both"] = "none"
    latency: float = 0.0  # seconds between acting and answering

    page_cap: int | None = 100  # a larger `limit` is silently taken for this
    offset_from_asked_limit: bool = False  # with a capped limit: offset = page * what was asked, so rows are skipped
    beyond_the_end: Literal["empty", "not_found"] = "empty"
    newest_first: bool = False  # a row created while a listing is read then shifts its pages
    lists_deleted: bool = False  # whether listings show deleted records too, with their `deleted_at`
    readable_by_id: Sequence[str] = ("users",)

    create_status: Literal[200, 201] = 201
    wrap_answers: bool = True  # writes answer {"data": {...}}, else the bare record
    patch_tables: Sequence[str] = ("users", "site_clusters")  # elsewhere PATCH is 405
    put_clears_omitted: bool = False  # PUT sets the optional fields it does not carry to null
    delete_works: bool = False  # DELETE hides the record, else 405
    trims_text: bool = True  # Laravel's defaults: blanks around a text are dropped, an empty text becomes null
    strict_text: bool = True  # a number where a text belongs is a 422

    unique_titles: bool = False
    unique_emp_id: bool = False
    unique_serials: bool = False  # of assets
    hidden_users_reserve: bool = True  # e-mail and mobile number of deleted users stay taken
    supervisor_readable: bool = False  # whether users show `current_supervisor`
    required_on_update: Mapping[str, Sequence[str]] = field(default_factory=dict)  # in addition to the contract's
    ignored_fields: Mapping[str, Sequence[str]] = field(default_factory=dict)  # table -> fields dropped with 200
