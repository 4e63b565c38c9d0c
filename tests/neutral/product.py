"""Notebooks as one value."""

from __future__ import annotations

from collections.abc import Mapping

from shared.accounts.policy import AccountPolicy
from shared.files.file import Attachment
from shared.jobs.runner import Task
from shared.products.product import Parts, Product
from tests.neutral.summarise import Summarise, draft
from tests.neutral.tables import ATTACHMENTS, CATALOG, PHOTO_LIMITS, RIGHTS, SUMMARISE


def _attachments() -> Mapping[str, Attachment]:
    return ATTACHMENTS


def _tasks(parts: Parts) -> Mapping[str, Task]:
    return {SUMMARISE: Summarise(parts.store(), parts.terms, parts.clock_ms)}


NOTEBOOKS = Product(
    name="notebooks",
    title="Notebooks",
    user_claim="member_id",
    catalog=lambda _settings: CATALOG,
    rights=RIGHTS,
    accounts=AccountPolicy(
        registration="invited",
        scope_makers=frozenset({"admin"}),
        founder="admin",
        newcomer="member",
        invitable={
            "admin": frozenset({"member", "supervisor", "admin"}),
            "supervisor": frozenset({"member", "supervisor"}),
        },
        words=("kitabu", "notebook", "notes"),
        idle_days={"supervisor": 30, "admin": 30},
        factor_roles=frozenset({"doctor", "supervisor", "admin"}),
    ),
    attachments=_attachments,
    photo_limits=PHOTO_LIMITS,
    tasks=_tasks,
    rung=(SUMMARISE,),
    draft=draft,
)
