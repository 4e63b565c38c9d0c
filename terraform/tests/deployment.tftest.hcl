# Choices that no environment has made: plans against a provider that answers everything.
# Run: terraform init -backend=false && terraform test

mock_provider "google" {
  # Keys refuse to be destroyed, so nothing is applied here: computed values are made up in the plan.
  override_during = plan

  mock_resource "google_cloudfunctions2_function" {
    defaults = {
      service_config = { uri = "https://service.example.run.app" }
    }
  }

  mock_resource "google_service_account" {
    defaults = { email = "some@clinic.iam.gserviceaccount.com" }
  }

  mock_resource "google_project_iam_custom_role" {
    defaults = { id = "projects/clinic/roles/some" }
  }
}

variables {
  alert_emails   = ["ops@example.org"]
  environment    = "test"
  project        = "clinic"
  source_archive = "../infra/functions.yaml"
}

run "endpoint_of_our_own" {
  command = plan

  variables {
    medgemma = { accept_eula = true }
  }

  assert {
    condition     = local.settings.MODEL == "vertex" && local.settings.VERTEX_LOCATION == "europe-west4"
    error_message = "The functions ask the endpoint."
  }
}

run "endpoint_that_exists" {
  command = plan

  variables {
    model_cost  = { daily_cap = 20, million_asked = 0.5, million_answered = 2.25 }
    second_look = { endpoint = "7", red_from = 0.6 }
    settings    = { CLAIM_MINUTES = "20", MODEL_FAILURES = "3", RETENTION_DAYS = "365", UNREAD_HOURS = "48" }
    vertex      = { endpoint = "projects/p/locations/us-central1/endpoints/1", location = "us-central1", dedicated = false }
  }

  assert {
    condition     = local.settings.VERTEX_ENDPOINT == var.vertex.endpoint && local.settings.VERTEX_LOCATION == "us-central1" && local.settings.VERTEX_DEDICATED == "false"
    error_message = "The functions ask the endpoint that is there."
  }

  assert {
    condition     = local.settings.DAILY_COST_CAP == "20" && local.settings.PRICE_ASKED == "0.5" && local.settings.PRICE_ANSWERED == "2.25" && local.settings.PRICE_HOUR == "0"
    error_message = "The cap and its prices reach the functions."
  }

  assert {
    condition     = local.settings.SIGLIP_ENDPOINT == "7" && local.settings.TRIAGE_RED_FROM == "0.6" && local.settings.TRIAGE_YELLOW_FROM == "0"
    error_message = "The second look reaches the functions."
  }

  assert {
    condition     = alltrue([for name, value in var.settings : local.settings[name] == value])
    error_message = "Other settings reach the functions as they are."
  }
}

run "server_of_our_own" {
  command = plan

  variables {
    environment     = "prod"
    model_server    = { key = true, name = "google/medgemma-4b-it", url = "https://models.example.org/v1" }
    secret_versions = { model-api-key = "2" }
  }

  assert {
    condition     = local.settings.MODEL == "openai_compatible" && local.settings.MODEL_URL == "https://models.example.org/v1" && local.settings.MODEL_NAME == "google/medgemma-4b-it" && !contains(keys(local.settings), "VERTEX_ENDPOINT")
    error_message = "The functions ask the server."
  }

  assert {
    condition     = [for name, one in module.function : name if contains(one.rights, "roles/secretmanager.secretAccessor on variable MODEL_API_KEY")] == ["analyse"]
    error_message = "The analyst alone reads the server's key."
  }

  assert {
    condition     = length(google_secret_manager_secret.this["model-api-key"].rotation) == 1
    error_message = "A key that is used is to be renewed."
  }
}

run "server_without_a_key" {
  command = plan

  variables {
    model_server = { name = "m", url = "https://models.example.org/v1" }
  }

  assert {
    condition     = length([for one in module.function : one if length(regexall("MODEL_API_KEY", join(" ", one.rights))) > 0]) == 0
    error_message = "A server without a key is sent none."
  }
}

run "key_that_nobody_added" {
  command = plan

  variables {
    model_server = { key = true, name = "m", url = "https://models.example.org/v1" }
  }

  expect_failures = [var.model_server]
}

run "server_without_tls" {
  command = plan

  variables {
    model_server = { name = "m", url = "http://models.example.org/v1" }
  }

  expect_failures = [var.model_server]
}

run "two_models" {
  command = plan

  variables {
    model_server = { name = "m", url = "https://models.example.org/v1" }
    vertex       = { endpoint = "1" }
  }

  expect_failures = [var.model_server]
}

run "cap_without_prices" {
  command = plan

  variables {
    model_cost = { daily_cap = 20 }
  }

  expect_failures = [var.model_cost]
}

run "notices_by_fcm" {
  command = plan

  variables {
    notifier = "fcm"
  }

  assert {
    condition     = local.settings.NOTIFIER == "fcm" && contains(local.apis, "fcm.googleapis.com")
    error_message = "FCM is switched on."
  }

  assert {
    condition     = google_project_iam_custom_role.pokes_phones[0].permissions == toset(["cloudmessaging.messages.create"])
    error_message = "Sending is all that the role may."
  }

  assert {
    condition     = [for name, one in module.function : name if contains(one.rights, "pokesPhones")] == ["analyse", "sweeper"]
    error_message = "Those that send may send, and nobody else."
  }
}

run "setting_that_nobody_knows" {
  command = plan

  variables {
    settings = { DAILY_COST_CAPP = "20" }
  }

  expect_failures = [var.settings]
}

run "setting_of_another_variable" {
  command = plan

  variables {
    settings = { NOTIFIER = "fcm" }
  }

  expect_failures = [var.settings]
}

run "secret_as_a_setting" {
  command = plan

  variables {
    settings = { PAGE_SECRET = "for all to read" }
  }

  expect_failures = [var.settings]
}

run "setting_for_tests" {
  command = plan

  variables {
    settings = { KILL_FOLDER = "/tmp" }
  }

  expect_failures = [var.settings]
}

run "terms_not_accepted" {
  command = plan

  variables {
    medgemma = { accept_eula = false }
  }

  expect_failures = [var.medgemma]
}

run "a_branch_and_a_tag" {
  command = plan

  variables {
    trigger = { approval = true, branch = "main", tag = "v1", repository = "r" }
  }

  expect_failures = [var.trigger]
}
