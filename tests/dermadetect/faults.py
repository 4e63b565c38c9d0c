"""Faults of DermaDetect that would hurt somebody, planted like those of `tests/reliability/faults.py`."""

from __future__ import annotations

from shared.products.dermadetect.rules import Verdict
from tests.reliability.faults import Fault, gives, giving, no, nothing

_OF = "shared.products.dermadetect."

# fmt: off
FAULTS = (
    # two families are mixed up
    Fault("an unsigned analysis is shown whole", _OF + "tables:_redact_case",
          lambda _real: lambda row, role: row,
          "review/test_review:before_a_doctor_signed_a_health_worker_sees_a_part_of_the_analysis"),
    Fault("doctors of other teams sign", _OF + "review:allowed_role", gives("doctor"),
          "review/test_review:the_role_in_the_case_s_team_decides"),
    # a red case is silent
    Fault("rules know no emergency", _OF + "rules:judge", gives(Verdict(None, (), ())),
          "ai/test_rules:an_answer_that_a_rule_knows_makes_the_case_red"),
    Fault("a rule's red is not red", _OF + "tables:_rules_of", gives(Verdict(None, (), ())),
          "dermadetect/test_never_silent:a_case_that_a_rule_calls_red_is_a_red_case_whatever_the_phone_says"),
    Fault("the model alone decides", _OF + "analyse:Analyse._rules", gives(Verdict(None, (), ())),
          "dermadetect/test_never_silent:the_model_cannot_lower_what_a_rule_says"),
    Fault("a case becomes less urgent", _OF + "signal:raised", lambda _real: lambda _stored, rank: rank,
          "review/test_worklist:an_edit_raises_the_urgency_and_never_lowers_it"),
    Fault("the latest reading alone is shown", _OF + "analysis.which_reading_is_shown:shown",
          lambda _real: lambda _earlier, latest: dict(latest),
          "dermadetect/test_never_silent:a_second_reading_takes_no_flag_urgency_or_step_away"),
    Fault("the model's opinion does not count", _OF + "analysis.document:_implied_urgency",
          gives("routine"),
          "ai/test_analysis:triage_is_the_worst_of_device_rules_and_model"),
    Fault("a red edit that loses is only logged", _OF + "tables:_urgent", no,
          "review/test_signal:a_red_edit_that_loses_is_met_by_a_doctor"),
    Fault("a red case has no job", _OF + "tables:_case_effects",
          giving(lambda effects: effects._replace(writes=(), bells=())),
          "ai/test_analyse:a_red_case_gets_its_analysis_and_the_phone_sees_it"),
    Fault("a failure is not told", _OF + "analyse:Analyse.late", gives(()),
          "dermadetect/test_never_silent:a_failure_is_said_at_once_and_replaced_by_the_reading"),
    Fault("nobody is told of a case that waits", _OF + "analyse:Analyse.late", gives(()),
          "dermadetect/test_never_silent:a_case_that_nobody_looks_at_is_said_to_wait"),
    Fault("the list ends after thirty teams", _OF + "worklist:_groups", giving(lambda all_: all_[:1]),
          "review/test_worklist:the_list_of_more_than_thirty_teams_is_one_list"),
    Fault("a doctor signs what she has not seen", _OF + "review:Review._check_seen", nothing,
          "review/test_signal:a_signature_on_what_is_older_than_the_case_is_refused_and_says_what_changed"),
    Fault("a claim keeps nobody off", _OF + "review:_Scene.check_unclaimed", nothing,
          "review/test_review:a_claim_keeps_others_off_until_it_ends"),
)
# fmt: on
