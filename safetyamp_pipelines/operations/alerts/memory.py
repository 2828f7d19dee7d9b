"""The cursor of a sensor that notifies: how far the event log was read, and what each channel has sent. JSON, small."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from safetyamp_pipelines.operations.alerts.problems import Deferred, Level, Problem, State
from safetyamp_pipelines.sync.model.errors import Refusal


@dataclass(frozen=True)
class Memory:
    """Events up to the id `after` are absorbed into the state of every channel."""

    after: int
    channels: Mapping[str, State] = field(default_factory=dict)

    def dump(self) -> str:
        """As the text of a cursor."""
        document = {
            "after": self.after,
            "channels": {
                name: {
                    "problems": {key: _plain(problem) for key, problem in state.problems.items()},
                    "sent": [round(at) for at in state.sent],
                    "digest_hour": state.digest_hour,
                    "unlisted": state.unlisted,
                    **({"deferred": [asdict(one) for one in state.deferred]} if state.deferred else {}),
                }
                for name, state in self.channels.items()
            },
        }
        return json.dumps(document, ensure_ascii=False, separators=(",", ":"), sort_keys=True)

    @classmethod
    def load(cls, text: str) -> Memory:
        """From the text of a cursor; Refusal when a person has put something else there."""
        try:
            document = json.loads(text)
            return cls(int(document["after"]), {name: _state(held) for name, held in document["channels"].items()})
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise Refusal(
                "the cursor of this sensor was edited: clear it on the sensor's page, and the sensor begins at "
                "the newest event"
            ) from error


def _plain(problem: Problem) -> dict[str, Any]:
    """Without what is empty: a cursor is stored with every tick."""
    return {name: value for name, value in asdict(problem).items() if value not in ("", None, ())}


def _state(held: Mapping[str, Any]) -> State:
    return State(
        problems={key: _problem(plain) for key, plain in held["problems"].items()},
        sent=tuple(held["sent"]),
        digest_hour=held["digest_hour"],
        unlisted=held["unlisted"],
        deferred=tuple(
            Deferred(**{**one, "receivers": tuple(one["receivers"]), "paragraphs": tuple(one["paragraphs"])})
            for one in held.get("deferred", ())
        ),
    )


def _problem(plain: Mapping[str, Any]) -> Problem:
    notified = plain.get("notified")
    levels = {"level": Level(plain["level"]), "notified": None if notified is None else Level(notified)}
    return Problem(**{**plain, **levels, "needs": tuple(plain.get("needs", ()))})
