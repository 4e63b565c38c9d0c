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

run "numbers_for_analysts" {
  command = plan

  variables {
    analytics = { readers = ["group:analysts@example.org"] }
  }

  assert {
    condition     = length([for name in local.numbers_apis : name if contains(local.apis, name)]) == 2
    error_message = "BigQuery is switched on."
  }

  assert {
    condition     = join(" ", jsondecode(base64decode(google_cloud_scheduler_job.numbers["weekly"].http_target[0].body)).collectionIds) == "blobs cases diagnoses files"
    error_message = "What the query reads is exported, and no patient."
  }

  assert {
    condition     = { for key, one in google_bigquery_dataset_iam_member.numbers : key => "${one.dataset_id} ${one.role}" if one.member == "group:analysts@example.org" } == { "group:analysts@example.org" = "numbers roles/bigquery.dataViewer" }
    error_message = "Analysts read the numbers, and nothing else."
  }

  assert {
    condition     = google_storage_bucket.numbers["weekly"].location == upper(var.region) || google_storage_bucket.numbers["weekly"].location == var.region
    error_message = "Firestore exports to where it is, and BigQuery reads where it is."
  }
}

run "numbers_of_another_place" {
  command = plan

  variables {
    analytics = {}
    firestore = { location = "europe-west3" }
  }

  expect_failures = [google_storage_bucket.numbers]
}

run "photos" {
  command = plan

  variables {
    allowed_origins = ["https://review.example.org", "https://desk.example.org"]
    load_balancer   = { domain = "api.example.org" }
    operators       = ["group:ops@example.org"]
    settings        = { UPLOAD_DAYS = "90" }
  }

  assert {
    condition     = [for one in values(google_storage_bucket_iam_member.operators) : "${one.member} ${one.role}"] == ["group:ops@example.org ${google_project_iam_custom_role.deletes_photos.id}"]
    error_message = "Operators can delete photos, and read none."
  }

  assert {
    condition = module.function["files"].rights == sort([
      "deletesPhotos that come in",
      "roles/cloudtrace.agent on project",
      "roles/datastore.user on records",
      "roles/pubsub.publisher on topic analyse",
      "roles/pubsub.publisher on topic hooks",
      "roles/pubsub.publisher on topic images",
      "roles/storage.objectCreator on photos",
      "roles/storage.objectViewer on photos",
      "signsLinks on itself",
    ])
    error_message = "files takes photos in, removes pieces that are of no use, signs links, and rings."
  }

  assert {
    condition = module.function["images"].rights == sort([
      "roles/cloudtrace.agent on project",
      "roles/datastore.user on records",
      "roles/pubsub.publisher on topic analyse",
      "roles/pubsub.publisher on topic hooks",
      "roles/pubsub.publisher on topic images",
      "roles/storage.objectCreator on photos",
      "roles/storage.objectViewer on photos",
    ])
    error_message = "images reads what came in, keeps what it made of it, and deletes nothing."
  }

  assert {
    condition = alltrue([
      for name, one in module.function :
      [for right in one.rights : right if length(regexall("on photos|Photos|signsLinks", right)) > 0] == lookup({
        analyse = ["roles/storage.objectViewer on photos"]
        console = ["roles/storage.objectCreator on photos", "roles/storage.objectViewer on photos", "signsLinks on itself"]
        review  = ["deletesPhotos that come in", "roles/storage.objectCreator on photos", "roles/storage.objectViewer on photos", "signsLinks on itself"]
        sweeper = ["deletesPhotos"]
      }, name, [])
      if !contains(["files", "images"], name)
    ])
    error_message = "Of the others, analyse, console and review read, console and review add, review and sweeper remove, and nobody else comes near."
  }

  assert {
    condition     = google_project_iam_custom_role.deletes_photos.permissions == toset(["storage.objects.delete", "storage.objects.list"])
    error_message = "Who tidies up reads nothing and writes over nothing."
  }

  assert {
    condition     = length(google_pubsub_subscription.jobs["images"].dead_letter_policy) == 1
    error_message = "Checks of photos have dead letters."
  }

  assert {
    condition = (
      output.api_urls["/api/v1/files/*"] == "https://api.example.org" &&
      contains(keys(google_compute_backend_service.functions), "files")
    )
    error_message = "Photos are behind the one host."
  }

  assert {
    condition     = local.settings.FILE_STORE == "gcs" && local.settings.FILES_BUCKET == google_storage_bucket.photos.name
    error_message = "The functions are told the bucket that is made."
  }

  assert {
    condition     = local.settings.CORS_ORIGINS == "https://review.example.org,https://desk.example.org" && google_storage_bucket.photos.cors[0].origin == var.allowed_origins
    error_message = "Web apps are let in at the API and at the bucket."
  }

  assert {
    condition     = [for rule in google_storage_bucket.photos.lifecycle_rule : one(rule.condition).age if one(rule.action).type == "Delete" && one(rule.condition).with_state == "LIVE"] == [120]
    error_message = "No piece is deleted while its upload may rest."
  }
}

run "uploads_rest_as_usual" {
  command = plan

  assert {
    condition     = [for rule in google_storage_bucket.photos.lifecycle_rule : one(rule.condition).age if one(rule.action).type == "Delete" && one(rule.condition).with_state == "LIVE"] == [37]
    error_message = "The default of .env.example counts."
  }

  assert {
    condition     = !contains(keys(local.settings), "CORS_ORIGINS") && length(google_storage_bucket.photos.cors) == 0
    error_message = "Without web apps no browser is let in."
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
