"""What the document says in words and its schemas cannot: pure checks that give (pointer, detail) pairs."""

import mimetypes
from collections.abc import Mapping, Sequence
from typing import Any

from kernel_gateway.reference import pipeline

_KNOWN_NAMES = mimetypes.MimeTypes(filenames=())  # the interpreter's own table, the same on every host


def filename_errors(filename: str | None, content_type: str) -> list[tuple[str, str]]:
    """A name may have no extension or an unknown one, but not one that says something else than the content type."""
    if not filename:
        return []
    claimed = pipeline.type_of_name(filename) or _KNOWN_NAMES.guess_type(filename)[0]
    if claimed in (None, content_type):
        return []
    return [("#/filename", f"the extension says {claimed}, not {content_type}")]


def operation_errors(operations: Sequence[Mapping[str, Any]]) -> list[tuple[str, str]]:
    """One per operation that the pipeline would refuse before it looks at the picture."""
    errors = []
    for index, operation in enumerate(operations):
        try:
            pipeline.parse_operations([operation])
        except pipeline.PipelineRefused as refused:
            _, _, reason = refused.message.partition(": ")
            errors.append((f"#/operations/{index}", reason))
    return errors


def watermark_ids(operations: Sequence[Mapping[str, Any]]) -> list[str]:
    """The uploads that are laid over the picture, each once."""
    ids = [each["upload_id"] for each in operations if each["op"] == "watermark" and "upload_id" in each]
    return list(dict.fromkeys(ids))
