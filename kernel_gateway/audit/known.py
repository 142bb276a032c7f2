"""Values that this process minted or received, found again in any form they are likely to be printed in."""

import base64
import html
import json
from collections import OrderedDict
from collections.abc import Iterable, Iterator
from urllib.parse import quote, quote_plus

from kernel_gateway.audit.spans import Span

MIN_CHARACTERS = 8  # a shorter value would take ordinary words with it
MAX_REGISTERED = 10_000  # the oldest registered value is forgotten beyond this; the known ones never are
_WINDOW = MIN_CHARACTERS


class KnownValues:
    """A set of exact values. `permanent` ones stay; added ones are forgotten from the oldest on."""

    def __init__(self, permanent: Iterable[str], max_registered: int = MAX_REGISTERED) -> None:
        self._max_registered = max_registered
        self._registered: OrderedDict[str, None] = OrderedDict()
        self._forms: dict[str, set[str]] = {}  # by their first characters
        self._permanent = frozenset(permanent)
        for value in self._permanent:
            self._put(value)

    def __repr__(self) -> str:
        return f"<KnownValues {len(self._permanent)} permanent, {len(self._registered)} registered>"

    def add(self, value: str) -> None:
        """A value shorter than MIN_CHARACTERS is not kept."""
        if value in self._permanent or len(value) < MIN_CHARACTERS:
            return
        if value in self._registered:
            self._registered.move_to_end(value)
            return
        self._registered[value] = None
        self._put(value)
        if len(self._registered) > self._max_registered:
            self._drop(self._registered.popitem(last=False)[0])

    def find(self, text: str) -> Iterator[Span]:
        if not self._forms:
            return
        at, forms = 0, self._forms
        last = len(text) - _WINDOW
        while at <= last:
            candidates = forms.get(text[at : at + _WINDOW])
            if candidates is not None:
                length = max((len(form) for form in candidates if text.startswith(form, at)), default=0)
                if length:
                    yield Span(at, at + length, "known")
                    at += length
                    continue
            at += 1

    def _put(self, value: str) -> None:
        for form in forms_of(value):
            self._forms.setdefault(form[:_WINDOW], set()).add(form)

    def _drop(self, value: str) -> None:
        # a form that another value shares goes too: values are random, so two share one only if they are the same
        for form in forms_of(value):
            if (forms := self._forms.get(form[:_WINDOW])) is not None:
                forms.discard(form)
                if not forms:
                    del self._forms[form[:_WINDOW]]


def forms_of(value: str) -> set[str]:
    """`value` raw, percent-, JSON-, HTML- and base64-encoded (at the three offsets it may have in a longer text)."""
    if len(value) < MIN_CHARACTERS:
        return set()
    value = value.encode("utf-8", "replace").decode()  # a lone surrogate cannot be encoded
    percent = {quote(value, safe=""), quote(value), quote_plus(value), quote(value, safe="/:?&=+,;@$!~*'()")}
    percent |= {quote(each, safe="") for each in percent}
    in_json = {json.dumps(value)[1:-1], json.dumps(value, ensure_ascii=False)[1:-1]}
    in_json |= {each.replace("/", r"\/") for each in in_json} | {json.dumps(each)[1:-1] for each in in_json}
    in_json |= {each.replace("&", r"\u0026").replace("<", r"\u003c").replace(">", r"\u003e") for each in in_json}
    forms = {value, html.escape(value), html.escape(value, quote=False)} | percent | in_json
    forms |= {_lower_escapes(each) for each in percent}
    return {form for form in forms.union(_base64_forms(value.encode())) if len(form) >= _WINDOW}


def _lower_escapes(text: str) -> str:
    first, *parts = text.split("%")
    return "%".join([first, *(part[:2].lower() + part[2:] for part in parts)])


def _base64_forms(data: bytes) -> Iterator[str]:
    for offset in range(3):
        encoded = base64.b64encode(bytes(offset) + data).rstrip(b"=")
        # the characters that hold bits of what stands before or after the value are not the value's
        begin = (0, 2, 3)[offset]
        end = len(encoded) - (1 if (offset + len(data)) % 3 else 0)
        core = encoded[begin:end].decode()
        yield core
        yield core.replace("+", "-").replace("/", "_")
