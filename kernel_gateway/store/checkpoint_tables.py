"""The tables of checkpoints. What is sealed in them, and what it is authenticated with, checkpoints.py says.

A chunk is stored once for an organisation, in a row or in a file, and has the references of every session that needs
it. A reference holds the chunk's key, wrapped by the session's: with the last of them the chunk can go.
"""

from sqlalchemy import BigInteger, Boolean, Column, Float, Index, Integer, LargeBinary, MetaData, String, Table

metadata = MetaData()

organisations = Table(
    "checkpoint_organisations",
    metadata,
    Column("organisation", String(128), primary_key=True),
    Column("wrapped", LargeBinary, nullable=False),  # the key of its chunks' addresses
    Column("stored", BigInteger, nullable=False),  # bytes of all its chunks and manifests
)
sessions = Table(
    "checkpoint_sessions",
    metadata,
    Column("session_id", String(64), primary_key=True),
    Column("organisation", String(128), nullable=False),
    Column("lineage", String(64), nullable=False),
    Column("wrapped", LargeBinary, nullable=False),  # the session's key
    Column("kept", Integer, nullable=False),  # how many checkpoints
    Column("stored", BigInteger, nullable=False),  # bytes of them, and of all chunks that they refer to
)
checkpoints = Table(
    "checkpoints",
    metadata,
    Column("session_id", String(64), primary_key=True),
    Column("seq", Integer, primary_key=True, autoincrement=False),
    Column("epoch", Integer, nullable=False),
    Column("cell", Integer, nullable=False),
    Column("image", String(128), nullable=False),
    Column("catalog", String(128), nullable=False),
    Column("digest", String(64), nullable=False),
    Column("present", Boolean, nullable=False),  # False: the session was put back to before it
    Column("size", Integer, nullable=False),  # of `sealed`
    Column("written", BigInteger, nullable=False),
    Column("sealed", LargeBinary, nullable=False),  # the manifest
)
chunks = Table(
    "checkpoint_chunks",
    metadata,
    Column("chunk_id", String(32), primary_key=True),  # random: two sessions at once never write the same file
    Column("address", String(64), nullable=False, index=True),
    Column("packing", String(4), nullable=False),
    Column("size", Integer, nullable=False),  # of the plaintext
    Column("stored", Integer, nullable=False),  # of the ciphertext
    Column("body", LargeBinary),  # absent: it is in the file `chunk_id`
)
references = Table(
    "checkpoint_references",
    metadata,
    Column("session_id", String(64), primary_key=True),
    Column("name", String(32), primary_key=True),  # the sandbox's own
    Column("chunk_id", String(32), nullable=False, index=True),
    Column("stored", Integer, nullable=False),
    Column("last_seq", Integer),  # absent: the newest checkpoint names it
    Column("wrapped", LargeBinary, nullable=False),  # the chunk's key
    Index("checkpoint_references_by_use", "session_id", "last_seq"),
)
deletions = Table(
    "checkpoint_deletions",
    metadata,
    Column("session_digest", String(64), primary_key=True),  # of its id, which is not to be found any more
    Column("at", Float, nullable=False, index=True),  # seconds since the epoch
)
