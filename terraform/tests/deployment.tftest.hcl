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
