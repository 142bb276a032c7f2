"""A kernel service for agents: sandboxed IPython sessions, one typed way out, one metadata-only ledger."""

__version__ = "0.1.0"
