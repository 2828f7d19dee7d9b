"""What goes wrong in e-mails, telephone numbers and employee ids, in the payroll and in Entra."""

from __future__ import annotations

from safetyamp_pipelines.sandbox import people
from safetyamp_pipelines.sandbox.world_accounts import DOMAIN, TENANT_DOMAIN, account, international
from safetyamp_pipelines.sandbox.world_model import Draft, Row

INVALID_EMAILS = ("n/a", "nora.test@", "nora test@example.net", "nora@@example.net", "nora@example", "none")
INVALID_PHONES = ("555-0123", "call front desk", "000-000-0000", "504-555-012", "504 555 O123")
NEW_NUMBERS = 60_000  # where unused private numbers begin in the telephone book


def plant_contacts(draft: Draft) -> None:
    """First what makes an e-mail unusable or shared, then what leaves a record fit to be synced."""
    if not draft.spec.mess:
        return
    _plant_shared_emails(draft)
    _plant_unusable_emails(draft)
    _plant_employee_ids(draft)
    _plant_account_mails(draft)
    _plant_phones(draft)
    _plant_managers(draft)


def _plant_shared_emails(draft: Draft) -> None:
    for one, other in _pairs(draft.take("duplicate_emails_viewpoint", 0.005, at_least=2, in_pairs=True)):
        for row in (one, other):
            _drop_account(draft, row)
        one["Email"] = f"family{one['Employee']}@example.net"
        other["Email"] = f"Family{one['Employee']}@Example.net "
    # The first of each pair is in SafetyAmp under the address; the other was hired since.
    for one, other in _pairs(draft.take("duplicate_email_with_holder", at_least=2, in_pairs=True)):
        for row in (one, other):
            _drop_account(draft, row)
            row["Email"] = f"crew{one['Employee']}@example.net"
    for one, other in _pairs(draft.take("duplicate_emails_entra", at_least=2, in_pairs=True)):
        mail = f"shared{one['Employee']}@{DOMAIN}"
        for row in (one, other):
            _account(draft, row)["mail"] = mail
            row["Email"] = None
    for row in draft.take("email_held_by_hidden_user"):
        _drop_account(draft, row)
        row["Email"] = f"returning{row['Employee']}@example.net"


def _plant_unusable_emails(draft: Draft) -> None:
    for i, row in enumerate(draft.take("invalid_emails_viewpoint", 0.003)):
        _drop_account(draft, row)
        row["Email"] = INVALID_EMAILS[i % len(INVALID_EMAILS)]
    for i, row in enumerate(draft.take("no_email", 0.004, at_least=2)):
        _drop_account(draft, row)
        row["Email"] = (None, "   ")[i % 2]
    for row in draft.take("only_onmicrosoft"):
        _account(draft, row)["mail"] = f"e{row['Employee']}@{TENANT_DOMAIN}"
        row["Email"] = None


def _plant_employee_ids(draft: Draft) -> None:
    def has_account(row: Row) -> bool:
        return row["Employee"] in draft.accounts

    for row in draft.sample("employee_id_leading_zeros", "mail", 0.02, at_least=2, where=has_account):
        draft.accounts[row["Employee"]]["employeeId"] = f"{row['Employee']:06d}"
    for row in draft.sample("employee_id_blanks", "mail", 0.01, where=has_account):
        draft.accounts[row["Employee"]]["employeeId"] = f" {row['Employee']} "
    for row in draft.sample("employee_id_missing", "mail", where=has_account):
        draft.accounts[row["Employee"]]["employeeId"] = None
        row["Email"] = f"private{row['Employee']}@example.net"
    dice = draft.dice("second accounts")
    for row in draft.sample("employee_id_twice", "mail", where=has_account):
        box = f"adm{row['Employee']}"
        draft.world.entra.append(account(dice, box, f"{row['Employee']:08d}", f"{box}@{TENANT_DOMAIN}"))
    for row in draft.sample("account_disabled", "mail", where=has_account):
        draft.accounts[row["Employee"]]["accountEnabled"] = False
        row["Email"] = f"private{row['Employee']}@example.net"


