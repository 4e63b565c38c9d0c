"""A peer: the sync endpoint that a team writes on its first day, with Flask and SQLAlchemy on SQLite.

`/sync` goes row by row: look the row up, compare times, insert or update, one transaction a request.
`/bulk` does the same in one statement for all rows, as those write it who know SQLAlchemy. It checks
nothing else: no token, no rules, no conflicts, no deletions. Cases may name a team, and a pull gives
those of one. It runs in an environment of its own (`benchmarks/peers.py`) and imports nothing of ours.
"""

from __future__ import annotations

import json
import os
import time
from typing import Any

from flask import Flask, Response, request
from sqlalchemy import JSON, BigInteger, Index, String, create_engine, event, select
from sqlalchemy.dialects.sqlite import insert
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column


class Base(DeclarativeBase):
    """The tables."""


class Case(Base):
    """A case."""

    __tablename__ = "cases"
    __table_args__ = (Index("news", "team", "changed_at"),)
    id: Mapped[str] = mapped_column(String, primary_key=True)
    patient_id: Mapped[str] = mapped_column(String)
    triage_data: Mapped[Any] = mapped_column(JSON)
    risk_level: Mapped[str] = mapped_column(String)
    image_keys: Mapped[Any] = mapped_column(JSON)
    last_modified_at: Mapped[int] = mapped_column(BigInteger)
    team: Mapped[str] = mapped_column(String, default="")
    changed_at: Mapped[int] = mapped_column(BigInteger)


engine = create_engine(f"sqlite:///{os.environ['PEER_DATABASE']}")


@event.listens_for(engine, "connect")
def _settings(connection: Any, _record: Any) -> None:
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")


Base.metadata.create_all(engine)
engine.dispose()  # SQLite's connections must not be carried across gunicorn's fork
app = Flask(__name__)
FIELDS = ("patient_id", "triage_data", "risk_level", "image_keys", "last_modified_at")


@app.post("/sync")
def push() -> Response:
    """Take rows."""
    now = time.time_ns() // 1_000_000
    rows = request.get_json()["cases"]
    with Session(engine) as session:
        for row in rows:
            case = session.get(Case, row["id"])
            if case is not None and case.last_modified_at >= row["last_modified_at"]:
                continue
            if case is None:
                case = Case(id=row["id"])
                session.add(case)
            for name in FIELDS:
                setattr(case, name, row[name])
            case.changed_at = now
        session.commit()
    return Response(json.dumps({"accepted": len(rows)}), content_type="application/json")


@app.get("/sync")
def pull() -> Response:
    """Give rows that changed after a time."""
    now = time.time_ns() // 1_000_000
    since, team = int(request.args.get("since", 0)), request.args.get("team", "")
    with Session(engine) as session:
        found = session.scalars(select(Case).where(Case.team == team, Case.changed_at > since))
        rows = [{"id": case.id, **{name: getattr(case, name) for name in FIELDS}} for case in found]
    body = json.dumps({"cases": rows, "timestamp": now})
    return Response(body, content_type="application/json")


CASES = Case.__table__
_NEW = insert(CASES)
_UPSERT = _NEW.on_conflict_do_update(
    index_elements=["id"],
    set_={name: _NEW.excluded[name] for name in (*FIELDS, "changed_at")},
    where=CASES.c.last_modified_at < _NEW.excluded.last_modified_at,
)


@app.post("/bulk")
def push_all() -> Response:
    """Take rows, all in one statement."""
    now = time.time_ns() // 1_000_000
    rows = request.get_json()["cases"]
    with engine.begin() as connection:
        connection.execute(_UPSERT, [{"team": "", **row, "changed_at": now} for row in rows])
    return Response(json.dumps({"accepted": len(rows)}), content_type="application/json")


@app.get("/bulk")
def pull_all() -> Response:
    """Give rows that changed after a time, without making objects of them."""
    now = time.time_ns() // 1_000_000
    since, team = int(request.args["since"]), request.args.get("team", "")
    wanted = select(*(CASES.c[name] for name in ("id", *FIELDS)))
    with engine.connect() as connection:
        found = connection.execute(wanted.where(CASES.c.team == team, CASES.c.changed_at > since))
        rows = [dict(row) for row in found.mappings()]
    body = json.dumps({"cases": rows, "timestamp": now})
    return Response(body, content_type="application/json")
