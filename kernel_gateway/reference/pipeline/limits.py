"""What one job may cost. Every number has its reason beside it."""

from dataclasses import dataclass

MIB = 1024 * 1024


@dataclass(frozen=True, slots=True)
class PipelineLimits:
    """Bounds of one job; the defaults suit a phone's photographs.

    Memory has two steps. A file has to prove itself, decoding whole, within `decode_memory_bytes`; only then does the
    job get `memory_bytes` for its operations. So whatever a hostile file claims, refusing it stays under 256 MB.
    """

    max_source_bytes: int = 25 * MIB  # a JPEG of 40 MP at a camera's best quality is about 20 MB
    max_pixels: int = 40_000_000  # 160 MB decoded; Pillow alone would warn at 89 MP and refuse only at 178 MP
    max_watermark_pixels: int = 4_000_000  # a logo; it is decoded beside the picture, so it must be small
    max_frames: int = 60  # only the first frame is used, but counting frames costs time
    max_scans: int = 64  # of a JPEG; a progressive one has about ten, and each costs a pass over all pixels
    max_output_bytes: int = 50 * MIB  # what a code cell may read as one blob
    decode_memory_bytes: int = 220 * MIB  # with up to 22 MB of shared libraries, resident memory stays under 256 MB
    memory_bytes: int = 896 * MIB  # the AVIF encoder takes up to 32 bytes a pixel: a 25 MP picture
    cpu_seconds: int = 20  # the dearest ordinary job, 12 MP AVIF to a byte limit, takes about 8
    deadline_seconds: float = 30.0  # twenty seconds of work on a host that is busy with other jobs
    max_open_files: int = 32  # standard streams, source, output, a few watermarks, Python's own
