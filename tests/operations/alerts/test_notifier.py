"""Mail and webhook against a real SMTP server and a real HTTP receiver: what arrives, and what is said if not."""

from __future__ import annotations

import smtplib
import subprocess
import sys
import traceback
from pathlib import Path

import pytest
import trustme
from alert_receivers import LOGIN, PASSWORD, Mailbox, bundle_of, dripping_server, mail_server, receiver
from ports import free_port

from safetyamp_pipelines.automation.alerting.sending import deliver
from safetyamp_pipelines.operations.alerts.channels import channels_of
from safetyamp_pipelines.operations.alerts.mail import MailChannel, _reason
from safetyamp_pipelines.operations.alerts.memory import Memory
from safetyamp_pipelines.operations.alerts.messages import TEST, Links, Words
from safetyamp_pipelines.operations.alerts.problems import Level, Red, State, absorb
from safetyamp_pipelines.operations.alerts.webhook import WebhookChannel, beat
from safetyamp_pipelines.resources.systems import NotifierResource, SettingsResource
from safetyamp_pipelines.settings.loading import load_settings
from safetyamp_pipelines.settings.model import Settings, SettingsError
from safetyamp_pipelines.sync.model.errors import NotDelivered

WORDS = Words("[SafetyAmp sync] Samsara refuses our login", ("Zwölf Fälle:", "one\ntwo"))
NOON = 1_795_262_400.0
REFUSED = Red(problem="call/Samsara", level=Level.CRITICAL, title="Samsara refuses", needs=frozenset(), at=NOON)
LOGGED_IN = {"SMTP_USERNAME": LOGIN, "SMTP_PASSWORD": PASSWORD}


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


def settings(*environments: dict[str, str]) -> Settings:
    merged: dict[str, str] = {}
    for environment in environments:
        merged |= environment
    return load_settings(merged, env_file=None)


def test_a_mail_arrives_as_plain_text_for_everybody_and_asks_for_no_automatic_answer():
    with mail_server() as box:
        more = {"ALERT_EMAIL_TO": "on-call@example.com, safety@example.com"}
        done = MailChannel(settings(box.environment, more)).send(WORDS).what

        (message,) = box.messages
        assert message["Subject"] == WORDS.subject
        assert message["To"] == "on-call@example.com, safety@example.com"
        assert message["From"] == "sync@example.com"
        assert message["Auto-Submitted"] == "auto-generated"
        assert box.text().splitlines() == ["Zwölf Fälle:", "", "one", "two"]
        assert done == f"taken by 127.0.0.1:{box.port} for 2 addresses"


def test_the_same_words_have_the_same_message_id_and_others_another():
    with mail_server() as box:
        channel = MailChannel(settings(box.environment))
        for words in (WORDS, WORDS, TEST):
            channel.send(words)

        first, again, other = (message["Message-ID"] for message in box.messages)

        assert first == again != other


def test_tls_and_the_login_are_used_where_the_server_offers_them(authority: trustme.CA, tmp_path: Path):
    trusted = {"REQUESTS_CA_BUNDLE": bundle_of(authority, tmp_path)}
    with mail_server(authority=authority, wants_login=True) as box:
        MailChannel(settings(box.environment, trusted, LOGGED_IN)).send(WORDS)

        assert (box.encrypted, box.logins) == ([True], [True])


def test_a_certificate_that_is_not_trusted_stops_everything(authority: trustme.CA):
    with mail_server(authority=authority) as box:
        with pytest.raises(NotDelivered, match=r"not trusted.*REQUESTS_CA_BUNDLE"):
            MailChannel(settings(box.environment)).send(WORDS)

        assert box.messages == []


def test_starttls_can_be_required_and_can_be_left_out(authority: trustme.CA):
    with mail_server() as box, pytest.raises(NotDelivered, match=r"offers no STARTTLS.*SMTP_STARTTLS"):
        MailChannel(settings(box.environment, {"SMTP_STARTTLS": "required"})).send(WORDS)
    with mail_server(authority=authority) as box:
        MailChannel(settings(box.environment, {"SMTP_STARTTLS": "off"})).send(WORDS)
        assert box.encrypted == [False]


