"""What commands cost against plain Python that reads the same pages and compares the same records.

    python benchmarks/cost_of_a_run.py [employees] [command…]

Each is a process of its own over one embedded world: `safetyamp plan` first, then `safetyamp sync` until nothing is
left to do, then the run at rest, `status`, `explain` of an employee and of a number that nobody has (`absent`), and
`--help`. The peer reads every page of the four systems with requests and sqlite3 and compares each employee with the
user of that number: names, e-mail, mobile number and title. Prints CPU seconds (which a busy machine changes less than
those on the wall), the most memory, and the ratio to the peer. Only the commands named are run, where some are.
"""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
from pathlib import Path
from typing import Any

import requests

SAFETYAMP = ("sites", "user_titles", "roles", "users", "asset_types", "assets")
COMMAND = (str(Path(sys.executable).with_name("safetyamp")),)


def peer() -> None:
    """Read all pages, compare the people, print the numbers."""
    env, session = os.environ, requests.Session()
    with sqlite3.connect(env["VIEWPOINT_URL"].removeprefix("sqlite:///")) as db:
        db.row_factory = sqlite3.Row
        tables = {name: [dict(row) for row in db.execute(f"select * from {name}")] for name in viewpoint_tables(db)}
    base, pages = env["SAFETYAMP_BASE_URL"], {}
    session.headers.update({"Authorization": f"Bearer {env['SAFETYAMP_TOKEN']}", "Fqdn": env["SAFETYAMP_FQDN"]})
    session.headers["Accept"] = "application/json"
    for name in SAFETYAMP:
        rows: list[dict[str, Any]] = []
        while True:
            page = session.get(f"{base}/api/{name}", params={"page": len(rows) // 100, "limit": 100}).json()["data"]
            rows += page
            if len(page) < 100:
                break
        pages[name] = rows
    session.get(f"{base}/api/site_clusters").json()
    people = {str(user["emp_id"]): user for user in pages["users"] if user.get("emp_id")}
    accounts = graph_users(env)
    fleet = [samsara(env, name) for name in ("vehicles", "drivers")]
    employees = next(rows for name, rows in tables.items() if name.lower().endswith("preh"))
    differs = 0
    for row in employees:
        user, account = people.get(str(row["Employee"])), accounts.get(str(row["Employee"]), {})
        wanted = (row["FirstName"], row["LastName"], account.get("mail") or row["Email"], account.get("mobilePhone"))
        shown = user and tuple(user.get(name) for name in ("first_name", "last_name", "email", "mobile_phone"))
        title = ((user or {}).get("current_title") or {}).get("name")
        differs += shown != wanted or title != row["udEmpTitle"]
    print(len(people), len(accounts), *map(len, fleet), differs)


def viewpoint_tables(db: sqlite3.Connection) -> list[str]:
    """The names of the tables and views that hold rows of the sync."""
    named = [row[0] for row in db.execute("select name from sqlite_master where type in ('table', 'view')")]
    return [name for name in named if name.startswith("b")]


def an_employee(url: str) -> str:
    """The number of somebody from the middle of the table."""
    with sqlite3.connect(url.removeprefix("sqlite:///")) as db:
        numbers = [number for (number,) in db.execute("select Employee from bPREH order by Employee")]
    return str(numbers[len(numbers) // 2])


def graph_users(env: Any) -> dict[str, dict[str, Any]]:
    """The accounts by employee number."""
    tenant = f"{env['MS_GRAPH_AUTHORITY']}/{env['MS_GRAPH_TENANT_ID']}"
    form = {"client_id": env["MS_GRAPH_CLIENT_ID"], "client_secret": env["MS_GRAPH_CLIENT_SECRET"]}
    form |= {"grant_type": "client_credentials", "scope": "https://graph.microsoft.com/.default"}
    token = requests.post(f"{tenant}/oauth2/v2.0/token", data=form, timeout=30).json()["access_token"]
    session, found = requests.Session(), {}
    session.headers["Authorization"] = f"Bearer {token}"
    select = "id,employeeId,mail,mobilePhone,businessPhones,displayName,userPrincipalName"
    url = f"{env['MS_GRAPH_BASE_URL']}/users?$top=999&$select={select}"
    while url:
        page = session.get(url).json()
        found |= {str(user["employeeId"]).strip(): user for user in page["value"] if user.get("employeeId")}
        url = page.get("@odata.nextLink")
    return found


def samsara(env: Any, name: str) -> list[dict[str, Any]]:
    """All rows of one of Samsara's lists."""
    session, rows, after = requests.Session(), [], ""
    session.headers["Authorization"] = f"Bearer {env['SAMSARA_API_KEY']}"
    while True:
        params = {"limit": 512, **({"after": after} if after else {})}
        page = session.get(f"{env['SAMSARA_BASE_URL']}/fleet/{name}", params=params).json()
        rows += page["data"]
        if not page["pagination"]["hasNextPage"]:
            return rows
        after = page["pagination"]["endCursor"]


def cost(command: tuple[str, ...], env: dict[str, str]) -> tuple[float, float, int]:
    """CPU seconds, most memory in MB and exit code of one process."""
    process = subprocess.Popen(command, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    return used.ru_utime + used.ru_stime, used.ru_maxrss / 1024, process.returncode


def main() -> None:
    """Run them one after the other."""
    from safetyamp_pipelines.sandbox import Sandbox, TargetOptions, WorldSpec

    employees, chosen = int(sys.argv[1]) if len(sys.argv) > 1 else 2_000, sys.argv[2:]
    # Without the mess: its mass changes are what guards refuse.
    spec = WorldSpec(employees=employees, jobs=employees // 2, vehicles=max(12, employees // 20), mess=False)
    commands = {
        "plan": (*COMMAND, "plan"),
        "sync": (*COMMAND, "sync"),
        "rest": (*COMMAND, "sync"),
        "status": (*COMMAND, "status"),
        "explain": (*COMMAND, "explain", "employee"),
        "absent": (*COMMAND, "explain", "employee", "100000"),
        "help": (*COMMAND, "--help"),
    }
    with Sandbox(spec, TargetOptions(calls=1_000_000)) as box:
        env = {**os.environ, **box.environment}
        commands["explain"] += (an_employee(env["VIEWPOINT_URL"]),)
        base, memory, code = cost((sys.executable, __file__, "peer"), env)
        print(f"{employees} employees: the peer took {base:.2f} CPU s and {memory:.0f} MB (exit code {code})")
        for name in chosen or commands:
            seconds, memory, code = cost(commands[name], env)
            print(f"{name:8} {seconds:6.2f} CPU s  {memory:4.0f} MB  ratio {seconds / base:5.1f}  exit code {code}")


if __name__ == "__main__":
    peer() if sys.argv[1:] == ["peer"] else main()
