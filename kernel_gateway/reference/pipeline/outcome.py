"""How a job ends: a processed image, or a refusal with a stable code."""

from dataclasses import dataclass

CODES = {
    "empty": "the file has no bytes",
    "too_large": "the file has more bytes than a job takes",
    "unsupported_type": "the bytes are of no format on the allow-list",
    "type_mismatch": "the bytes are not of the declared type or extension",
    "damaged": "the file is truncated or corrupt",
    "too_many_pixels": "the picture, or all frames of it, would take too much memory decoded",
    "too_many_frames": "the animation is too long",
    "too_many_scans": "the JPEG would be decoded over and over",
    "invalid_operation": "an operation is malformed or does not fit the picture",
    "max_bytes_unreachable": "no quality and no size brings the output under `max_bytes`",
    "output_too_large": "the output has more bytes, pixels or a longer side than allowed",
    "out_of_memory": "the job took more memory than a job may",
    "cpu_limit": "the job took more processor time than a job may",
    "deadline": "the job took too long",
    "crashed": "the image library broke on this file",
    "internal": "the worker failed",
}


class PipelineRefused(Exception):  # noqa: N818 - the name is the agreed interface
    """The job has no result. `code` is a key of CODES; `message` is one lower-case line that says what to do next."""

    def __init__(self, code: str, message: str, *, peak_memory_bytes: int = 0) -> None:
        super().__init__(message)
        assert code in CODES
        self.code, self.message, self.peak_memory_bytes = code, message, peak_memory_bytes

    def __repr__(self) -> str:
        return f"<PipelineRefused {self.code}: {self.message}>"


@dataclass(frozen=True, slots=True)
class ProcessedImage:
    """The file now at the destination. `peak_memory_bytes` is the worker's largest resident size, 0 where unknown."""

    content_type: str
    width: int
    height: int
    size_bytes: int
    sha256: str
    peak_memory_bytes: int = 0
