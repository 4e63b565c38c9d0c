"""Deliberate faults of the way from a case to its analysis; see `tests/reliability/mutations.py`."""

from __future__ import annotations

#: (file, suite, rows of (name, old, new, tests)). All run on SQLite, or need no adapter ("alone").
ROWS: tuple[tuple[str, str, str, tuple[tuple[str, str, str, str], ...]], ...] = (
    (
        "shared/products/dermadetect/tables.py shared/products/dermadetect/signal.py",
        "jobs/test_never_silent",
        "sqlite",
        (
            (
                "a rule's red is not red",
                "    if said.triage is not None:\n        ranks.append",
                "    if False:\n        ranks.append",
                "a_case_that_a_rule_calls_red_is_a_red_case_whatever_the_phone_says",
            ),
            (
                "what a rule said stays when the answer changed",
                "if said.stored() is not None or before.get(RULES) is not None:",
                "if said.stored() is not None:",
                "an_answer_that_becomes_a_red_flag_later_makes_a_job_then",
            ),
        ),
    ),
    (
        "shared/products/dermadetect/analyse.py",
        "jobs/test_never_silent",
        "sqlite",
        (
            (
                "the model alone decides",
                "said.triage,\n                job.attempts,",
                "None,\n                job.attempts,",
                "the_model_cannot_lower_what_a_rule_says",
            ),
            (
                "rules are forgotten without the model",
                "            rules_triage=said.triage,\n            rules_flags=said.flags,\n"
                "            provenance",
                "            provenance",
                "rules_count_also_without_the_model",
            ),
            (
                "a waiting case wipes an earlier reading",
                'if case is None or case.fields.get("ai_analysis") is not None:',
                "if case is None:",
                "an_earlier_reading_stays_while_the_next_one_waits",
            ),
            (
                "the latest reading alone is shown",
                'contract.shown(case.fields.get("ai_analysis"), dated)',
                "dated",
                "a_second_reading_takes_no_flag_urgency_or_step_away",
            ),
            (
                "readings are not kept",
                'put(Key(contract.READINGS, f"{job.id}~{job.token}"), kept, None),',
                "",
                "a_second_reading_takes_no_flag_urgency_or_step_away",
            ),
            (
                "what was heard waits for the last attempt",
                "if fault.reading is not None or fault.urgency is not None:",
                "if False:",
                "an_emergency_heard_in_a_broken_answer_is_said_at_once_and_stays",
            ),
            (
                "nobody is told of a result",
                "            notice.due(job.id, case.key.id, case.fields[record.SCOPE], now_ms),\n",
                "",
                "bells_three_times_out_of_order_with_kills_make_one_analysis_and_one_notification",
            ),
        ),
    ),
    (
        "shared/jobs/runner.py",
        "jobs/test_never_silent",
        "sqlite",
        (
            (
                "a failure is not said",
                "self._store.commit([move, *waiting, *task.late(job, fault.code, now)])",
                "self._store.commit([move, *waiting])",
                "a_failure_is_said_at_once_and_replaced_by_the_reading",
            ),
            (
                "waiting costs an attempt",
                "if fault.outage or not fault.attempted:",
                "if fault.outage:",
                "over_the_daily_cap_jobs_wait_and_none_is_dropped a_resting_model_costs_no_attempt",
            ),
            (
                "a wrong key costs attempts",
                "        if not fault.outage:\n            return job.attempts",
                "        if True:\n            return job.attempts",
                "jobs/test_runner:a_deployment_that_stays_at_fault_for_days_parks_its_jobs",
            ),
            (
                "a wrong key is asked with again and again",
                'tries = 1 + sum(step.get("fault") == fault.code for step in job.history)',
                "tries = 1",
                "jobs/test_runner:a_deployment_at_fault_is_tried_for_hours_and_costs_no_attempt",
            ),
            (
                "a broken contract is never the end",
                "if fault.retryable and not fault.lasting else",
                "if fault.retryable else",
                "jobs/test_runner:"
                "only_a_contract_broken_again_on_the_last_attempt_fails_and_the_doctor_gets_the_case",
            ),
            (
                "a late mark takes the lease from its worker",
                "if document is None or job.token is None or document.fields.get"
                '("token") != job.token:',
                "if True:",
                "being_told_late_disturbs_no_worker",
            ),
            (
                "late is told again and again",
                'mark = patch(document.key, {"late_at": None}, document.version)',
                'mark = patch(document.key, {"kind": job.kind}, document.version)',
                "a_case_that_nobody_looks_at_is_said_to_wait",
            ),
        ),
    ),
    (
        "shared/ai/spending.py",
        "ai/test_spending",
        "sqlite",
        (
            (
                "the counter is written without looking",
                "document.version if document else ABSENT",
                "None",
                "however_many_ask_at_once_the_cap_holds",
            ),
            (
                "nothing is given back",
                "self._add(key, used - taken, lambda _spent: True)",
                "pass",
                "what_was_not_used_is_given_back",
            ),
            (
                "the cap is no cap",
                "if not self._add(key, micros, allowed):",
                "if not self._add(key, micros, lambda _spent: True):",
                "what_does_not_fit_waits_until_the_next_day",
            ),
        ),
    ),
    (
        "shared/notify/notice.py",
        "notify/test_notice",
        "sqlite",
        (
            (
                "a notice is not taken before it is sent",
                "self._store.commit([patch(found.key, token, found.version)])",
                "pass",
                "a_result_pokes_phones_and_notifies_doctors_of_its_team_once",
            ),
            (
                "who left is told",
                "if role is not None and self._catalog.may(role, Action.READ):",
                "if True:",
                "who_left_the_team_is_not_told_whatever_the_ledger_says",
            ),
            (
                "phones of others take the place of a doctor's",
                "reached.append((not alert, of_user[user], device, role))",
                "reached.append((False, of_user[user], device, role))",
                "phones_of_others_never_take_the_place_of_a_doctor_s",
            ),
        ),
    ),
    (
        "shared/support/ledger.py",
        "notify/test_notice",
        "sqlite",
        (
            (
                "a sync forgets where the phone can be woken",
                "if attempt.before is None:",
                "if True:",
                "a_sync_keeps_the_token_that_came_meanwhile",
            ),
        ),
    ),
    (
        "shared/support/job_state.py",
        "api/test_jobs",
        "",
        (
            (
                "anybody sees a job",
                "if role is None or not catalog.may(role, Action.READ):",
                "if role is None:\n        role = 'chw'\n    if False:",
                "everybody_else_gets_the_same_answer_as_for_no_job",
            ),
            (
                "everybody sees the steps",
                "whole = catalog.may(role, Action.JOB_HISTORY)",
                "whole = True",
                "only_who_may_see_an_unsigned_analysis_sees_the_steps",
            ),
        ),
    ),
    (
        "shared/products/dermadetect/rules.py",
        "ai/test_rules",
        "",
        (
            (
                "fever begins too high",
                "FEVER_C = 38.0",
                "FEVER_C = 38.5",
                "an_answer_that_a_rule_knows_makes_the_case_red",
            ),
            (
                "pregnancy alone is an emergency",
                "return lambda seen: flag in seen.yes and _infected_or_hot(seen)",
                "return lambda seen: flag in seen.yes",
                "what_no_rule_knows_says_nothing",
            ),
            (
                "an answer that is not understood counts as no",
                "needed = set(look) | _looks(seen, unclear, set(flags))",
                "needed = set(look)",
                "what_is_not_understood_under_a_red_flag_asks_for_a_person",
            ),
            (
                "only what is wrong at the top of a form is seen",
                "telling < (MILD if any(map(_hurting_place, found)) else TELLING)",
                "telling < TELLING",
                "the_quick_look_finds_what_reading_everything_finds "
                "every_word_with_every_reply_is_judged_as_by_reading_everything",
            ),
        ),
    ),
    (
        "shared/products/dermadetect/questions.py",
        "ai/test_rules",
        "",
        (
            (
                "the quick look does not look at lists of symptoms",
                "type(item) is str and not listed(item).signs and not item[:1].isdigit()",
                "type(item) is str",
                "an_answer_that_a_rule_knows_makes_the_case_red "
                "whole_forms_are_judged_as_by_reading_everything",
            ),
            (
                "the quick look looks at no temperature",
                "_USUAL_C = (36.0, 37.9)",
                "_USUAL_C = (36.0, 45.0)",
                "every_word_with_every_reply_is_judged_as_by_reading_everything",
            ),
            (
                "groups are not opened",
                "waiting.extend(item for item in node.values() if type",
                "waiting.extend(item for item in () if type",
                "an_answer_is_found_however_a_form_engine_wraps_it",
            ),
            (
                "what is beyond the bounds of a form is passed over",
                "return found, TOO_MUCH",
                "return found, TELLING",
                "a_form_without_end_is_read_as_far_as_bounds_go_and_asks_for_a_person",
            ),
            (
                "no to a question that asks for the opposite counts as no",
                "return Question(name, opposite=True, tells=True)",
                "return Question(name, tells=True, silent=True)",
                "what_is_written_in_the_field_makes_a_case_red",
            ),
            (
                "a yes to a key that says more than we know is passed over",
                "yield Question(str(name), loose=True, tells=True)",
                "return",
                "what_is_not_understood_under_a_red_flag_asks_for_a_person",
            ),
        ),
    ),
    (
        "shared/products/dermadetect/answers.py",
        "ai/test_answers",
        "",
        (
            (
                "a temperature without its point is passed over",
                "if (low if factor == 1 else _SLIP_C) <= each <= high:",
                "if factor == 1 and low <= each <= high:",
                "a_temperature_is_read_in_every_form",
            ),
            (
                "of several answers the last one counts",
                "said = max((reply(item, own, depth + 1) for item in answer[:_MOST_ITEMS]), default=OPEN)",
                "said = next((reply(item, own, depth + 1) for item in answer[::-1]), OPEN)",
                "of_several_answers_the_worst_counts",
            ),
        ),
    ),
    (
        "shared/products/dermadetect/emergency.py",
        "ai/test_emergency",
        "",
        (
            (
                "all rows must hold",
                "if any(map(seen.issuperset, _SETS)) else NONE",
                "if all(map(seen.issuperset, _SETS)) else NONE",
                "the_flags_of_a_row_are_an_emergency_and_fewer_are_not",
            ),
        ),
    ),
    (
        "shared/products/dermadetect/analysis.py",
        "ai/test_emergency",
        "",
        (
            (
                "the model's urgency stands against the table",
                "if (urgency := urgency_of(flags).urgency) is not None:",
                "if (urgency := None) is not None:",
                "neither_model_nor_phone_makes_an_emergency_less",
            ),
        ),
    ),
    (
        "shared/products/dermadetect/gateway.py",
        "ai/test_gateway",
        "",
        (
            (
                "one photo costs the reading",
                "task.faults.append(fault)\n            return False",
                "raise",
                "one_photo_that_cannot_be_read_costs_that_photo_alone",
            ),
            (
                "a repair silences what was heard",
                "analysis.raised(analysis.merge(task.drafts), task.heard)",
                "analysis.merge(task.drafts)",
                "an_emergency_in_a_broken_answer_is_heard_whatever_the_repair_says",
            ),
        ),
    ),
    (
        "shared/ai/answer.py",
        "ai/test_analysis",
        "",
        (
            (
                "what was cut off is completed",
                "            return start + brace.end()\n    return -1",
                "            return start + brace.end()\n    return len(text)",
                "an_answer_that_can_be_read_in_two_ways_or_in_none_breaks_the_contract",
            ),
            (
                "of two answers the first counts",
                "return first if all(each == first for each in found) else None",
                "return first",
                "an_answer_that_can_be_read_in_two_ways_or_in_none_breaks_the_contract",
            ),
            (
                "a repairer drops the first of two keys",
                "if not _twice(part, shape.once):",
                "if True:",
                "an_answer_that_can_be_read_in_two_ways_or_in_none_breaks_the_contract",
            ),
        ),
    ),
    (
        "shared/products/dermadetect/analysis.py",
        "ai/test_analysis",
        "",
        (
            (
                "what cannot be read says nothing",
                "broken.urgency = heard(answer)",
                "pass",
                "an_urgency_is_heard_in_an_answer_that_cannot_be_read",
            ),
            (
                "a later reading takes red flags away",
                '_flag(joined, _strings(earlier, "red_flags"), latest["red_flags"])',
                '_flag(joined, latest["red_flags"])',
                "of_several_readings_the_most_urgent_is_shown_with_its_origin",
            ),
            (
                "a later reading makes an emergency smaller",
                'known = (earlier.get("urgency"), latest["urgency"], _URGENCY_OF_TRIAGE[final])',
                'known = (latest["urgency"], _URGENCY_OF_TRIAGE[final])',
                "an_analysis_of_an_older_release_is_joined_too",
            ),
        ),
    ),
    (
        "shared/ai/breaker.py",
        "ai/test_breaker",
        "",
        (
            (
                "it never rests",
                "self._opens_at = self._clock() + self._rest",
                "pass",
                "after_failures_in_a_row_nobody_is_asked_until_the_rest_is_over",
            ),
            (
                "everybody tries at once",
                "if left > 0 or self._trying:",
                "if left > 0:",
                "one_question_tries_while_the_others_wait",
            ),
        ),
    ),
    (
        "shared/products/dermadetect/triage.py",
        "ai/test_triage",
        "",
        (
            (
                "the scale is taken as it is",
                "math.exp(min(text.temperature, 20.0))",
                "min(text.temperature, 20.0)",
                "the_arithmetic_is_the_documented_one",
            ),
            (
                "the bias is forgotten",
                " + text.bias",
                "",
                "the_arithmetic_is_the_documented_one",
            ),
            (
                "the mildest photo counts",
                "round(max(score(image, text)",
                "round(min(score(image, text)",
                "the_worst_photo_counts_and_thresholds_decide",
            ),
        ),
    ),
    (
        "shared/ai/conversation.py",
        "ai/test_wire",
        "openai_compatible",
        (
            (
                "photos leave with their metadata",
                "tuple(map(without_metadata, images))",
                "images",
                "no_identifier_is_on_the_wire",
            ),
        ),
    ),
    (
        "shared/adapters/chat.py",
        "ai/test_wire",
        "openai_compatible",
        (
            (
                "an answer without end is read",
                "if size > most_bytes:",
                "if False:",
                "a_hundred_megabytes_are_not_read",
            ),
            (
                "thinking is part of the answer",
                'part.get("type") not in _THINKING_PARTS',
                "True",
                "an_answer_is_found_where_servers_put_it",
            ),
            (
                "a full GPU refuses for good",
                "full = 400 <= status < 500 and",
                "full = False and",
                "a_fault_of_the_wire_is_of_one_class_for_every_adapter",
            ),
            (
                "a wrong key is a refusal",
                "_DEPLOYMENT = frozenset({401, 402, 403, 404, 405, 407, 410})",
                "_DEPLOYMENT = frozenset({402})",
                "a_fault_of_the_wire_is_of_one_class_for_every_adapter",
            ),
        ),
    ),
    (
        "shared/adapters/openai_compatible.py",
        "ai/test_wire",
        "",
        (
            (
                "another server's page is an answer",
                "if kind not in _JSON and kind != _STREAM:",
                "if False:",
                "an_answer_of_another_type_is_none",
            ),
        ),
    ),
)
