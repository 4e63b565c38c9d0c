"""What the audit trail's words for what doctors do mean."""

from __future__ import annotations

from shared.console.page import N_

ACTIONS = {
    "list_cases": N_("looked at the list of cases"),
    "read_case": N_("looked at a case"),
    "list_patient_cases": N_("looked at a patient's cases"),
    "claim": N_("took a case"),
    "release": N_("gave a case back"),
    "diagnose": N_("signed a diagnosis"),
    "withdraw": N_("took a signature back"),
    "close_case": N_("took a case off the list"),
}
