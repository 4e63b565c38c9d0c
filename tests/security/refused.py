"""Who must be refused what, written down by hand. It knows nothing of the code: plain data.

A person is "none" (no token), "expired" (an expired one), a role in the team whose data is asked for
("home-…") or in another team ("away-…"), "nobody" (in no team), "left" (was an admin of the team) or
"disabled" (is one, but the account is disabled).
"""

_NO_TOKEN = {"none", "expired", "disabled"}
_AWAY = {"away-chw", "away-doctor", "away-supervisor", "away-admin", "away-member"}
_OUTSIDE = _NO_TOKEN | _AWAY | {"nobody", "left"}

REFUSED: dict[str, set[str]] = {
    "POST /api/sync (pull)": _OUTSIDE,
    "POST /api/sync (edit)": _OUTSIDE | {"home-doctor"},
    "POST /api/sync (add)": _OUTSIDE | {"home-doctor"},
    "POST /api/sync (see the unsigned analysis)": _OUTSIDE | {"home-chw", "home-member"},
    "GET /api/v1/sync (pull)": _OUTSIDE,
    "GET /api/v1/sync (see the unsigned analysis)": _OUTSIDE | {"home-chw", "home-member"},
    "POST /api/v1/sync (add)": _OUTSIDE | {"home-doctor"},
    "GET /api/v1/sync/digest (ask)": _OUTSIDE,
    "POST /api/sync (announce a photo)": _OUTSIDE | {"home-doctor"},
    "POST /api/v1/files (announce)": _OUTSIDE | {"home-doctor"},
    "POST /api/v1/upload (send whole)": _OUTSIDE | {"home-doctor"},
    "PUT /api/v1/files/{id}/content (send)": _OUTSIDE | {"home-doctor"},
    "POST /api/v1/files/{id}/complete (complete)": _OUTSIDE | {"home-doctor"},
    "GET /api/v1/files/{id} (look)": _OUTSIDE,
    "GET /api/v1/files/links/{token} (follow)": set(),
    "GET /api/v1/devices (list)": _OUTSIDE | {"home-chw", "home-doctor", "home-member"},
    "POST /api/v1/devices/token (register)": _NO_TOKEN,
    "GET /api/v1/jobs/{id} (read)": _OUTSIDE,
    "GET /api/v1/inbox (list)": _OUTSIDE | {"home-chw", "home-member"},
    "POST /api/v1/inbox/{id}/close (close)": _OUTSIDE | {"home-chw", "home-member"},
    "POST /api/v1/undelete (undelete)": _OUTSIDE | {"home-chw", "home-doctor", "home-member"},
    "GET /api/v1/deleted (list)": _OUTSIDE | {"home-chw", "home-doctor", "home-member"},
    "GET /api/v1/conflicts (list)": _OUTSIDE | {"home-chw", "home-member"},
    "POST /api/v1/moves (move)": _OUTSIDE | {"home-chw", "home-doctor", "home-member"},
    "GET /api/v1/exports (list)": _OUTSIDE | {"home-chw", "home-doctor", "home-member"},
    "GET /api/v1/exports/file (fetch)": _OUTSIDE | {"home-chw", "home-doctor", "home-member"},
    **dict.fromkeys(
        (
            "GET /api/v1/hooks (list)",
            "POST /api/v1/hooks (add)",
            "PATCH /api/v1/hooks/{id} (change)",
            "DELETE /api/v1/hooks/{id} (remove)",
            "POST /api/v1/hooks/{id}/test (test)",
            "POST /api/v1/hooks/{id}/rotate (rotate)",
            "GET /api/v1/hooks/{id}/deliveries (list)",
        ),
        _OUTSIDE | {"home-chw", "home-doctor", "home-supervisor", "home-member"},
    ),
    "GET /api/v1/review/cases (list)": _OUTSIDE | {"home-chw", "home-member"},
    "GET /api/v1/review/cases/{id} (read)": _OUTSIDE | {"home-chw", "home-member"},
    "GET /api/v1/review/cases/{id}/patient-cases (list)": _OUTSIDE | {"home-chw", "home-member"},
    "GET /api/v1/review/totals (count)": _OUTSIDE | {"home-chw", "home-member"},
    "GET /api/v1/review/numbers (count)": _OUTSIDE | {"home-chw", "home-member"},
    "GET /api/v1/review/quality (count)": _OUTSIDE | {"home-chw", "home-member"},
    "POST /api/v1/review/cases/{id}/claim (claim)": _OUTSIDE
    | {"home-chw", "home-member", "home-supervisor", "home-admin"},
    "POST /api/v1/review/cases/{id}/claim (assign)": _OUTSIDE
    | {"home-chw", "home-member", "home-doctor"},
    "POST /api/v1/review/cases/{id}/release (release)": _OUTSIDE | {"home-chw", "home-member"},
    "POST /api/v1/review/cases/{id}/close (close)": _OUTSIDE | {"home-chw", "home-member"},
    "POST /api/v1/review/cases/{id}/withdraw (take back)": _OUTSIDE
    | {"home-chw", "home-member", "home-supervisor", "home-admin"},
    "POST /api/v1/review/cases/{id}/diagnosis (sign)": _OUTSIDE
    | {"home-chw", "home-member", "home-supervisor", "home-admin"},
    "GET /api/v1/review/texts (list)": _NO_TOKEN,
    "PUT /api/v1/review/texts/{id} (save)": _NO_TOKEN,
    "DELETE /api/v1/review/texts/{id} (remove)": _NO_TOKEN,
    "POST /api/v1/auth/register (register)": set(),
    "POST /api/v1/auth/login (try)": set(),
    "POST /api/v1/auth/refresh (try)": set(),
    "POST /api/v1/auth/logout (try)": set(),
    "POST /api/v1/auth/password (try)": _NO_TOKEN,
    "POST /api/v1/auth/totp (try)": _NO_TOKEN,
    "POST /api/v1/auth/totp/confirm (try)": _NO_TOKEN,
    "POST /api/v1/auth/totp/remove (try)": _NO_TOKEN,
    "GET /api/v1/auth/sessions (list)": _NO_TOKEN,
    "POST /api/v1/auth/sessions/end (try)": _NO_TOKEN,
    "POST /api/v1/auth/sessions/{id}/end (try)": _NO_TOKEN,
    "POST /api/v1/auth/delete (try)": _NO_TOKEN,
    "POST /api/v1/auth/profile (say who I am)": _NO_TOKEN,
    "POST /api/v1/auth/join (join a third)": _NO_TOKEN,
    "POST /api/v1/auth/leave (leave)": _NO_TOKEN,
    "POST /api/v1/auth/invites (invite)": _OUTSIDE | {"home-chw", "home-doctor", "home-member"},
    "GET /api/v1/auth/invites (list)": _OUTSIDE | {"home-chw", "home-doctor", "home-member"},
    "POST /api/v1/auth/invites/{id}/void (void)": _OUTSIDE
    | {"home-chw", "home-doctor", "home-member"},
    "POST /api/v1/auth/members/{id}/remove (put out)": _OUTSIDE
    | {"home-chw", "home-doctor", "home-member"},
    "POST /api/v1/auth/members/{id}/role (make a doctor)": _OUTSIDE
    | {"home-chw", "home-doctor", "home-member"},
    "POST /api/v1/auth/scopes (make one)": _NO_TOKEN
    | {"nobody", "left"}
    | {f"{team}-{role}" for team in ("home", "away") for role in ("chw", "doctor", "member")}
    | {"home-supervisor", "away-supervisor"},
    "GET /api/v1/auth/me (ask)": _NO_TOKEN,
    "GET /api/v1/auth/members (list)": _OUTSIDE | {"home-chw", "home-doctor", "home-member"},
    "POST /api/v1/auth/forgot (try)": set(),
    "POST /api/v1/auth/reset (try)": set(),
    **dict.fromkeys(
        (
            "GET /api/v1/auth/users (list)",
            "GET /api/v1/auth/users/{id} (read)",
            "POST /api/v1/auth/users/{id}/disable (try)",
            "POST /api/v1/auth/users/{id}/enable (try)",
            "POST /api/v1/auth/users/{id}/end-sessions (try)",
            "POST /api/v1/auth/users/{id}/reset (try)",
            "GET /api/v1/trail (a team's)",
            "GET /api/v1/trail/check (check)",
            "GET /api/v1/jobs (list)",
            "POST /api/v1/jobs/{id}/redrive (redrive)",
        ),
        _OUTSIDE | {"home-chw", "home-doctor", "home-supervisor", "home-member"},
    ),
    "GET /api/v1/trail (own)": _NO_TOKEN,
    # an admin of any team
    "GET /api/v1/settings (look)": (_OUTSIDE - {"away-admin"})
    | {"home-chw", "home-doctor", "home-supervisor", "home-member"},
    "GET /.well-known/jwks.json (fetch)": set(),
    "GET /health (ask)": set(),
    "GET /ready (ask)": set(),
    "GET /version (ask)": set(),
    "GET /openapi.json (ask)": set(),
    "GET /docs (ask)": set(),
}
