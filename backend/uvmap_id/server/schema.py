"""The database's tables, how older ones are brought up to date, and what becomes of one that can't be read."""

from __future__ import annotations

import contextlib
import itertools
import logging
import os
import sqlite3
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from uvmap_id.link.errors import ErrorCode, UVMapError

# What lies beside the database and belongs to it; "" is the database itself.
COMPANIONS = ("", "-wal", "-shm", ".keys")

_SET_ASIDE = "set-aside"
# Errors that say nothing of the file's content, but of the disk, the rights to it and who else has it open.
_OF_THE_DISK = {
    sqlite3.SQLITE_PERM,
    sqlite3.SQLITE_BUSY,
    sqlite3.SQLITE_LOCKED,
    sqlite3.SQLITE_NOMEM,
    sqlite3.SQLITE_READONLY,
    sqlite3.SQLITE_IOERR,
    sqlite3.SQLITE_FULL,
    sqlite3.SQLITE_CANTOPEN,
    sqlite3.SQLITE_PROTOCOL,
}
_BUSY_S = 5.0
# RETURNING.
_OLDEST_SQLITE = (3, 35, 0)

_log = logging.getLogger(__name__)

# One script a version. A script that was released never changes; a new one is added at the end.
MIGRATIONS: tuple[str, ...] = (
    """
    CREATE TABLE meta (
        name TEXT PRIMARY KEY,
        value NOT NULL
    ) WITHOUT ROWID;

    CREATE TABLE job (
        number INTEGER PRIMARY KEY,
        id TEXT NOT NULL UNIQUE,
        owner TEXT NOT NULL,
        session TEXT NOT NULL,
        digest TEXT NOT NULL,
        priority INTEGER NOT NULL,
        place REAL NOT NULL,
        state TEXT NOT NULL CHECK (state IN ('queued', 'running', 'done', 'failed', 'cancelled')),
        seq INTEGER NOT NULL,
        deaths INTEGER NOT NULL DEFAULT 0,
        cancel_asked INTEGER NOT NULL DEFAULT 0,
        acknowledged INTEGER NOT NULL DEFAULT 0,
        created REAL NOT NULL,
        started REAL,
        ended REAL,
        acknowledged_at REAL,
        -- Of the result's files; NULL where there is none.
        result_bytes INTEGER,
        retry_of TEXT NOT NULL,
        code TEXT NOT NULL DEFAULT '',
        slot INTEGER UNIQUE,
        request BLOB,
        event BLOB
    );
    CREATE INDEX job_by_seq ON job (owner, seq);
    CREATE INDEX job_by_state ON job (state, owner);
    CREATE INDEX job_in_queue ON job (priority, owner, session, place, state) WHERE state = 'queued';
    CREATE INDEX job_by_place ON job (place, state) WHERE state = 'queued';
    CREATE INDEX job_with_result ON job (acknowledged_at, result_bytes) WHERE result_bytes IS NOT NULL;
    CREATE INDEX job_acknowledged ON job (acknowledged_at) WHERE acknowledged;

    -- When each session's turn was last, as the number of that change.
    CREATE TABLE turn (
        owner TEXT NOT NULL,
        session TEXT NOT NULL,
        served INTEGER NOT NULL,
        PRIMARY KEY (owner, session)
    ) WITHOUT ROWID;

    -- Microseconds, faster than any changes: so a lost database's numbers are not used again, which clients remember.
    INSERT INTO meta VALUES ('seq', CAST((julianday('now') - 2440587.5) * 86400000000 AS INTEGER)), ('paused', '');
    """,
)


@dataclass(frozen=True, slots=True)
class SetAside:
    """A database that can't be used, which was renamed.

    Attributes:
        path: Its new name; what belongs to it has the same name with an ending.
        reason: What is wrong with it, a sentence for a person.
    """

    path: Path
    reason: str


def open_database(path: Path, migrations: Sequence[str] = MIGRATIONS) -> tuple[sqlite3.Connection, SetAside | None]:
    """Open or create a database, and bring it up to date.

    A damaged one, and one of a newer version, is set aside, and an empty one takes its place.

    Raises:
        UVMapError: `output_not_writable`: the folder can't be written, or another program holds the database.
    """
    if sqlite3.sqlite_version_info < _OLDEST_SQLITE:
        raise UVMapError(
            ErrorCode.BACKEND_START_FAILED,
            f"SQLite {sqlite3.sqlite_version} is too old.",
            "Install Python with SQLite 3.35 or newer.",
        )
    try:
        try:
            return _open(path, migrations), None
        except _UnusableError as error:
            aside = SetAside(_set_aside(path), str(error))
            _log.error("a database that can't be used was set aside")
            return _open(path, migrations), aside
    except (sqlite3.Error, OSError, _UnusableError) as error:
        raise UVMapError(
            ErrorCode.OUTPUT_NOT_WRITABLE,
            f"The list of jobs, {path}, can't be opened: {error}.",
            "See that the folder can be written and that no other program holds the file, then start again.",
        ) from error


