# Plans against a provider that answers everything: what is there in which deployment.
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
  settings       = { TOKEN_JWKS = "{}" }
  source_archive = "../infra/functions.yaml"
}

run "small_site" {
  command = plan

  assert {
    condition     = length(google_compute_global_forwarding_rule.https) == 0 && output.base_url == null
    error_message = "A small site has no load balancer."
  }

  assert {
    condition     = length(google_vertex_ai_endpoint_with_model_garden_deployment.medgemma) == 0
    error_message = "An endpoint that bills by the hour must be asked for."
  }

  assert {
    condition     = length(module.function) == length(local.functions)
    error_message = "Every row of the table is a function."
  }

  assert {
    condition     = length(setsubtract(keys(local.public), [for name, one in module.function : name if one.caller == null])) == 0
    error_message = "Public functions have no caller of their own."
  }

  assert {
    condition     = length(output.api_urls) == length(flatten([for row in local.public : row.paths]))
    error_message = "Every public path has a URL."
  }

  assert {
    condition     = local.settings.MODEL == "scripted"
    error_message = "Without an endpoint the scripted model answers."
  }
}

run "one_host" {
  command = plan

  variables {
    load_balancer = { domain = "api.example.org" }
  }

  assert {
    condition     = output.base_url == "https://api.example.org" && alltrue([for url in values(output.api_urls) : url == output.base_url])
    error_message = "All paths are behind one host."
  }

  assert {
    condition     = length(google_compute_backend_service.functions) == length(local.public)
    error_message = "Exactly the public functions are behind the host."
  }
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
