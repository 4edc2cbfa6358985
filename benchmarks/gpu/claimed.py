"""The state of each claim, from the records: the rule by which lines of UNVERIFIED.md go."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from records import Record, device_of, latest
from tables import markdown

from gpu.claims import CLAIMS, Claim

PASSED = "passed"
NOT_RUN = "not run"


@dataclass(frozen=True)
class State:
    """How a check stands: passed, failed or not run; and in which record."""

    status: str
    detail: str = ""
    record: Record | None = None


def fits(claim: Claim, record: Record) -> bool:
    """Whether a record is from a GPU that the claim is about."""
    capability = str(record["environment"].get("capability", ""))
    return bool(capability) and claim.capability in ("", capability)


def state_of(check: str, claim: Claim, found: Mapping[str, list[Record]]) -> State:
    """A check's state for one claim, on the device where it was last seen."""
    if check.startswith("goal:"):
        return goal_state(check.removeprefix("goal:"), claim, found)
    if check.startswith("holds:"):
        return holds_state(check.removeprefix("holds:"), claim, found)
    own = [
        r for r in found.get("gpu_checks", []) if r["subject"]["check"] == check and fits(claim, r)
    ]
    if not own:
        return State(NOT_RUN)
    last = max(own, key=lambda r: str(r["date"]))
    bad = last.get("bad") or [last.get("why", "")]
    return State(last["status"], "" if last["status"] == PASSED else str(bad[0])[:120], last)


def holds_state(benchmark: str, claim: Claim, found: Mapping[str, list[Record]]) -> State:
    """Whether each record of the last run says `holds`."""
    own = [r for r in found.get(benchmark, []) if fits(claim, r)]
    if not own:
        return State(NOT_RUN)
    date = max(str(r["date"]) for r in own)
    last = [r for r in own if r["date"] == date]
    bad = [str(r["subject"]) for r in last if r.get("holds") is not True]
    return State("failed" if bad else PASSED, "; ".join(bad)[:120], last[-1])


def goal_state(name: str, claim: Claim, found: Mapping[str, list[Record]]) -> State:
    """Reached on every subject that was measured on the last device's last commit."""
    judged = [
        (record, goal["status"])
        for own in found.values()
        for record in latest([r for r in own if fits(claim, r)])
        if isinstance(record.get("goals"), list)
        for goal in record["goals"]
        if goal["name"] == name and goal["status"] in ("reached", "missed")
    ]
    if not judged:
        return State(NOT_RUN)
    last = max((record for record, _ in judged), key=lambda r: str(r["date"]))
    own_device = [status for record, status in judged if device_of(record) == device_of(last)]
    reached = own_device.count("reached")
    detail = f"reached on {reached} of {len(own_device)}"
    return State(PASSED if reached == len(own_device) else "missed", detail, last)


def row(claim: Claim, found: Mapping[str, list[Record]]) -> list[str]:
    """A claim's line."""
    states = {check: state_of(check, claim, found) for check in claim.checks}
    confirmed = all(state.status == PASSED for state in states.values())
    words = []
    for check, state in states.items():
        detail = f" ({state.detail})" if state.detail else ""
        words.append(f"`{check}` {state.status}{detail}".replace("|", "\\|"))
    text = claim.text
    if claim.capability and claim.capability not in text:
        text += f" ({claim.capability})"
    if not confirmed:
        return [f"`{claim.id}`", text, "; ".join(words), claim.where]
    last = max(
        (state.record for state in states.values() if state.record is not None),
        key=lambda r: str(r["date"]),
    )
    where = f"{device_of(last)}, commit {last['environment']['commit']}, {last['date'][:10]}"
    return [f"~~`{claim.id}`~~", f"~~{text}~~", f"confirmed: {where}", claim.where]


def claims_section(found: Mapping[str, list[Record]]) -> str:
    """The table of UNVERIFIED.md."""
    rows = [["id", "claim", "checks", "said in"], *(row(claim, found) for claim in CLAIMS)]
    still = sum(not cells[0].startswith("~~") for cells in rows[1:])
    return f"{still} of {len(CLAIMS)} claims are open.\n\n{markdown(rows)}\n"
