"""What differs between a cell as it ran and as it ran again, in one line. Pure."""

from collections import Counter
from dataclasses import asdict, dataclass
from typing import Any

from notebooks.transcript import Event, Ran

NOT_RECORDED = "not_available"  # what a call is answered with that nothing is held for


@dataclass(frozen=True, slots=True)
class Report:
    """`same` says whether the cell did again what is on record, or what it could be expected to where nothing is;
    `known` whether anything is. `edited`: its text is not the one that ran. `why` is empty where `same`."""

    cell: int
    id: str
    status: str
    same: bool
    why: str = ""
    known: bool = True
    edited: bool = False
    not_recorded: tuple[str, ...] = ()
    calls: tuple[tuple[str, str], ...] = ()

    def json(self) -> dict[str, Any]:
        return asdict(self)


def report(number: int, id_: str, ran: Ran | None, again: Ran, *, edited: bool, may_fail: bool) -> Report:
    """Of a notebook's `number`-th cell; `ran` is None where the gateway knows of none with this id."""
    missing = tuple(sorted(call["operation"] for call in again.calls if call["status"] == NOT_RECORDED))
    if ran is None:
        why = _unexpected(again.event, may_fail)
    else:
        why = _status(ran.event, again.event) or _calls(ran, again) or _outputs(ran.event, again.event)
    if missing:
        names = ", ".join(f"`{name}`" for name in dict.fromkeys(missing))
        why = f"it needs what {names} answered, which is not recorded; `--live` asks again"
    if why and edited:
        why += "; its text is not the one that ran"
    return Report(
        number, id_, again.event["status"], not why, why, ran is not None, edited, missing, tuple(_made(again))
    )


def _unexpected(again: Event, may_fail: bool) -> str:
    """Of a cell that nothing is known of: it is expected to do what it is told."""
    if again["status"] == "ok" or (may_fail and again["status"] == "error"):
        return ""
    return f"it ended as {_ending(again)}, and nothing is on record to compare with"


def _status(ran: Event, again: Event) -> str:
    before, now = _ending(ran), _ending(again)
    return "" if before == now else f"it ended as {now}, and as {before} when it ran"


def _ending(event: Event) -> str:
    return f"{event['status']} ({event['ename']})" if event.get("ename") else str(event["status"])


def _calls(ran: Ran, again: Ran) -> str:
    """Calls that are made at the same time end in any order, so only which and how many is compared."""
    before, now = Counter(_made(ran)), Counter(_made(again))
    if before == now:
        return ""
    more, less = next(iter(now - before), None), next(iter(before - now), None)
    said = [f"called `{more[0]}` ({more[1]})"] if more else []
    said += [f"did not call `{less[0]}` ({less[1]}), as it did when it ran"] if less else []
    return f"it {' and '.join(said)}{'' if less else ', as it did not when it ran'}"


def _made(ran: Ran) -> list[tuple[str, str]]:
    return [(call["operation"], call["status"]) for call in ran.calls]


def _outputs(ran: Event, again: Event) -> str:
    """By what another run would show again; a record of an earlier version has no such digest."""
    before, now = ran["outputs"], again["outputs"]
    if [each[0] for each in before] != [each[0] for each in now]:
        return f"it showed {_kinds(now)}, and {_kinds(before)} when it ran"
    for (kind, size, *digests), (_, new_size, *new_digests) in zip(before, now, strict=True):
        if digests[-1] != new_digests[min(len(digests), len(new_digests)) - 1]:
            return f"its {kind} is another ({new_size} bytes, {size} when it ran), not only in times, ids and addresses"
    return ""


def _kinds(outputs: Any) -> str:
    return ", ".join(each[0] for each in outputs) or "nothing"
