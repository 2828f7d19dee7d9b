"""Problems open, end and are told: once, at once or in the hour's digest, and anew only when they became worse."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from safetyamp_pipelines.operations.alerts.delivery import HOUR, MOST_ITEMS, MOST_MESSAGES, Message, next_message
from safetyamp_pipelines.operations.alerts.memory import Memory
from safetyamp_pipelines.operations.alerts.problems import MOST_PROBLEMS, Green, Level, Red, Signal, State, absorb
from safetyamp_pipelines.sync.model.errors import Refusal

NOON = 1_795_262_400.0


def red(problem: str = "call/Samsara", level: Level = Level.CRITICAL, at: float = NOON, size: int = 0) -> Red:
    facts = {"title": f"title of {problem}", "detail": "detail", "advice": "advice", "size": size}
    return Red(problem=problem, level=level, needs=frozenset({f"step/{problem}"}), at=at, **facts)  # type: ignore[arg-type]


def green(problem: str = "call/Samsara", at: float = NOON) -> Green:
    return Green(frozenset({f"step/{problem}"}), at)


def told(state: State, now: float) -> tuple[list[Message], State]:
    """All messages that are due now, one after the other."""
    messages = []
    while (message := (answer := next_message(state, now))[0]) is not None:
        messages.append(message)
        state = answer[1]
    return messages, answer[1]


def test_a_critical_problem_is_told_at_once_and_once_and_so_is_its_end():
    (alert,), state = told(absorb(State(), [red()]), NOON + 1)
    repeated, state = told(absorb(state, [red(at=NOON + 60)]), NOON + 61)
    (recovery,), state = told(absorb(state, [green(at=NOON + 120)]), NOON + 121)
    nothing, state = told(absorb(state, [green(at=NOON + 180)]), NOON + 181)

    assert (alert.kind, recovery.kind) == ("alert", "recovery")
    assert (repeated, nothing) == ([], [])
    assert recovery.problems[0].count == 2
    assert state.problems == {}


def test_what_can_wait_is_told_in_one_digest_when_the_hour_has_turned():
    state = absorb(State(), [red("a", Level.DIGEST), red("b", Level.DIGEST, at=NOON + 60)])

    too_early, state = told(state, NOON + HOUR - 1)
    (digest,), state = told(state, NOON + HOUR + 1)

    assert too_early == []
    assert (digest.kind, [problem.title for problem in digest.problems]) == ("digest", ["title of a", "title of b"])
    assert told(state, NOON + 5 * HOUR)[0] == []


def test_what_came_and_went_before_it_was_told_is_told_as_over_and_forgotten():
    state = absorb(State(), [red(level=Level.DIGEST), green(at=NOON + 60)])

    (digest,), state = told(state, NOON + HOUR)

    assert digest.problems[0].recovered_at == NOON + 60
    assert state.problems == {}


def test_a_problem_that_comes_back_before_its_end_was_told_has_never_ended():
    _, state = told(absorb(State(), [red()]), NOON + 1)

    messages, _ = told(absorb(state, [green(at=NOON + 60), red(at=NOON + 90)]), NOON + 91)

    assert messages == []


def test_a_problem_ends_when_all_that_it_needs_is_well():
    both = replace(red(), needs=frozenset({"step/drivers", "step/vehicles"}))
    _, state = told(absorb(State(), [both]), NOON)

    half, state = told(absorb(state, [Green(frozenset({"step/drivers"}), NOON + 60)]), NOON + 61)
    (whole,), _ = told(absorb(state, [Green(frozenset({"step/vehicles"}), NOON + 90)]), NOON + 91)

    assert half == []
    assert whole.kind == "recovery"


def test_what_became_critical_is_told_again():
    (_,), state = told(absorb(State(), [red(level=Level.DIGEST)]), NOON + HOUR)

    (alert,), _ = told(absorb(state, [red(at=NOON + HOUR + 60)]), NOON + HOUR + 61)

    assert alert.kind == "alert"


def test_records_are_told_again_only_when_they_are_more_than_were_told():
    (_,), state = told(absorb(State(), [red(level=Level.DIGEST, size=10)]), NOON + HOUR)

    fewer, state = told(
        absorb(state, [red(level=Level.DIGEST, size=4), red(level=Level.DIGEST, size=9)]), NOON + 3 * HOUR
    )
    state = absorb(state, [red(level=Level.DIGEST, size=11, at=NOON + 3 * HOUR)])
    (more,), state = told(state, NOON + 4 * HOUR)
    (over,), _ = told(absorb(state, [green(at=NOON + 5 * HOUR)]), NOON + 6 * HOUR)

    assert fewer == []
    assert more.problems[0].size == 11
    assert over.problems[0].recovered_at == NOON + 5 * HOUR


def test_a_state_that_lasts_counts_once():
    paused = replace(red("pause"), is_standing=True)

    state = absorb(State(), [paused, replace(paused, at=NOON + 30), replace(paused, at=NOON + 60)])

    assert state.problems["pause"].count == 1


def test_in_one_hour_no_more_than_so_many_messages_go_out_and_the_rest_follows():
    state, sent = State(), 0
    for number in range(MOST_MESSAGES + 3):
        messages, state = told(absorb(state, [red(f"p{number}", at=NOON + number)]), NOON + number)
        sent += len(messages)

    (held,), _ = told(state, NOON + HOUR + 1)

    assert sent == MOST_MESSAGES
    assert [problem.title for problem in held.problems] == [f"title of p{MOST_MESSAGES + n}" for n in range(3)]


def test_a_message_holds_so_many_problems_and_says_how_many_follow():
    state = absorb(State(), [red(f"p{number:02}") for number in range(MOST_ITEMS + 2)])

    first, second = told(state, NOON)[0]

    assert (len(first.problems), first.held_back) == (MOST_ITEMS, 2)
    assert (len(second.problems), second.held_back) == (2, 0)


def test_what_finds_no_room_is_counted_and_never_drives_out_what_waits_to_be_told():
    state = absorb(State(), [red(f"p{number:02}") for number in range(MOST_PROBLEMS + 3)])

    message, after = next_message(state, NOON)

    assert message is not None
    assert (len(state.problems), message.unlisted, after.unlisted) == (MOST_PROBLEMS, 3, 0)


def test_once_all_is_told_the_longest_known_gives_way_to_what_is_new():
    state = absorb(State(), [red(f"p{number:02}", at=NOON + number) for number in range(MOST_PROBLEMS)])
    _, state = told(state, NOON + 100)

    state = absorb(state, [red("new", at=NOON + 200)])

    assert "new" in state.problems
    assert "p00" not in state.problems


def test_a_cursor_that_is_none_is_refused_with_what_to_do():
    with pytest.raises(Refusal, match="clear it"):
        Memory.load('{"after": 3}')


# --- any course of events, cut into looks anywhere, with a channel that fails now and then ---

NAMES = st.sampled_from(["a", "b", "c"])
EVENTS = st.one_of(
    st.builds(lambda name, level, size: ("red", name, level, size), NAMES, st.sampled_from(Level), st.integers(0, 3)),
    st.builds(lambda name: ("green", name, None, 0), NAMES),
)
LOOKS = st.lists(st.tuples(st.lists(EVENTS, max_size=4), st.booleans(), st.sampled_from([30, 1800, 4000])), max_size=25)


def signal(event: tuple[str, str, Level | None, int], at: float) -> Signal:
    _, name, level, size = event
    return green(name, at) if level is None else red(name, level, at, size)


@given(LOOKS)
def test_nothing_is_lost_nothing_is_told_twice_and_restarts_change_nothing(looks):
    state, now, known_open, is_red = State(), NOON, {}, {}
    for events, works, pause in [*looks, ([], True, 2 * HOUR), ([], True, 2 * HOUR), ([], True, 2 * HOUR)]:
        now += pause
        for kind, name, _, _ in events:
            is_red[name] = kind == "red"
        state = absorb(state, [signal(event, now) for event in events])
        # Each look begins from the stored text of the one before, as after a restart.
        state = Memory.load(Memory(7, {"mail": state}).dump()).channels["mail"]
        message, after = next_message(state, now)
        if not works:
            continue
        state = after
        for problem in message.problems if message is not None else ():
            level, most = known_open.get(problem.title) or (0, 0)
            if problem.recovered_at is not None:
                assert level or problem.is_news, "the end of what nobody knew is no news"
                known_open[problem.title] = None
                continue
            assert problem.level > level or problem.size > most, "an open problem is told again only when it grew"
            known_open[problem.title] = (max(level, problem.level), max(most, problem.size))
    # At the end people know exactly what is red.
    assert {title for title, known in known_open.items() if known} == {
        f"title of {name}" for name, is_open in is_red.items() if is_open
    }
