"""Terraform says what the rest of the repository says, and gives away nothing.

What can be told from the files alone is told here. `terraform validate` and `terraform test` need the
provider and run in cloudbuild.yaml; where Terraform is installed, the format is checked too.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from typing import Any

import pytest

from infra.local.table import load
from shared.files.file import CHECK, DERIVED, INCOMING, ORIGINALS
from shared.products import known
from shared.settings import Settings
from tests.conftest import absent
from tests.infra.hcl import (
    ENVIRONMENTS,
    ROOT,
    TERRAFORM,
    files,
    local,
    of_kind,
    read,
    resources,
    variables,
)

FUNCTIONS = load()
MODULE = TERRAFORM / "modules" / "function"

#: Variables that the platform reads, not our settings.
PLATFORM = {"THREADS", "MALLOC_ARENA_MAX"}


def text(name: str) -> str:
    return (TERRAFORM / name).read_text("utf-8")


# --- the table of functions


def test_the_table_is_the_only_list_of_functions() -> None:
    assert local("table") == '${yamldecode(file("${path.module}/../infra/functions.yaml"))}'
    assert local("functions").startswith("${{for name, row in local.table : name => row if ")
    [module] = [block["function"] for block in read(TERRAFORM / "functions.tf")["module"]]
    assert module["for_each"] == "${local.functions}"


def test_every_function_has_a_line_of_rights_and_every_line_a_function() -> None:
    assert set(FUNCTIONS) == set(local("access"))


def test_rights_are_words_that_the_module_knows() -> None:
    nothing = local("nothing")
    module = read(MODULE / "main.tf")["locals"][0]
    for name, rights in local("access").items():
        assert set(rights) <= set(nothing), name
        assert rights.get("records", "none") in module["record_roles"], name
        assert set(rights.get("photos", ())) <= set(module["photo_roles"]), name


def test_functions_may_ring_ask_and_notify_exactly_if_their_code_does() -> None:
    # what the code does: a function that imports the doorbell rings, one whose jobs make others due, and
    # one that answers bells (it rings on); one that runs analyses asks
    rings, asks, notifies = set(), set(), set()
    for name in FUNCTIONS:
        code = (ROOT / "functions" / f"{name}.py").read_text("utf-8")
        checks = re.search(r"wiring\.(runner|subscriber)\b", code) and "CHECK" in code
        asked = re.search(r"support\.ROUTES", code)  # the console asks routes that ring
        # routes and stages of a product ring by its parts
        parts = re.search(r"wiring\.parts\b", code) or "buildtrace" in code
        bells = "subscriber().answer(" in code
        if (
            re.search(r"wiring\.(ring|session|sweeper)\b", code)
            or bells
            or checks
            or asked
            or parts
        ):
            rings.add(name)
        asking = re.search("ANALYSE|VOICE|SUMMAR", code)
        if re.search(r"wiring\.(runner|subscriber)\b", code) and asking:
            asks.add(name)
        if "wiring.deliveries" in code or "wiring.sweeper" in code:
            notifies.add(name)
    granted = {name: local("access")[name] for name in FUNCTIONS}
    assert {name for name in granted if granted[name].get("rings")} == rings
    assert {name for name in granted if granted[name].get("model")} == asks
    assert {name for name in granted if granted[name].get("notifies")} == notifies


def service_config() -> dict[str, Any]:
    body = of_kind("google_cloudfunctions2_function")["this"]
    config: dict[str, Any] = body["service_config"][0]
    return config


def test_every_column_of_the_table_is_used() -> None:
    config = service_config()
    assert config["max_instance_request_concurrency"] == "${var.row.concurrency}"
    assert "THREADS = tostring(max(2, var.row.concurrency))" in config["environment_variables"]
    assert config["available_memory"] == "${var.row.memory}"
    assert config["available_cpu"] == "${tostring(var.row.cpu)}"
    assert config["timeout_seconds"] == "${var.row.timeout_seconds}"
    assert config["max_instance_count"] == "${var.row.max_instances}"
    assert "each.value.min_instances" in text("functions.tf")
    [row] = [variables(MODULE / "variables.tf")["row"]["type"]]
    for column in re.findall(r"(\w+) *=", row):
        assert column in next(iter(FUNCTIONS.values())).__dataclass_fields__


def test_only_public_functions_are_open_to_everybody() -> None:
    everybody = [
        (kind, body)
        for kind, _, body in resources()
        if re.search(r"allUsers|allAuthenticatedUsers", json.dumps(body))
    ]
    [(kind, body)] = everybody
    assert kind == "google_cloud_run_service_iam_member"
    assert body["count"] == "${local.public ? 1 : 0}"
    assert read(MODULE / "main.tf")["locals"][0]["public"] == '${var.row.trigger == "http"}'


@pytest.mark.parametrize("name", [n for n, row in FUNCTIONS.items() if row.trigger == "push"])
def test_a_pushed_function_takes_events_although_it_is_deployed_with_an_address(name: str) -> None:
    # Terraform deploys it without an event trigger, so the platform says "http"; the function itself
    # must say that it takes events.
    code = (
        "import main; from functions_framework import _function_registry as registry;"
        f"print(registry.get_func_signature_type({name!r}, 'http'))"
    )
    said = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        env={**os.environ, "FUNCTION_TARGET": name, "FUNCTION_SIGNATURE_TYPE": "http"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert said.stdout.strip() == "cloudevent"


# --- settings and secrets


#: Settings for the map `settings`: a value, and nothing in Google Cloud that goes with it. A new setting
#: fails here until somebody has said whose it is: `decided` or `local_only` of terraform/settings.tf, a
#: secret, or this list.
FREE = {
    *("CHECK_INLINE_BYTES", "CLAIM_MINUTES", "CLOCK_TOLERANCE_SECONDS", "FILE_BYTES"),
    "DRAWING_BYTES",
    *(
        "HOOK_NETWORKS",
        "HSTS_SECONDS",
        "JOB_ATTEMPTS",
        "LEASE_SECONDS",
        "LINK_SECONDS",
    ),
    *("MAILER", "MAIL_FROM", "PUBLIC_URL", "SMTP_HOST", "SMTP_PORT", "SMTP_SECURITY", "SMTP_USER"),
    "PASSKEY_HOST",
    *("MODEL_BUDGETS", "MODEL_ORDER", "MODEL_TASKS", "OLLAMA_MODEL", "OLLAMA_URL", "TEXT_EMBEDDER"),
    *("SPEECH", "SPEECH_LOCATION", "SPEECH_MODEL", "SPEECH_TIMEOUT_SECONDS", "SPEECH_URL"),
    *("VOICE_AUDIO_HOURS", "VOICE_TEXT_DAYS"),
    *("LOG_LEVEL", "MAX_BODY_BYTES", "PHOTOS_WAIT_MINUTES", "UPLOAD_DAYS"),
    *("MAX_INFLATED_BYTES", "MIN_APP_VERSION", "MODEL_FAILURES", "MODEL_MAX_TOKENS"),
    *("MODEL_REST_SECONDS", "MODEL_TIMEOUT_SECONDS", "OIDC_AUDIENCE", "OIDC_ISSUER"),
    *(
        "OIDC_JWKS_URL",
        "OIDC_TOKEN_TYPE",
        "OVERLAP_SECONDS",
        "PAGE_BYTES",
        "PAGE_ROWS",
        "PUSH_ATTEMPTS",
    ),
    *(
        "RATE_LIMITS",
        "RECEIPT_DAYS",
        "REFRESH_DAYS",
        "RETENTION_DAYS",
        "RETRY_BASE_SECONDS",
        "RETRY_CAP_SECONDS",
    ),
    *(
        "SESSION_DAYS",
        "CONSOLE_HOURS",
        "CONSOLE_IDLE_MINUTES",
        "CONSOLE_TIME_ZONE",
        "SILENT_DAYS",
        "STRICT_COLUMNS",
        "TOKEN_AUDIENCE",
        "TOKEN_ISSUER",
        "TOKEN_JWKS",
        "TOKEN_LEEWAY_SECONDS",
        "TOTP_ROLES",
    ),
    *("TRACE_EXPORTER", "TRACE_SHARE", "TRUSTED_PROXIES", "UNREAD_HOURS", "VERTEX_API_ENDPOINT"),
}


def test_every_setting_has_exactly_one_way_into_a_deployment_or_a_reason_for_none() -> None:
    there = set(known.variables())
    apart = set(re.findall(r"\b([A-Z][A-Z_]{2,}) =", local("settings")))
    ways = {
        "decided": set(local("decided")) | apart,
        "secret": {variable for row in FUNCTIONS.values() for variable in row.secrets},
        "table": {variable for row in FUNCTIONS.values() for variable in row.environment},
        "local_only": set(local("local_only")),
        "free": FREE,
    }
    assert {name: [way for way, names in ways.items() if name in names] for name in there} == {
        name: [way] for way, names in ways.items() for name in names
    }
    assert set(local("usual")) <= FREE
    secrets = {name for name, spec in known.variables().items() if spec.metadata["secret"]}
    assert ways["secret"] == secrets - ways["local_only"]
    assert all(reason.endswith(".") for reason in local("local_only").values())


def test_terraform_lets_exactly_these_settings_be_given() -> None:
    # Terraform takes the names from .env.example and leaves out what has another way.
    example = (ROOT / ".env.example").read_text("utf-8")
    [pattern] = re.findall(r'regexall\("(.*?)", file', text("settings.tf"))
    assert set(re.findall(pattern, example)) == set(known.variables())
    left_out = local("free_settings")
    for part in ("local.decided", "local.local_only", '"VERTEX_ENDPOINT"', "row.secrets"):
        assert part in left_out
    assert "local.free_settings" in json.dumps(
        variables(TERRAFORM / "variables.tf")["settings"]["validation"]
    )
    for environment in ENVIRONMENTS:
        assert set(read(environment / "terraform.tfvars")["settings"]) <= FREE
    of_module = re.findall(r"\b([A-Z][A-Z_]{2,})\s*=", service_config()["environment_variables"])
    assert set(of_module) == PLATFORM


def test_choices_of_settings_are_choices_that_exist() -> None:
    choices = {name: spec.metadata["choices"] for name, spec in known.variables().items()}
    for name, value in {**local("usual"), **local("decided")}.items():
        if choices[name]:
            said = re.findall(r'"([a-z_]+)"', value) if value.startswith("${") else [value]
            assert set(said) <= set(choices[name]), name
    assert set(re.findall(r'"([a-z_]+)"', local("decided")["MODEL"])) == set(choices["MODEL"])
    [rule] = variables(TERRAFORM / "variables.tf")["notifier"]["validation"]
    assert set(re.findall(r'"(\w+)"', rule["condition"])) == set(choices["NOTIFIER"])


def test_every_secret_of_the_table_is_made_and_none_is_in_a_state() -> None:
    assert "values(row.secrets)" in local("variables")
    assert "row.reads_secrets" in local("read_directly")
    assert local("secrets") == "${setunion(local.variables, local.read_directly)}"
    [secret] = of_kind("google_secret_manager_secret").values()
    [version] = of_kind("google_secret_manager_secret_version").values()
    assert (secret["for_each"], version["for_each"]) == ("${local.secrets}", "${local.variables}")
    assert "secret_data" not in version
    assert "secret_data_wo" in version


# --- Firestore


def test_every_index_and_exemption_of_the_list_is_made() -> None:
    assert "infra/firestore.indexes.json" in local("indexes")
    assert "local.indexes.indexes" in local("composite")
    assert "local.indexes.fieldOverrides" in local("fields")
    [index] = of_kind("google_firestore_index").values()
    [exemption] = of_kind("google_firestore_field").values()
    assert index["for_each"] == "${local.composite}"
    assert exemption["for_each"] == "${local.fields}"
    assert index["dynamic"][0]["fields"]["for_each"] == "${each.value.fields}"


def test_the_list_of_indexes_has_no_row_twice_and_no_part_that_would_be_left_out() -> None:
    listed = json.loads((ROOT / "infra" / "firestore.indexes.json").read_text("utf-8"))
    assert set(listed) == {"indexes", "fieldOverrides"}
    keys = []
    for index in listed["indexes"]:
        assert set(index) == {"collectionGroup", "queryScope", "fields"}
        parts = [f"{each['fieldPath']}:{each.get('order')}" for each in index["fields"]]
        keys.append((index["collectionGroup"], *parts))
        known = ({"order"}, {"arrayConfig"}, {"vectorConfig"})
        assert all({*each} - {"fieldPath"} in known for each in index["fields"])
        # Terraform would make it anew each time: Firestore puts the name before the place itself
        if "vectorConfig" in index["fields"][-1]:
            assert index["fields"][-2]["fieldPath"] == "__name__"
    keys += [(each["collectionGroup"], each["fieldPath"]) for each in listed["fieldOverrides"]]
    for field in listed["fieldOverrides"]:
        assert set(field) <= {"collectionGroup", "fieldPath", "indexes", "ttl"}
    assert len(set(keys)) == len(keys)


def test_the_database_can_be_restored_and_is_not_deleted_by_accident() -> None:
    [database] = of_kind("google_firestore_database").values()
    assert database["type"] == "FIRESTORE_NATIVE"
    assert database["point_in_time_recovery_enablement"] == "POINT_IN_TIME_RECOVERY_ENABLED"
    assert "DELETE_PROTECTION_ENABLED" in database["delete_protection_state"]
    assert "ABANDON" in database["deletion_policy"]
    assert set(of_kind("google_firestore_backup_schedule")) == {"daily", "weekly"}


def test_the_rules_refuse_everybody() -> None:
    rules = (ROOT / "infra" / "firestore.rules").read_text("utf-8")
    assert re.findall(r"allow[^;]*;", rules) == ["allow read, write: if false;"]


# --- queues


def test_every_subscription_says_deadline_retry_and_that_it_never_expires() -> None:
    for name, body in of_kind("google_pubsub_subscription").items():
        assert "ack_deadline_seconds" in body, name
        assert "retry_policy" in body, name
        assert body["expiration_policy"] == [{"ttl": ""}], name
    jobs = of_kind("google_pubsub_subscription")["jobs"]
    assert "dead_letter_policy" in jobs["dynamic"][0]
    assert "oidc_token" in jobs["push_config"][0]


def test_a_push_may_take_longer_than_its_function() -> None:
    jobs = of_kind("google_pubsub_subscription")["jobs"]
    assert jobs["ack_deadline_seconds"] == "${local.functions[each.value].ack_deadline_seconds}"
    for function in FUNCTIONS.values():
        if function.topics:
            assert function.ack_deadline_seconds > function.timeout_seconds


def test_pubsub_may_move_dead_letters() -> None:
    takes = of_kind("google_pubsub_subscription_iam_member")["dead_letters"]
    puts = of_kind("google_pubsub_topic_iam_member")["dead_letters"]
    assert (takes["role"], puts["role"]) == ("roles/pubsub.subscriber", "roles/pubsub.publisher")
    assert takes["member"] == puts["member"] == "${local.agents.pubsub}"


# --- nothing is open, nobody may do everything


def test_no_bucket_is_public() -> None:
    buckets = of_kind("google_storage_bucket")
    assert buckets
    for name, body in buckets.items():
        assert body["public_access_prevention"] == "enforced", name
        assert body["uniform_bucket_level_access"] is True, name
        assert "default_kms_key_name" in body["encryption"][0], name
        assert body["lifecycle_rule"], name


def test_what_phones_upload_is_cleared_and_what_was_checked_is_kept() -> None:
    rules = [
        (rule["action"][0]["type"], rule["condition"][0])
        for rule in of_kind("google_storage_bucket")["photos"]["lifecycle_rule"]
    ]
    deletes = [when for action, when in rules if action == "Delete"]
    live = [when for when in deletes if when.get("with_state") != "ARCHIVED"]
    # what nobody took, and not while an upload may rest, however long that is chosen to be
    assert live == [
        {
            "age": "${local.upload_days + 30}",
            "matches_prefix": [f"{INCOMING}/"],
            "with_state": "LIVE",
        }
    ]
    kept = {
        tuple(when.get("matches_prefix", ())): when["days_since_noncurrent_time"]
        for when in deletes
        if when not in live
    }
    assert kept == {(): 30, (f"{INCOMING}/",): 1}
    others = {action for action, _ in rules} - {"Delete"}
    assert others == {"AbortIncompleteMultipartUpload", "SetStorageClass"}
    assert of_kind("google_storage_bucket")["photos"]["versioning"] == [{"enabled": True}]
    given = of_kind("google_storage_bucket_iam_member")["photos"]["dynamic"][0]["condition"]
    assert given["for_each"] == f'${{each.key == "clear" ? ["{INCOMING}/"] : []}}'


def test_how_long_an_upload_may_rest_is_the_setting_s_own_default_or_what_was_given() -> None:
    example = (ROOT / ".env.example").read_text("utf-8")
    said = local("upload_days")
    [pattern] = re.findall(r'regex\("(.*?)", file', said)
    assert re.findall(pattern.replace("\\\\", "\\"), example) == [str(Settings().upload_days)]
    assert 'var.settings, "UPLOAD_DAYS"' in said
    # a link to a session of the bucket's own lives a week, whatever is set
    assert Settings().upload_days <= 7


def test_pages_that_may_call_are_those_that_may_follow_links() -> None:
    photos = of_kind("google_storage_bucket")["photos"]["dynamic"][0]["cors"]
    assert photos["content"][0]["origin"] == "${cors.value}"
    assert "var.allowed_origins" in photos["for_each"]
    assert "var.allowed_origins" in local("decided")["CORS_ORIGINS"]
    # what a browser sends to a session, and may read of its answer
    assert photos["content"][0]["method"] == ["GET", "PUT"]
    assert {"Content-Range", "Content-Type", "Range"} <= set(
        photos["content"][0]["response_header"]
    )


#: What each call of the file store needs in Cloud Storage (shared/adapters/gcs.py), each "permission
#: folder"; `link` also signs.
NEEDS = {
    "put": {"storage.objects.create", "storage.objects.get"},
    "read": {"storage.objects.get"},
    "stat": {"storage.objects.get"},
    "delete": {"storage.objects.delete"},
    "list": {"storage.objects.list"},
    "link": {"storage.objects.get", "sign"},
    "session": {"storage.objects.create"},
}

#: What the words of access.tf give. Of Google's own roles, what we use
#: (cloud.google.com/storage/docs/access-control/iam-roles).
GIVES = {
    "add": {"storage.objects.create"},
    "read": {"storage.objects.get", "storage.objects.list"},
}


def test_functions_may_do_with_photos_exactly_what_they_do() -> None:
    called: dict[str, list[str]] = {}
    for life in ("photo_calls", "drawing_calls"):
        done = subprocess.run(
            [sys.executable, "-m", f"tests.infra.{life}"],
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        for name, calls in json.loads(done.stdout.splitlines()[-1]).items():
            called[name] = sorted({*called.get(name, ()), *calls})
    # MedMind's recordings (shared/products/medmind/voice.py): pieces come and go, and are heard
    called["review"] = [
        *called.get("review", ()),
        *(f"{method} {INCOMING}" for method in ("put", "delete")),
    ]
    called["voice"] = [f"{method} {INCOMING}" for method in ("read", "list", "delete")]
    own = set(of_kind("google_project_iam_custom_role")["deletes_photos"]["permissions"])
    assert own == {"storage.objects.delete", "storage.objects.list"}
    roles = read(MODULE / "main.tf")["locals"][0]["photo_roles"]
    assert roles["add"] == "roles/storage.objectCreator"
    assert roles["read"] == "roles/storage.objectViewer"
    assert roles["clear"] == roles["remove"] == "${var.custom_roles.deletes_photos}"
    folders = {INCOMING, ORIGINALS, DERIVED}
    for name in FUNCTIONS:
        needed: dict[str, set[str]] = {}
        for call in called.get(name, ()):
            method, _, folder = call.partition(" ")
            for permission in NEEDS[method]:
                needed.setdefault(permission, set()).add(folder)
        may = local("access")[name]
        words = set(may.get("photos", ()))
        given: dict[str, set[str]] = {}
        for word in words:
            where = {INCOMING} if word == "clear" else folders
            for permission in GIVES.get(word, own):
                given.setdefault(permission, set()).update(where)
        assert ("sign" in needed) == bool(may.get("signs")), name
        for permission, where in needed.items():
            if permission != "sign":
                assert where <= given.get(permission, set()), (name, permission)
        # and no word that nothing needs: without it something would be missing
        for word in words:
            main = {"add": "create", "read": "get"}.get(word, "delete")
            assert f"storage.objects.{main}" in needed, (name, word)
            if word == "remove":
                assert needed["storage.objects.delete"] == folders, name


def test_nobody_gets_a_role_that_means_everything() -> None:
    for path in files():
        found = re.findall(
            r"roles/(?:owner|editor|viewer|[a-z]+\.owner|iam\.(?:security|role|organizationRole)Admin)\b",
            path.read_text(),
        )
        assert not found, (path.name, found)


def test_the_deployer_changes_no_role() -> None:
    """Whoever may change a role of ours could add any right to one that they have."""
    changing = {f"iam.roles.{verb}" for verb in ("create", "update", "delete", "undelete")}
    may = of_kind("google_project_iam_custom_role")["deploys"]["permissions"]
    assert changing.isdisjoint(may)


def test_functions_get_their_roles_in_the_module_alone_and_few_on_the_project() -> None:
    on_project = {
        name
        for name, body in of_kind("google_project_iam_member").items()
        if "local.member" in body["member"]
    }
    assert on_project == {"model", "notices", "records", "traces"}
    assert "condition" in of_kind("google_project_iam_member")["records"]


def test_the_deployer_may_give_every_role_that_functions_get_on_the_project() -> None:
    module = read(MODULE / "main.tf")["locals"][0]
    needed = {role for role in module["record_roles"].values() if role not in (None, "null")}
    needed |= {of_kind("google_project_iam_member")["traces"]["role"]}
    assert {role.strip('"') for role in needed} <= set(local("grantable"))
    # our own roles on the project
    own = of_kind("google_project_iam_custom_role")
    for name in (
        "asks_model",
        "exports_records",
        "pokes_phones",
    ):  # the others are given on a bucket or an account
        assert f"projects/${{var.project}}/roles/{own[name]['role_id']}" in local("grantable")


def test_our_own_roles_allow_one_thing() -> None:
    own = of_kind("google_project_iam_custom_role")
    may = {name: set(role["permissions"]) for name, role in own.items() if name != "deploys"}
    assert may == {
        "asks_model": {"aiplatform.endpoints.get", "aiplatform.endpoints.predict"},
        "deletes_photos": {"storage.objects.delete", "storage.objects.list"},
        "exports_records": {"datastore.databases.export", "datastore.databases.getMetadata"},
        "pokes_phones": {"cloudmessaging.messages.create"},
        "signs_links": {"iam.serviceAccounts.signBlob"},
    }
    # a signature as itself, never as another account
    signs = of_kind("google_service_account_iam_member")["signs"]
    assert signs["service_account_id"] == "${google_service_account.this.name}"


def test_only_accounts_reads_the_ring_of_signing_keys() -> None:
    readers = {name: row.reads_secrets for name, row in FUNCTIONS.items() if row.reads_secrets}
    assert readers == {"accounts": ("signing-keys",)}
    [given] = [
        body
        for kind, name, body in resources()
        if kind == "google_secret_manager_secret_iam_member" and name == "reads_directly"
    ]
    assert given["for_each"] == "${var.reads_secrets}"


def test_every_secret_and_topic_that_the_code_names_is_declared() -> None:
    secrets = {name for row in FUNCTIONS.values() for name in row.reads_secrets}
    assert Settings().signing_keys_secret in secrets
    from shared.hooks.fan_out import KIND as HOOKS
    from shared.products.known import named, names

    rung = {kind for name in names() for kind in named(name).rung}
    topics = {topic for row in FUNCTIONS.values() for topic in row.topics}
    assert {f"{kind}{end}" for kind in (*rung, CHECK, HOOKS) for end in ("", "-dead")} == topics


def test_every_path_of_the_description_is_in_the_table_and_every_one_of_the_table_is_described() -> (
    None
):
    files = (ROOT / "infra" / "openapi.json", *ROOT.glob("shared/products/*/openapi.json"))
    described = {path for each in files for path in json.loads(each.read_text("utf-8"))["paths"]}
    served = {path for row in FUNCTIONS.values() for path in row.paths}

    def fits(path: str, given: str) -> bool:
        return path == given or (given.endswith("/*") and path.startswith(given[:-1]))

    assert {path for path in described if not any(fits(path, given) for given in served)} == set()
    # the description does not describe itself
    unseen = {given for given in served if not any(fits(path, given) for path in described)}
    assert unseen <= {"/openapi.json", "/docs", "/console", "/console/*"}


def test_keys_are_renewed_and_kept() -> None:
    [key] = of_kind("google_kms_crypto_key").values()
    assert key["rotation_period"] == "7776000s"
    assert key["lifecycle"] == [{"prevent_destroy": True}]


def test_what_bills_by_the_hour_is_off_unless_asked_for() -> None:
    assert variables(TERRAFORM / "variables.tf")["medgemma"]["default"] in (None, "null", "${null}")
    for environment in ENVIRONMENTS:
        assert read(environment / "terraform.tfvars")["medgemma"] is None


# --- numbers become alerts (logs become numbers: test_metrics.py)


def test_every_alert_names_a_runbook_that_exists() -> None:
    named = set()
    for name in ("alerts.tf", "slo.tf"):
        named |= set(re.findall(r"infra/runbooks/[\w-]+\.md", text(name)))
    assert named
    for runbook in named:
        assert (ROOT / runbook).is_file(), runbook
    assert "channels" in text("alerts.tf")
    for name, body in of_kind("google_monitoring_alert_policy").items():
        assert body["notification_channels"] == "${local.channels}", name
        assert body["documentation"], name


# --- environments


def test_environments_differ_in_values_only() -> None:
    assert [path.name for path in ENVIRONMENTS] == ["dev", "prod"]
    shapes = [
        {path.name: set(read_values(path)) for path in sorted(environment.iterdir())}
        for environment in ENVIRONMENTS
    ]
    assert shapes[0] == shapes[1]
    assert set(shapes[0]) == {"backend.config", "terraform.tfvars"}
    assert shapes[0]["terraform.tfvars"] <= set(variables(TERRAFORM / "variables.tf"))


def read_values(path: Any) -> dict[str, Any]:
    import hcl2

    found: dict[str, Any] = {
        key: value for key, value in hcl2.loads(path.read_text("utf-8")).items() if key[:2] != "__"
    }
    return found


def test_the_example_gives_everything_that_has_no_default() -> None:
    declared = variables(TERRAFORM / "variables.tf")
    needed = {name for name, body in declared.items() if "default" not in body}
    example = text("terraform.tfvars.example")
    given = set(read_values(TERRAFORM / "terraform.tfvars.example"))
    assert needed <= given <= set(declared)
    assert set(re.findall(r"^# (\w+) +=", example, re.M)) <= set(declared)


def test_every_variable_and_output_says_what_it_is() -> None:
    for path in files():
        for kind in ("variable", "output"):
            for block in read(path).get(kind, ()):
                for name, body in block.items():
                    assert body["description"][0].isupper(), (path.name, name)


def test_variables_are_in_order() -> None:
    for path in (TERRAFORM / "variables.tf", MODULE / "variables.tf"):
        names = list(variables(path))
        assert names == sorted(names)


def test_provider_and_terraform_are_bounded() -> None:
    [block] = read(TERRAFORM / "versions.tf")["terraform"]
    assert block["required_providers"][0]["google"]["version"] == ">= 6.50, < 7.0"
    assert "gcs" in block["backend"][0]


def test_terraform_files_are_formatted() -> None:
    if shutil.which("terraform") is None:
        absent("terraform is not installed")
    done = subprocess.run(
        ["terraform", "fmt", "-check", "-recursive", "-diff", str(TERRAFORM)],
        env={**os.environ, "TF_CLI_CONFIG_FILE": os.devnull, "CHECKPOINT_DISABLE": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout


# --- where log lines are kept


def test_lines_that_name_people_stay_in_the_region() -> None:
    [exclusion] = of_kind("google_logging_project_exclusion").values()
    of_requests = local("of_requests").replace('\\"', '"')
    left_out = exclusion["filter"].replace("${local.of_requests}", of_requests).replace('\\"', '"')
    data_access = 'log_id("cloudaudit.googleapis.com/data_access")'
    assert left_out == f"{of_requests} OR {data_access}"
    assert all(f'"{kind}"' in of_requests for kind in ("cloud_run_revision", "http_load_balancer"))
    # nothing is left out that another place does not keep, and that place comes first
    sinks, buckets = (
        of_kind(f"google_logging_project_{kind}") for kind in ("sink", "bucket_config")
    )
    assert sinks["requests"]["filter"] == "${local.of_requests}"
    assert data_access in sinks["audit"]["filter"].replace('\\"', '"')
    assert {f"${{google_logging_project_sink.{name}}}" for name in sinks} == set(
        exclusion["depends_on"]
    )
    assert {bucket["location"] for bucket in buckets.values()} == {"${var.region}"}
    for name, sink in sinks.items():
        assert sink["destination"].endswith(f"${{google_logging_project_bucket_config.{name}.id}}")
    # and runbooks look where the lines are
    for path in sorted((ROOT / "infra" / "runbooks").glob("*.md")):
        for line in re.findall(r"^gcloud logging read .*", path.read_text("utf-8"), re.M):
            assert "--bucket=" in line or "cloud_scheduler_job" in line, (path.name, line)


def test_a_used_up_quota_of_the_model_is_told_and_its_drift_is_in_the_runbook() -> None:
    alert = local("alerts")["model_quota"]
    for part in ("serviceruntime.googleapis.com/quota/exceeded", "aiplatform.googleapis.com"):
        assert part in alert["filter"]
    said = (ROOT / alert["document"]).read_text("utf-8")
    assert alert["title"] in said
    kind = "google_vertex_ai_endpoint_with_model_garden_deployment"
    [name] = of_kind(kind)
    # the provider reads neither model nor replicas back: no plan brings them back either
    assert f"terraform apply -replace='{kind}.{name}[0]'" in said
