"""The tables of the ledger: records, their segments and signed heads, and whom their pseudonyms stand for."""

from sqlalchemy import BigInteger, Boolean, Column, Float, Index, MetaData, String, Table, Text

metadata = MetaData()

events = Table(
    "events",
    metadata,
    Column("seq", BigInteger, primary_key=True, autoincrement=False),  # 1, 2, 3 ... without a gap
    Column("at", Float(53), nullable=False),
    Column("kind", String(32), nullable=False),
    Column("session_id", String(64), nullable=False),
    Column("organisation", String(128), nullable=False),
    Column("body", Text, nullable=False),  # canonical JSON, stored as it was made
    Column("mac", String(64), nullable=False),  # see chain.py
    Index("events_of_session", "session_id", "seq"),
)
# A segment reaches up to the next one's first record.
segments = Table(
    "event_segments",
    metadata,
    Column("first_seq", BigInteger, primary_key=True, autoincrement=False),
    Column("oldest_at", Float(53), nullable=False),
)
heads = Table(
    "event_heads",
    metadata,
    Column("seq", BigInteger, primary_key=True, autoincrement=False),
    Column("at", BigInteger, nullable=False),
    Column("mac", String(64), nullable=False),
    Column("signature", String(128), nullable=False),
    Column("closing", Boolean, nullable=False),  # of a segment: kept when the segment is pruned
)
# The only place that names a person. A row goes with its segment, or when the person is erased.
identities = Table(
    "event_identities",
    metadata,
    Column("alias", String(33), primary_key=True),
    Column("segment", BigInteger, nullable=False),
    Column("organisation", String(128), nullable=False),
    Column("name", String(128), nullable=False),
    Column("salt", String(32), nullable=False),
    Index("event_identities_of", "organisation", "name", "segment", unique=True),
)
