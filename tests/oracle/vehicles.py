"""What becomes of vehicles: assets."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from oracle.book import Book, Row, Token
from oracle.cleaning import number, text
from oracle.people import Places
from oracle.places import Links
from oracle.verdicts import Verdicts


@dataclass
class Fleet:
    """Works out the assets."""

    book: Book
    places: Places
    users: Mapping[int, Token]
    drivers: Mapping[str, Row]
    rules: Mapping[str, Any]
    links: Links
    verdicts: Verdicts

    def sync(self, vehicles: list[Row]) -> None:
        """Fill the book with what assets should be. A vehicle that vanished leaves its asset as it is."""
        self.verdicts.records = len(vehicles)
        for row in vehicles:
            self._vehicle(row)

    def _vehicle(self, row: Row) -> None:
        user = self._user(row)
        site = self._site(row, user)
        kind = self._type(site)
        if kind is None:
            site = self._site_named(self.rules["default_site"])
            kind = self._type(site)
        fields = {
            "name": text(row.get("name")),
            "serial": text(row.get("vin")) or text(row.get("serial")),
            "code": text(row.get("licensePlate")),
            "model": text(row.get("model")),
            "site_id": site,
            "asset_type_id": kind,
            "current_user_id": user,
            "status": 1,
        }
        if site is None or kind is None or fields["name"] is None:
            self.verdicts.reject(row["id"])
            return
        token = self._match(row)
        if token is None:
            token = self.book.add("assets", **fields)
        self.book.set("assets", token, **fields)
        if not row.get("staticAssignedDriver"):
            self.book.rows["assets"][token]["current_user_id"] = None
        self.links[row["id"]] = token

    def _match(self, row: Row) -> Token | None:
        """Match on link, then serial equal to VIN or gateway serial, then code = licence plate."""
        if row["id"] in self.links:
            return self.links[row["id"]]
        wanted = [("serial", row.get("vin")), ("serial", row.get("serial")), ("code", row.get("licensePlate"))]
        for name, value in wanted:
            if value and (found := self.book.find("assets", **{name: value})):
                return found[0]
        return None

    def _user(self, row: Row) -> Token | None:
        """The SafetyAmp user of the assigned driver: an external id, else the number that is all of the notes. Without
        a driver any more there is no user any more.

        Choices: a driver Samsara does not list as active is not one; a user who has been switched off still counts.
        """
        driver = self.drivers.get(row.get("staticAssignedDriver", {}).get("id", ""))
        if driver is None or driver["driverActivationStatus"] != "active":
            return None
        told = driver.get("externalIds", {}).get(self.rules["driver_external_id"])
        if told is None:
            noted = re.search(self.rules["driver_notes_pattern"], driver.get("notes") or "")
            told = noted[1] if noted else None
        return self.users.get(number(told) or -1)

    def _site(self, row: Row, user: Token | None) -> Token | None:
        """The driver's home site, else the one a tag leads to, else the default.

        Choice: of several tags the one counts that the rules map first, then one that names a department.
        """
        home = self.book.rows["users"][user]["home_site_id"] if user is not None else None
        tags = sorted(tag["name"] for tag in row.get("tags", []))
        named = next((site for name, site in self.rules["tag_sites"].items() if name in tags), None)
        return (
            home or self._site_named(named) or self._home_office(tags) or self._site_named(self.rules["default_site"])
        )

    def _home_office(self, tags: list[str]) -> Token | None:
        for name in tags:
            if match := re.search(self.rules["tag_department_pattern"], name):
                region = self.places.region_by_department.get(match["department"], "")
                offices = self.book.find("sites", cluster_id=self.places.regions.get(region, "-"))
                if offices:
                    return offices[0]
        return None

    def _site_named(self, name: str | None) -> Token | None:
        if name is None:
            return None
        return next(iter(self.book.find("sites", ext_id=name) or self.book.find("sites", name=name)), None)

    def _type(self, site: Token | None) -> int | None:
        """The vehicle type of that very site."""
        return next(
            (
                kind["id"]
                for kind in self.book.fixed["asset_types"]
                if (kind["site_id"], kind["name"]) == (site, self.rules["asset_type"])
            ),
            None,
        )
