"""The part of departments and jobs in the scenario: what is the case before each run."""

from __future__ import annotations

from oracle.cast import Cast

REGION, NEW_REGION = "Atlantic", "Atlantic Coast"


def before_first(cast: Cast) -> None:
    """Odd job keys, sites that are known by name only, and jobs that lead nowhere."""
    one, other = _departments(cast, "Gulf")[:2]
    cast.about |= {"department": one, "other department": other}
    for key, description in {
        "30001.": "With a dot",
        "30001": "Without a dot",
        " 30002.": "Leading blank",
        "30003.  ": "Trailing blanks",
        "30005.": " Padded description ",
        "30006.": "Moving job",
        "30007.": "Closing job",
        "30008.": "  ",
    }.items():
        cast.sources.add_job(key, description, one)
    cast.sources.update("bJCJM", {"JCCo": 1, "Job": "30005."}, ShipZip="01234-", ShipState="LA ", ShipCity="Testburg ")
    cast.sources.add_job("30004.", "Nowhere", "99")
    cast.about["far job"] = "30005."
    for name, job in {"dotted": "30001.", "undotted": "30001", "leading": " 30002.", "nowhere": "30004."}.items():
        cast.hire(name, job=job)
    sites = [row for row in cast.safetyamp.tables()["sites"] if (row["ext_id"] or "").startswith("100")]
    nameless, renamed = sites[0], sites[1]
    cast.about |= {"site without code": nameless["id"], "its code": nameless["ext_id"], "renamed site": renamed["id"]}
    cast.safetyamp.edit("sites", nameless["id"], ext_id=None)
    cast.sources.add_department("77", "No region yet", None)
    cast.sources.add_department("78", " ", "Gulf")


def before_second(cast: Cast) -> None:
    """A region renamed, a job moved, another closed, one emptied; names changed by a person."""
    cast.sources.update("bPRDP", {"udRegion": REGION}, udRegion=NEW_REGION)
    cast.sources.update("bJCCM", {"JCCo": 1, "Contract": "30006."}, Department=cast.about["other department"])
    cast.sources.update("bJCJM", {"JCCo": 1, "Job": "30007."}, JobStatus=3)
    cast.about["closed site"] = cast.site("30007.")["id"]
    cast.about["moved site"] = cast.site("30006.")["id"]
    address = ("ShipAddress", "ShipCity", "ShipState", "ShipZip", "ShipCountry")
    cast.sources.update("bJCJM", {"JCCo": 1, "Job": "30005."}, **dict.fromkeys(address))
    cast.about["emptied site"] = cast.site("30005.")["id"]
    cast.safetyamp.edit("sites", cast.about["renamed site"], name="A person's name")


def _departments(cast: Cast, region: str) -> list[str]:
    return [row["PRDept"] for row in cast.box.world.viewpoint["bPRDP"] if row["udRegion"] == region]
