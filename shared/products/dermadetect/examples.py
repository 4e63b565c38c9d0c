"""Examples of requests and answers, for the API's description. Sent and compared by a test."""

from __future__ import annotations

from typing import Any

Json = dict[str, Any]


def _queued(case_id: str, at: int) -> Json:
    """The row of a case that waits for its analysis."""
    return {
        "id": case_id,
        "case_id": case_id,
        "status": "queued",
        "attempts": 0,
        "scope_id": "team1",
        "created_at": at,
        "received_at": None,
        "last_modified_at": at,
        "deleted_at": None,
        "updated_at": at,
    }


_NO_IDS: Json = {"patients": [], "cases": [], "diagnoses": [], "medgemma_queue": []}


def _example_answer(**parts: Any) -> Json:
    return {
        "new_sync_timestamp": 1678889900,
        "server_updates": dict(_NO_IDS),
        "deleted": dict(_NO_IDS),
        "accepted": {},
        "conflicts": [],
        "rejected": [],
        "has_more": False,
        "next_page": None,
        "clock_offset_ms": None,
        "receipt": None,
        **parts,
    }


def _digest(content_hash: str, count: int = 1) -> Json:
    return {"count": count, "hash": content_hash}


_NOTHING = "0" * 64

_ENTRY = "7d9c408e89f7ebc499a3599eac41aafb4255b88c10849a7f536e9e46490daefe"

_RED_CASE: Json = {
    "id": "local_uuid_3",
    "patient_id": "local_uuid_1",
    "triage_data": {"duration_days": 21, "bleeding": True},
    "risk_level": "high",
    "image_keys": ["photo_1.jpg"],
    "sync_status": "new",
    "last_modified_at": 1678890000,
}

