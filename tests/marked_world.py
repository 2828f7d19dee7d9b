"""A sandbox in which every personal value and every secret can be searched for; its servers repeat them in errors."""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from safetyamp_pipelines.sandbox import Sandbox, TargetOptions, WorldSpec
from safetyamp_pipelines.sandbox.graph import GraphOptions, login_graph_app
from safetyamp_pipelines.sandbox.safetyamp import safetyamp_app
from safetyamp_pipelines.sandbox.samsara import SamsaraOptions, samsara_app
from safetyamp_pipelines.sandbox.server import AppServer, LocalAuthority

WORD = "qzmark"
"""Stands in every text about a person, and in no other."""
EXCHANGE, ZIP, BORN, SECRET = "599", "70198-4321", "1961-02-03", "qzsecret"
MARKERS = re.compile(rf"{WORD}|{SECRET}|504\D{{0,2}}{EXCHANGE}\D?\d{{4}}|{ZIP}|{BORN}", re.IGNORECASE)
"""Whatever must not be told: names, addresses, e-mail, telephone, birth dates, notes, licence plates, secrets."""

Row = dict[str, Any]
Reply = Callable[[str, bytes], tuple[int, bytes, bytes]]
"""From the path and headers asked for and the body sent to (status, content type, body)."""


def telephone(number: int) -> str:
    return f"504-{EXCHANGE}-{number:04d}"


@dataclass
class Indiscreet:
    """A server that answers as `says` to some methods and paths, and else as the application it stands before."""

    app: ASGIApp
    says: dict[tuple[str, str], Reply] = field(default_factory=dict)
    answered: list[str] = field(default_factory=list)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        reply = next(
            (r for (m, p), r in self.says.items() if re.fullmatch(m, scope["method"]) and re.search(p, scope["path"])),
            None,
        )
        if reply is None:
            await self.app(scope, receive, send)
            return
        body, more = b"", True
        while more:
            message: Message = await receive()
            body, more = body + message.get("body", b""), message.get("more_body", False)
        asked = " ".join([scope["path"], *(value.decode("latin-1") for _, value in scope["headers"])])
        status, kind, text = reply(asked, body)
        self.answered.append(f"{scope['method']} {scope['path']} {status}")
        headers = [(b"content-type", kind), (b"content-length", str(len(text)).encode())]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": text})


def echo(status: int, kind: str = "application/json") -> Reply:
    """An error that repeats what was asked, login and all."""

    def reply(asked: str, body: bytes) -> tuple[int, bytes, bytes]:
        said = f"cannot do {asked} {body.decode(errors='replace')} for {WORD}@example.com, {telephone(1)}, born {BORN}"
        error = {"message": said, "error": {"code": "Error", "message": said}, "error_description": said}
        return status, kind.encode(), json.dumps(error).encode() if "json" in kind else f"<html>{said}</html>".encode()

    return reply


def refusal(*names: str) -> Reply:
    """A 422 that repeats the values of these fields, as far as the body has them; of all without any."""

    def reply(_asked: str, body: bytes) -> tuple[int, bytes, bytes]:
        sent = json.loads(body)
        told = {name: [f"The {name} {sent[name]!r} is refused."] for name in (names or sent) if name in sent}
        return 422, b"application/json", json.dumps({"message": f"{sent} is refused", "errors": told}).encode()

    return reply


def half(_asked: str, body: bytes) -> tuple[int, bytes, bytes]:
    """A success whose JSON ends in the midst of somebody's values."""
    return 200, b"application/json", b'{"data": {"first_name": "' + WORD.encode() + b'", "email": ' + body[:40]


def in_turn(*replies: Reply) -> Reply:
    """One after the other, and then from the first again."""
    waiting = itertools.cycle(replies)
    return lambda asked, body: next(waiting)(asked, body)


@dataclass
class MarkedWorld:
    """The sandbox, its servers, and the environment that leads to them."""

    box: Sandbox
    safetyamp: Indiscreet
    samsara: Indiscreet
    microsoft: Indiscreet
    environment: Mapping[str, str]


@contextmanager
def marked_world(home: Path) -> Iterator[MarkedWorld]:
    """A small world, marked before it begins."""
    box = Sandbox(
        WorldSpec(employees=14, jobs=6, vehicles=4, departments=3, titles=3, mess=False),
        TargetOptions(calls=100_000, period=0.5, token=f"{SECRET}-safetyamp"),
        samsara=SamsaraOptions(token=f"{SECRET}-samsara"),
        graph=GraphOptions(client_secret=f"{SECRET}-microsoft"),
        home=home,
    )
    mark(box)
    with box, ExitStack() as servers:
        authority = LocalAuthority()
        (home / "authority.pem").write_bytes(authority.bundle())
        safetyamp = Indiscreet(safetyamp_app(box.safetyamp))
        samsara = Indiscreet(samsara_app(box.world, box.samsara))
        microsoft = Indiscreet(login_graph_app(box.world, box.graph))
        urls = []
        for app, tls in ((safetyamp, None), (samsara, None), (microsoft, authority.server_context())):
            server = AppServer(app, tls).start()
            servers.callback(server.stop)
            urls.append(server.url)
        environment = {
            "SAFETYAMP_BASE_URL": urls[0],
            "SAMSARA_BASE_URL": urls[1],
            "MS_GRAPH_BASE_URL": f"{urls[2]}/v1.0",
            "MS_GRAPH_AUTHORITY": urls[2],
            "REQUESTS_CA_BUNDLE": str(home / "authority.pem"),
            "SMTP_USERNAME": "alerts",
            "SMTP_PASSWORD": f"{SECRET}-mail",
            "SQL_PASSWORD": f"{SECRET}-sql",
            "HTTP_REQUEST_TIMEOUT": "5",
        }
        yield MarkedWorld(box, safetyamp, samsara, microsoft, {**box.environment, **environment})


def mark(box: Sandbox) -> None:
    """Write a marker into everything that says something about a person."""
    world = box.world
    for row in world.viewpoint["bPREH"]:
        number = row["Employee"]
        row |= {name: f"{WORD}{name}" for name in ("FirstName", "LastName", "MidName", "Address", "Address2", "City")}
        row |= {"Email": f"{WORD}{number}@example.com", "Phone": telephone(number % 5000 + 5000)}
        row |= {"CellPhone": telephone(number % 5000), "BirthDate": f"{BORN} 00:00:00", "Zip": ZIP}
    for place, account in enumerate(world.entra):
        names = ("givenName", "surname", "displayName", "userPrincipalName", "officeLocation")
        account |= {name: f"{WORD}{name}{place}" for name in names}
        account |= {
            "mail": account["mail"] and f"{WORD}.entra{place}@example.com",
            "otherMails": [f"{WORD}@example.net"],
        }
        account |= {"mobilePhone": telephone(4000 + place), "businessPhones": [telephone(4500 + place)]}
    for driver in world.samsara_drivers:
        driver |= {"name": f"{WORD} driver", "username": f"{WORD}user", "notes": f"{WORD} notes", "phone": telephone(1)}
    for place, vehicle in enumerate(world.samsara_vehicles):
        vehicle |= {"licensePlate": f"{WORD}plate{place}", "notes": f"{WORD} {telephone(2)}"}
    for place, user in enumerate(world.safetyamp["users"]):
        user |= {
            name: f"{WORD}{name}" for name in ("first_name", "last_name", "middle_name", "nickname", "street", "city")
        }
        user |= {"email": f"{WORD}.known{place}@example.com", "mobile_phone": f"+1504{EXCHANGE}{3000 + place}"}
        user |= {"date_of_birth": BORN, "zip_code": ZIP}