def _plant_account_mails(draft: Draft) -> None:
    for row in draft.sample("onmicrosoft_but_viewpoint_email", "mail"):
        _account(draft, row)["mail"] = f"e{row['Employee']}@{TENANT_DOMAIN}"
        row["Email"] = f"private{row['Employee']}@example.net"
    for row in draft.sample("account_without_mail", "mail"):
        _account(draft, row)["mail"] = None
        row["Email"] = f"private{row['Employee']}@example.net"
    for row in draft.sample("invalid_emails_entra", "mail"):
        _account(draft, row)["mail"] = f"e {row['Employee']}@{DOMAIN}"
        row["Email"] = f"private{row['Employee']}@example.net"


def _plant_phones(draft: Draft) -> None:
    new = NEW_NUMBERS
    for one, other in _pairs(draft.sample("duplicate_phones_viewpoint", "phone", 0.01, at_least=2, in_pairs=True)):
        new += 1
        for row in (one, other):
            _drop_mobile(draft, row)
            row["CellPhone"] = people.telephone(new)
    for one, other in _pairs(draft.sample("duplicate_phones_entra", "phone", at_least=2, in_pairs=True)):
        new += 1
        for row in (one, other):
            _account(draft, row)["mobilePhone"] = international(people.telephone(new))
    for i, row in enumerate(draft.sample("invalid_phones", "phone", 0.01, at_least=2)):
        _drop_mobile(draft, row)
        row |= {"CellPhone": INVALID_PHONES[i % len(INVALID_PHONES)], "Phone": None}
    for i, row in enumerate(draft.sample("free_text_mobile", "phone", 0.01, at_least=3)):
        new += 1
        text = ("ask the front desk", "{} (cell)", "{} / office")[i % 3]
        _account(draft, row)["mobilePhone"] = text.format(people.telephone(new))
    for i, row in enumerate(draft.sample("phone_written_differently", "phone", 0.02, at_least=3)):
        new += 1
        area, exchange, line = people.telephone(new).split("-")
        forms = (f"({area}) {exchange}-{line}", f"{area}.{exchange}.{line} ", f"1{area}{exchange}{line}")
        _drop_mobile(draft, row)
        row["CellPhone"] = forms[i % 3]


def _plant_managers(draft: Draft) -> None:
    for one, other in _pairs(draft.sample("managers_of_each_other", "manager", at_least=2, in_pairs=True)):
        _account(draft, one)["manager"] = _account(draft, other)["id"]
        _account(draft, other)["manager"] = _account(draft, one)["id"]
    services = draft.world.noted("service_accounts")
    for row in draft.sample("manager_is_no_employee", "manager") if services else []:
        _account(draft, row)["manager"] = services[0]


def _pairs(rows: list[Row]) -> list[tuple[Row, Row]]:
    return list(zip(rows[::2], rows[1::2], strict=True))


def _account(draft: Draft, employee: Row) -> Row:
    """The employee's account, made now when there is none."""
    number = employee["Employee"]
    if number not in draft.accounts:
        box = people.mailbox(employee["FirstName"], employee["LastName"]) + str(number)
        dice = draft.dice(f"account {number}")
        draft.accounts[number] = account(dice, box, str(number), f"{box}@{DOMAIN}")
        draft.world.entra.append(draft.accounts[number])
    return draft.accounts[number]


def _drop_account(draft: Draft, employee: Row) -> None:
    dropped = draft.accounts.pop(employee["Employee"], None)
    if dropped is not None:
        draft.world.entra.remove(dropped)
        for row in draft.world.entra:
            if row["manager"] == dropped["id"]:
                row["manager"] = dropped["manager"]


def _drop_mobile(draft: Draft, employee: Row) -> None:
    if employee["Employee"] in draft.accounts:
        draft.accounts[employee["Employee"]]["mobilePhone"] = None