#: By operation. The first request is the one of DermaDetect's own plan; a test sends
#: the requests of `sync`, in this order, and compares the answers.
EXAMPLES: dict[str, Json] = {
    "sync": {
        "request": {
            "registration": {
                "summary": "A new patient with a case",
                "value": {
                    "last_sync_timestamp": 1678886400,
                    "changes": {
                        "patients": [
                            {
                                "id": "local_uuid_1",
                                "demographics": {},
                                "sync_status": "new",
                                "last_modified_at": 1678886400,
                            }
                        ],
                        "cases": [
                            {
                                "id": "local_uuid_2",
                                "patient_id": "local_uuid_1",
                                "triage_data": {},
                                "sync_status": "new",
                                "last_modified_at": 1678886400,
                            }
                        ],
                    },
                },
            },
            "red_case": {
                "summary": "A red case, a forgotten patient_id and a deletion",
                "value": {
                    "last_sync_timestamp": 1678889900,
                    "device_id": "phone-1",
                    "changes": {
                        "cases": [
                            _RED_CASE,
                            {"id": "local_uuid_4", "last_modified_at": 1678890000},
                            {"id": "local_uuid_2", "sync_status": "deleted"},
                        ]
                    },
                },
            },
        },
        "answer": {
            "registration": {
                "summary": "Both stored; what the server filled comes back",
                "value": _example_answer(
                    server_updates={
                        **_NO_IDS,
                        "patients": [{"id": "local_uuid_1", "chw_id": "chw1", "scope_id": "team1"}],
                        "cases": [
                            {
                                "id": "local_uuid_2",
                                "chw_id": "chw1",
                                "status": "PENDING_DIAGNOSIS",
                                "risk_level": "unknown",
                                "scope_id": "team1",
                            }
                        ],
                        "medgemma_queue": [_queued("local_uuid_2", 1678889900)],
                    },
                    accepted={"patients": ["local_uuid_1"], "cases": ["local_uuid_2"]},
                    receipt={
                        "id": "b5575576736941209c468f4a3379b971615f464453106d9e45e0997d25c062e8",
                        "accepted": 2,
                        "conflicts": 0,
                        "rejected": 0,
                        "digest": {
                            "patients": _digest(
                                "3cc9f4ffe9ea64ee3dd19d44abd9f0d444a42dd51ebd3fd87e398510bfc81599"
                            ),
                            "cases": _digest(
                                "30e8297af2da5f4525fc3cdf0def1096ef54fca5b5d01e38ac6571407f383ffc"
                            ),
                        },
                    },
                ),
            },
            "red_case": {
                "summary": "The red case waits for its analysis; one record is refused",
                "value": _example_answer(
                    new_sync_timestamp=1678890060,
                    server_updates={
                        **_NO_IDS,
                        "cases": [
                            {
                                "id": "local_uuid_3",
                                "chw_id": "chw1",
                                "status": "PENDING_DIAGNOSIS",
                                "risk_level": "red",
                                "rules": {
                                    "version": "2",
                                    "triage": "red",
                                    "flags": ["bleeding"],
                                },
                                "scope_id": "team1",
                            }
                        ],
                        "medgemma_queue": [_queued("local_uuid_3", 1678890060)],
                    },
                    deleted={**_NO_IDS, "medgemma_queue": ["local_uuid_2"]},
                    accepted={"cases": ["local_uuid_3", "local_uuid_2"]},
                    rejected=[
                        {
                            "table": "cases",
                            "id": "local_uuid_4",
                            "field": "patient_id",
                            "code": "missing_field",
                            "message": "patient_id is needed for a new record",
                        }
                    ],
                    receipt={
                        "id": "581788cc6452ee655f653c46063fe6cbbfe0b10f7199c67656fcf48a1d36bbe5",
                        "accepted": 2,
                        "conflicts": 0,
                        "rejected": 1,
                        "digest": {
                            "cases": _digest(
                                "35986cb24cc185755ab9aa934a77faebc20e0f2657b3902b51f8fb84479bb7f4"
                            )
                        },
                    },
                ),
            },
        },
    },
    "syncDigest": {
        "answer": {
            "current": {
                "summary": "Nothing changed since the cursor: compare",
                "value": {
                    "timestamp": 1678890120000,
                    "current": True,
                    "tables": {
                        "patients": _digest(
                            "3cc9f4ffe9ea64ee3dd19d44abd9f0d444a42dd51ebd3fd87e398510bfc81599"
                        ),
                        "cases": _digest(
                            "35986cb24cc185755ab9aa934a77faebc20e0f2657b3902b51f8fb84479bb7f4"
                        ),
                        "diagnoses": _digest(_NOTHING, 0),
                        "medgemma_queue": _digest(
                            "02e241ffa0ee201a2b4aa47d8511018e19aee1226381736792b856512c103c36"
                        ),
                    },
                },
            },
            "behind": {
                "summary": "Pull first",
                "value": {"timestamp": 1678890120000, "current": False, "tables": {}},
            },
        }
    },
    "listDevices": {
        "answer": {
            "one_fails": {
                "summary": "A phone that could not deliver a record",
                "value": {
                    "devices": [
                        {
                            "user_id": "chw1",
                            "device": "phone-1",
                            "scopes": ["team1"],
                            "problem": "could not deliver 1 records: missing_field",
                            "dialect": "batch",
                            "attempt_at": 1678890060000,
                            "ok_at": 1678890060000,
                            "outcome": "ok",
                            "failures": 0,
                            "app_version": "1.4.0",
                            "clock_offset_ms": 412,
                            "bytes_in": 341,
                            "bytes_out": 1260,
                            "pulled": {"rows": 2, "deletions": 0},
                            "pushed": {
                                "accepted": 2,
                                "written": 2,
                                "conflicts": 0,
                                "rejected": 1,
                            },
                            "rejected": [
                                {
                                    "table": "cases",
                                    "id": "local_uuid_4",
                                    "code": "missing_field",
                                }
                            ],
                            "unknown_columns": None,
                        }
                    ],
                    "next_page": None,
                    "timestamp": 1678890120000,
                },
            }
        }
    },
    "listInbox": {
        "answer": {
            "late": {
                "summary": "An edit of a patient who had moved to this team",
                "value": {
                    "next_page": None,
                    "count": {"open": 1, "urgent": 0, "at_least": False},
                    "entries": [
                        {
                            "id": _ENTRY,
                            "scope_id": "team2",
                            "table": "patients",
                            "record_id": "local_uuid_1",
                            "code": "moved",
                            "late": True,
                            "urgent": False,
                            "unfiled": False,
                            "user_id": "chw1",
                            "device": "phone-1",
                            "at": 1678890060000,
                            "sent": {
                                "id": "local_uuid_1",
                                "demographics": {"village": "Kito"},
                                "sync_status": "dirty",
                                "last_modified_at": 1678890000,
                            },
                        }
                    ],
                },
            }
        }
    },
    "closeInboxEntry": {
        "answer": {"closed": {"summary": "Off the list", "value": {"id": _ENTRY, "open": False}}}
    },
    "undelete": {
        "request": {
            "patient": {
                "summary": "A patient, and the cases that were deleted with it",
                "value": {"table": "patients", "id": "local_uuid_1"},
            }
        },
        "answer": {
            "patient": {
                "summary": "It is there again",
                "value": {"table": "patients", "id": "local_uuid_1", "deleted": False},
            }
        },
    },
}
