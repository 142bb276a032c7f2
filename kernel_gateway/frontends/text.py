"""The block a model reads: made of harmless characters, within a budget, head and tail kept. Pure."""

import json
import re

from kernel_gateway.approvals.pending import moment
from kernel_gateway.frontends.shares import shares
from kernel_gateway.search import SearchAnswer
from kernel_gateway.sessions.result import ExecuteResult

CUT = "\n[... output cut here: the middle is left out; print less, or keep it in a variable ...]\n"
_MAX_LINE_CHARS = 2_000  # of calls, of lost names, of notes: each is one line beside the output itself
MAX_TIMEOUT_SECONDS = 600  # the contract's; a model is told of it where its cell was stopped
_MAX_HIT_CHARS, _MAX_INPUTS_CHARS = 190, 105  # of a hit's two lines: ten brief hits stay under 800 tokens

# What a terminal would act on (ECMA-48, section 5): control sequences; control strings such as OSC, to their
# terminator or the end of the line; and the short escapes.
_ESCAPES = re.compile(
    r"(?:\x1b\[|\x9b)[0-?]*[ -/]*[@-~]"
    r"|(?:\x1b[PX\]^_]|[\x90\x98\x9d\x9e\x9f])[^\x07\x1b\x9c\n]*(?:\x07|\x1b\\|\x9c)?"
    r"|\x1b[ -/]*[0-~]"
)
# Characters that show nothing or reorder what is shown: controls, soft hyphen, joiners and fillers, bidi marks and
# isolates, line and paragraph separators, variation selectors beyond the emoji one, tags, surrogates, byte-order mark.
_UNSEEN = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\xad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u2028-\u202e"
    "\u2060-\u206f\u2800\u3164\ud800-\udfff\ufe00-\ufe0e\ufeff\uffa0\ufff0-\ufffb"
    "\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff]"
)


def visible(text: str) -> str:
    """`text` without escape sequences, overwritten lines as a terminal leaves them, unseen characters as `<U+202E>`."""
    text = _ESCAPES.sub("", text)
    if "\r" in text:
        text = "\n".join(line.rstrip("\r").rsplit("\r", 1)[-1] for line in text.split("\n"))
    return _UNSEEN.sub(lambda match: f"<U+{ord(match[0]):04X}>", text)


def clip(text: str, limit: int) -> str:
    """`text` within `limit` characters: head and tail with a marker between; without room for one, the head."""
    if len(text) <= limit:
        return text
    room = limit - len(CUT)
    if room <= 0:
        return text[: max(0, limit)]
    tail = room // 2
    return text[: room - tail] + CUT + text[len(text) - tail :]


def line(text: str, limit: int = _MAX_LINE_CHARS) -> str:
    """`text` on one line of harmless characters, cut at `limit`."""
    text = visible(" ".join(text.split()))
    return text if len(text) <= limit else text[: limit - 1] + "…"


def execute_text(result: ExecuteResult, limit: int) -> str:
    """What a cell came to, at most `limit` characters: session and status first, then the output, then the calls."""
    head = [line(" · ".join(_status(result)))]
    if result.code:
        head.append(line(f"{result.code}: {result.message}"))
    tail = [line(each) for each in (*_after(result), *_approval(result))]
    wanted = [(title, clip(visible(text), limit)) for title, text in _output(result) if text.strip()]
    fixed = sum(len(each) + 1 for each in head + tail) + sum(len(title) + 4 for title, _ in wanted)
    granted = shares([len(text) for _, text in wanted], limit - fixed)
    body = [f"\n{title}:\n{clip(text.rstrip(), room)}" for (title, text), room in zip(wanted, granted, strict=True)]
    return clip("\n".join([*head, *body, *([""] if body and tail else []), *tail]), limit)


def _status(result: ExecuteResult) -> list[str]:
    parts = [result.status, f"{result.duration_ms:.0f} ms"]
    if result.execution_count:
        parts.insert(0, f"cell {result.execution_count}")
    if result.session_id:
        parts.insert(0, f"session {result.session_id}")
    return parts


def _output(result: ExecuteResult) -> list[tuple[str, str]]:
    if result.reviewed is not None:
        review = result.reviewed.review
        wrong = "\n".join(f"line {each.line}: {each.message}" for each in review.violations)
        return [(f"review, risk {review.risk}", review.explanation), ("violations", wrong)]
    error = result.error
    raised = "" if error is None else error.traceback or f"{error.ename}: {error.evalue}"
    return [("stdout", result.stdout), ("stderr", result.stderr), ("result", result.result), ("error", raised)]


def _after(result: ExecuteResult) -> list[str]:
    lines = []
    if result.status == "timeout":
        kept = "its kernel was replaced" if result.lost else "variables are kept"
        after = f"stopped after {result.duration_ms / 1000:.0f} s; {kept}"
        lines.append(f"{after}; ask for up to {MAX_TIMEOUT_SECONDS} s with timeout_seconds")
    if result.calls:
        calls = (
            f"{call.operation} {call.status} {call.duration_ms:.0f} ms" + (" (replayed)" if call.replayed else "")
            for call in result.calls
        )
        lines.append("calls: " + "; ".join(calls))
    if result.restored:
        again = f"; cells {', '.join(map(str, result.rerun))} ran again" if result.rerun else ""
        lines.append(f"restored: the variables were brought back into a new kernel{again}")
    if result.lost:
        lines.append("lost: " + ", ".join(result.lost))
    if result.truncated:
        lines.append("note: the cell's output was over its limit and was cut")
    return lines


def _approval(result: ExecuteResult) -> list[str]:
    """Who has to do what now."""
    approval = result.approval
    if approval is None:
        return []
    until = f"{approval.id}, until {moment(approval.expires_at)}"
    if result.status == "paused":
        how = "approval_token" if approval.token else "the same arguments"
        return [f"waits for an approval ({until}); send the same call again with {how} to go on and get its result"]
    if result.status == "approval_required" and approval.pending is not None and approval.pending.approver == "person":
        return [f"another person has to approve it ({until}); then send it again with this approval_token"]
    if result.status == "approval_required":
        return [f"ask the user; if they agree, send it again with this session_id and approval_token ({until})"]
    return [f"it may run; the approval_token is for this very cell in this session ({until})"]


def search_text(found: SearchAnswer, limit: int) -> str:
    """The hits as a list, one or two lines each; signature and schema where the caller asked for them."""
    lines = [f"{len(found['hits'])} of {found['total']} matching operations"]
    for number, hit in enumerate(found["hits"], start=1):
        name = f"{number}. {hit['operation']} ({hit['effect']}, {hit['scope']}): {hit['summary']}"
        lines.append(line(name, _MAX_HIT_CHARS))
        if "signature" in hit:
            lines.append(visible(hit["signature"]))
        elif hit["inputs"]:
            lines.append("   " + line("needs: " + ", ".join(hit["inputs"]), _MAX_INPUTS_CHARS))
        if "schema" in hit:
            lines.append(line(json.dumps(hit["schema"]), limit))
    if found["hint"]:
        lines.append(line(found["hint"], _MAX_HIT_CHARS))
    return clip("\n".join(lines), limit)