def error_kind(error: sqlite3.Error) -> int:
    """Which of SQLite's primary result codes an error is of; 0 for misuse of the library."""
    return getattr(error, "sqlite_errorcode", 0) & 0xFF


def set_aside_files(path: Path) -> list[Path]:
    """Everything that was ever set aside for a database."""
    return sorted(path.parent.glob(f"{path.name}.{_SET_ASIDE}-*"))


class _UnusableError(Exception):
    """The database is damaged or of a newer version."""


def _open(path: Path, migrations: Sequence[str]) -> sqlite3.Connection:
    if _size(path) == 0 and _size(_companion(path, "-wal")) == 0 and _size(_companion(path, ".keys")) > 0:
        raise _UnusableError("The list of jobs was emptied or removed.")
    # SQLite gives its other files the rights of this one.
    os.close(os.open(path, os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0), 0o600))
    database = sqlite3.connect(path, timeout=_BUSY_S, isolation_level=None)
    try:
        database.row_factory = sqlite3.Row
        _configure(database)
        _check(database)
        _migrate(database, migrations)
    except sqlite3.Error as error:
        database.close()
        if error_kind(error) in _OF_THE_DISK:
            raise
        raise _UnusableError("The list of jobs was damaged.") from error
    except _UnusableError:
        database.close()
        raise
    return database


def _configure(database: sqlite3.Connection) -> None:
    database.execute("PRAGMA journal_mode = WAL")
    database.execute("PRAGMA synchronous = FULL")
    # On macOS only this reaches the disk itself.
    database.execute("PRAGMA fullfsync = ON")
    database.execute("PRAGMA secure_delete = ON")
    database.execute("PRAGMA foreign_keys = ON")
    database.execute("PRAGMA temp_store = MEMORY")
    # The log is cut back to this when it has been carried over.
    database.execute(f"PRAGMA journal_size_limit = {4 * 2**20}")
    database.execute("PRAGMA trusted_schema = OFF")


def _check(database: sqlite3.Connection) -> None:
    if database.execute("PRAGMA quick_check(1)").fetchone()[0] != "ok":
        raise _UnusableError("The list of jobs was damaged.")


def _migrate(database: sqlite3.Connection, migrations: Sequence[str]) -> None:
    version = database.execute("PRAGMA user_version").fetchone()[0]
    if not 0 <= version <= len(migrations):
        raise _UnusableError("The list of jobs is that of a newer version.")
    foreign = version == 0 and database.execute("SELECT count(*) FROM sqlite_schema").fetchone()[0]
    if foreign:
        raise _UnusableError("The list of jobs holds something else.")
    for number, script in enumerate(migrations[version:], start=version + 1):
        # In one transaction with its number, so that a script runs exactly once.
        database.executescript(f"BEGIN IMMEDIATE; {script}; PRAGMA user_version = {number}; COMMIT;")
    _check_tables(database, migrations)


def _check_tables(database: sqlite3.Connection, migrations: Sequence[str]) -> None:
    model = sqlite3.connect(":memory:")
    try:
        for script in migrations:
            model.executescript(script)
        if _tables(database) != _tables(model):
            raise _UnusableError("The list of jobs has other tables than it should.")
    finally:
        model.close()


def _tables(database: sqlite3.Connection) -> dict[str, list[str]]:
    names = database.execute("SELECT name FROM sqlite_schema WHERE type = 'table'").fetchall()
    columns = "SELECT name FROM pragma_table_info(?)"
    return {str(table[0]): [str(row[0]) for row in database.execute(columns, (table[0],))] for table in names}


def _companion(path: Path, ending: str) -> Path:
    return path.with_name(path.name + ending)


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def _set_aside(path: Path) -> Path:
    """Rename a database together with what belongs to it; raises `OSError`."""
    stamp = time.strftime("%Y%m%d-%H%M%S")
    taken = {file.name for file in set_aside_files(path)}
    numbered = (f"{path.name}.{_SET_ASIDE}-{stamp}-{number:03d}" for number in itertools.count())
    name = path.with_name(next(name for name in numbered if not any(file.startswith(name) for file in taken)))
    for ending in COMPANIONS:
        with contextlib.suppress(FileNotFoundError):
            _companion(path, ending).rename(_companion(name, ending))
    return name