def test_a_login_is_never_shown_to_a_network():
    """A name that is not a loopback address, though it leads to one, is taken for a server somewhere else."""
    with mail_server(wants_login=True) as box:
        elsewhere = {**box.environment, "SMTP_SERVER": "0"}  # the system reads it as the machine itself
        with pytest.raises(NotDelivered, match="must not travel without it"):
            MailChannel(settings(elsewhere, LOGGED_IN)).send(WORDS)
    with pytest.raises(SettingsError, match="SMTP_STARTTLS: is off"):
        settings({**elsewhere, **LOGGED_IN, "SMTP_STARTTLS": "off"})


def refused_login(box: Mailbox) -> Settings:
    return settings(box.environment, {"SMTP_USERNAME": LOGIN, "SMTP_PASSWORD": "wrong-s3cret"})


def test_what_goes_wrong_is_said_without_addresses_or_logins():
    with mail_server(wants_login=True) as box, pytest.raises(NotDelivered) as login:
        MailChannel(refused_login(box)).send(WORDS)
    with mail_server(refuses={"on-call@example.com"}) as box, pytest.raises(NotDelivered) as nobody:
        MailChannel(settings(box.environment)).send(WORDS)
    with pytest.raises(NotDelivered) as closed:
        MailChannel(settings(box.environment)).send(WORDS)

    told = [str(error.value) for error in (login, nobody, closed)]
    assert "refused the login (535). Check SMTP_USERNAME and SMTP_PASSWORD" in told[0]
    assert "accepts mail for none of the addresses (550). Check ALERT_EMAIL_TO" in told[1]
    assert "cannot be reached (ConnectionRefusedError). Check SMTP_SERVER" in told[2]
    traces = ["".join(traceback.format_exception(error.value)) for error in (login, nobody, closed)]
    assert [text for text in [*told, *traces] if "on-call@" in text or "wrong-s3cret" in text] == []


def test_one_address_that_is_refused_does_not_keep_the_others_from_being_told():
    with mail_server(refuses={"gone@example.com"}) as box:
        done = MailChannel(settings(box.environment, {"ALERT_EMAIL_TO": "on-call@example.com,gone@example.com"})).send(
            WORDS
        )

        assert len(box.messages) == 1
        assert "for 1 of 2 addresses" in done.what
        assert done.deferred == ()


def test_whose_server_defers_a_mail_gets_it_later_and_the_others_only_once():
    addresses = "on-call@example.com,slow@example.com,gone@example.com"
    with mail_server(refuses={"gone@example.com"}) as box:
        box.defers["slow@example.com"] = 2
        channel = MailChannel(settings(box.environment, {"ALERT_EMAIL_TO": addresses}))
        state = absorb(State(), [REFUSED])

        state, first, _ = deliver("mail", channel, state, Links(), NOON)
        state, soon, _ = deliver("mail", channel, state, Links(), NOON + 60)
        state, second, _ = deliver("mail", channel, state, Links(), NOON + 400)
        stored = Memory(1, {"mail": state}).dump()
        state, third, _ = deliver("mail", channel, Memory.load(stored).channels["mail"], Links(), NOON + 800)

    assert "for 1 of 3 addresses, 1 tried again" in first
    assert soon == ""
    assert "(450)" in second
    assert "once more, taken by" in third
    assert box.receivers == [["on-call@example.com"], ["slow@example.com"]]
    assert (state.deferred, "slow@" in stored) == ((), False)


def test_who_defers_a_mail_for_a_day_is_not_tried_again():
    with mail_server() as box:
        box.defers["slow@example.com"] = 99
        channel = MailChannel(settings(box.environment, {"ALERT_EMAIL_TO": "on-call@example.com,slow@example.com"}))
        state = absorb(State(), [REFUSED])

        state, _, _ = deliver("mail", channel, state, Links(), NOON)
        state, _, _ = deliver("mail", channel, state, Links(), NOON + 90_000)

    assert state.deferred == ()


