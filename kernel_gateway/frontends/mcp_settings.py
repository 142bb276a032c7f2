"""The `[mcp]` section: what one MCP answer may hold, and how long its lists stay fresh."""

from pydantic import Field

from kernel_gateway.config import Section


class McpSettings(Section):
    # The contract's ceiling for the block a model reads: about 6,000 tokens.
    max_text_chars: int = Field(24_000, ge=2_000, le=24_000)
    # stdout, stderr, result and traceback together in the structured result. In the worst case (six bytes of JSON
    # for each UTF-16 unit) they and the text block still leave room for an image under `max_event_bytes`.
    max_structured_chars: int = Field(48_000, ge=2_000, le=48_000)
    # One SSE event, base64 and JSON included: clients and proxies commonly stop at 1 MiB.
    max_event_bytes: int = Field(1024 * 1024, ge=64 * 1024, le=1024 * 1024)
    # A cell that plots in a loop should not fill a model's context with pictures.
    max_images: int = Field(8, ge=0, le=64)
    # A kernel shrinks what it displays below this; decoded it takes 32 MB here, and one is decoded at a time.
    max_image_pixels: int = Field(8_000_000, ge=1_000_000, le=100_000_000)
    # The longest side of a picture that had to be made smaller: vision models scale larger ones down themselves.
    max_image_side: int = Field(2_048, ge=64, le=8_192)
    # How long a client may keep the list of tools, prompts and resources, which change only with a release.
    list_ttl_seconds: int = Field(300, ge=0, le=86_400)
    # A call that takes longer becomes a task for clients that can poll: below common time-outs of clients (30 s and
    # more), and long enough that most cells are answered at once.
    task_grace_seconds: float = Field(10.0, gt=0, le=60)
    # How often such a client is told to look: twenty cells at once make a fifth of what `limits.rates.request` allows.
    task_poll_seconds: float = Field(2.0, ge=0.001, le=60)
