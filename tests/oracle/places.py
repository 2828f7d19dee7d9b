"""What becomes of departments, jobs and titles: site clusters, sites and user titles."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from oracle.book import Book, Row, Token
from oracle.cleaning import OneOf, key, text, zip_code
from oracle.verdicts import Verdicts

Links = dict[str, Token]


def departments(book: Book, rows: list[Row], links: Links, verdicts: Verdicts) -> tuple[Links, Links]:
    """Clusters by department code and by region.

    Choices: a department without a region is rejected, there is no place for it; without a description it is named
    by its code alone.
    """
    (root,) = book.find("site_clusters", parent_cluster_id=None)
    regions: Links = {}
    codes: Links = {}
    for row in rows:
        code, region, description = key(row["PRDept"]), text(row["udRegion"]), text(row["Description"])
        if region is None:
            verdicts.reject(code)
            continue
        if region not in regions:
            regions[region] = _cluster(book, f"region {region}", links, region, region, root)
        codes[code] = _cluster(book, f"department {code}", links, code, named(code, description), regions[region])
    verdicts.records = len(codes) + len(regions) + len(verdicts.rejected)
    return codes, regions


def named(code: str, description: str | None) -> str:
    """The name of what has a code and perhaps a description."""
    return f"{code} - {description}".strip() if description else code.strip()


def _cluster(book: Book, identity: str, links: Links, code: str, name: str, parent: Token) -> Token:
    """Match on link, external code, name.

    Choice: a name counts only for a cluster that carries no other code.
    """
    found = [links[identity]] if identity in links else []
    found = found or book.find("site_clusters", external_code=code)
    found = found or book.find("site_clusters", name=name, external_code=None)
    fields = {"name": name, "external_code": code, "parent_cluster_id": parent}
    if not found:
        found = [book.add("site_clusters", **fields)]
    book.set("site_clusters", found[0], **fields)
    links[identity] = found[0]
    return found[0]


def jobs(
    book: Book, rows: list[Row], contracts: list[Row], rules: Mapping[str, Any], links: Links, verdicts: Verdicts
) -> Links:
    """Sites by job key, those of open jobs.

    Choices: a potential project (not visible in job cost) is out of scope; a department that the sources cannot place
    still counts as known when SafetyAmp has a cluster with its code; a job without description is named by its key.
    """
    branches = {key(row["Contract"]): key(row["Department"]) for row in contracts}
    sites: Links = {}
    verdicts.records = len(rows)
    for row in rows:
        job, description = key(row["Job"]), text(row["Description"])
        if row["JobStatus"] not in rules["open_statuses"] or row["PCVisibleInJC"] == "N":
            verdicts.out_of_scope.add(job)
            continue
        cluster = book.find("site_clusters", external_code=branches.get(key(row["Contract"])) or "-")
        if not cluster:
            verdicts.reject(job)
            continue
        fields = {
            "ext_id": job.strip(),  # SafetyAmp trims texts; what is sent is verbatim
            "name": named(job, description),
            "cluster_id": cluster[0],
            **address(row, "Ship"),
        }
        found = [links[job]] if job in links else book.find("sites", ext_id=job)
        found = found or book.find("sites", name=fields["name"], ext_id=None)
        if not found:
            found = [book.add("sites", **fields, timezone=rules["timezone"])]
        book.set("sites", found[0], **fields)
        stand_in(book, "sites", found[0], rules)
        links[job] = sites[job] = found[0]
    return sites


def stand_in(book: Book, table: str, token: Token, rules: Mapping[str, Any]) -> None:
    """Choice: the configured country and state are written where neither the source nor SafetyAmp has one."""
    row = book.rows[table][token]
    row["country"] = row["country"] or rules["country"]
    row["state"] = row["state"] or rules["default_state"]


def address(row: Row, prefix: str = "") -> Row:
    """The address fields of a row."""
    return {
        "street": text(row[f"{prefix}Address"]),
        "street2": text(row[f"{prefix}Address2"]),
        "city": text(row[f"{prefix}City"]),
        "state": text(row[f"{prefix}State"]),
        "zip_code": zip_code(row[f"{prefix}Zip"]),
        "country": text(row[f"{prefix}Country"]),
    }


def titles(book: Book, rows: list[Row], verdicts: Verdicts) -> Links:
    """Titles by lower-case name, those of the active employees.

    Choices: employees who are rejected count too; of several spellings any may be created.
    """
    spellings: dict[str, list[str]] = {}
    for row in rows:
        if (title := text(row["udEmpTitle"])) is not None:
            spellings.setdefault(title.casefold(), []).append(title)
    known = {row["name"].strip().casefold(): token for token, row in book.rows["user_titles"].items()}
    for folded, spelt in spellings.items():
        if folded not in known:
            known[folded] = ("new", folded)
            book.rows["user_titles"]["new", folded] = {"name": OneOf(*spelt)}
    verdicts.records = len(spellings)
    return known