def test_a_server_that_answers_byte_by_byte_has_one_deadline_for_all_of_it():
    with dripping_server() as port, pytest.raises(NotDelivered, match="did not answer in 1 s"):
        MailChannel(settings(Mailbox(port).environment), longest=1.0).send(WORDS)


def test_the_mail_server_can_be_asked_without_a_mail():
    with mail_server() as box:
        assert MailChannel(settings(box.environment)).check() == f"127.0.0.1:{box.port} answers"
        assert box.messages == []


def test_a_webhook_takes_a_card_with_the_same_words():
    with receiver() as calls:
        done = WebhookChannel(settings({"ALERT_WEBHOOK_URL": f"{calls.url}/s3cret-hook"})).send(WORDS).what

        ((method, path, body),) = calls.received
        assert (method, path, done) == ("POST", "/s3cret-hook", "taken with 200")
        card = body["attachments"][0]["content"]
        assert [block["text"] for block in card["body"]] == [WORDS.subject, "Zwölf Fälle:", "one\n\ntwo"]
        assert body["text"] == f"{WORDS.subject}\n\n{WORDS.text}"


@pytest.mark.parametrize(
    ("status", "advice"), [(500, "next tick"), (429, "next tick"), (404, "Make a new one"), (302, "Make a new one")]
)
def test_a_webhook_that_does_not_take_it_is_told_by_its_status(status: int, advice: str):
    with receiver(status) as calls, pytest.raises(NotDelivered) as error:
        WebhookChannel(settings({"ALERT_WEBHOOK_URL": f"{calls.url}/s3cret-hook"})).send(WORDS)

    assert str(error.value).startswith(f"the address in ALERT_WEBHOOK_URL answered {status}. ")
    assert advice in str(error.value)


def test_a_webhook_that_is_not_there_is_told_without_its_address():
    channel = WebhookChannel(settings({"ALERT_WEBHOOK_URL": f"http://127.0.0.1:{free_port()}/s3cret-hook"}))
    with pytest.raises(NotDelivered) as error:
        channel.send(WORDS)

    assert str(error.value).startswith("the address in ALERT_WEBHOOK_URL: no connection could be made")
    assert "s3cret" not in str(error.value)
    assert "s3cret" not in "".join(traceback.format_exception(error.value))


def test_the_heartbeat_is_one_call_and_none_where_there_is_no_address():
    with receiver() as calls:
        given = {"HEARTBEAT_URL": f"{calls.url}/ping/s3cret"}
        assert beat(settings(given)) == "answered 200"
        assert NotifierResource(settings=SettingsResource.of(given)).beat()
        assert not NotifierResource(settings=SettingsResource.of({})).beat()

        assert calls.received == [("GET", "/ping/s3cret", None)] * 2
        calls.answers.append(404)
        with pytest.raises(NotDelivered, match="HEARTBEAT_URL answered 404"):
            beat(settings(given))


def test_a_channel_is_there_when_its_settings_are():
    mail = {"ALERT_EMAIL_TO": "a@example.com", "ALERT_EMAIL_FROM": "b@example.com", "SMTP_SERVER": "mail"}
    webhook = {"ALERT_WEBHOOK_URL": "https://hooks.example.com/x"}

    assert [list(channels_of(settings(given))) for given in ({}, mail, webhook, {**mail, **webhook})] == [
        [],
        ["mail"],
        ["webhook"],
        ["mail", "webhook"],
    ]


def test_nothing_that_sends_is_imported_before_something_is_sent():
    program = (
        "import sys, dagster; before = set(sys.modules)\n"  # Dagster itself brings smtplib
        "import safetyamp_pipelines.operations.alerts.channels\n"
        "new = set(sys.modules) - before\n"
        "print(sorted(name for name in new if name in ('smtplib', 'requests', 'urllib3')))"
    )
    answer = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert answer.stdout.strip() == "[]"


def test_a_mail_server_that_falls_silent_in_the_conversation_did_not_answer_in_time():
    error = smtplib.SMTPServerDisconnected("Connection unexpectedly closed: timed out")
    error.__context__ = TimeoutError()  # as smtplib raises it

    assert _reason(error).startswith("did not answer in 10 s")
