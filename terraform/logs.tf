# Where log lines are kept. They carry ids of users and devices, so they stay in the region; `_Default`, which is
# wherever Google likes and which every viewer of the project reads, keeps what names nobody.
# Metrics count lines wherever they are kept (logging/docs/logs-based-metrics).

locals {
  # what requests write: our lines, Cloud Run's and the load balancer's own (paths and addresses)
  of_requests = "resource.type=(\"cloud_run_revision\" OR \"http_load_balancer\")"
}

resource "google_logging_project_bucket_config" "requests" {
  project        = var.project
  location       = var.region
  bucket_id      = "requests"
  description    = "What functions and the load balancer write."
  retention_days = 30

  depends_on = [terraform_data.apis]
}

resource "google_logging_project_sink" "requests" {
  name                   = "requests"
  destination            = "logging.googleapis.com/${google_logging_project_bucket_config.requests.id}"
  filter                 = local.of_requests
  unique_writer_identity = true
}

# An exclusion of the project is one of the sink `_Default`. What audit.tf keeps names people, too.
resource "google_logging_project_exclusion" "names" {
  name        = "names"
  description = "Lines with ids of users: kept in the region, in requests and audit."
  filter      = "${local.of_requests} OR log_id(\"cloudaudit.googleapis.com/data_access\")"

  # first the other place, then not here
  depends_on = [google_logging_project_sink.audit, google_logging_project_sink.requests]
}

# logging.viewer reads `_Default` alone.
resource "google_project_iam_member" "read_requests" {
  for_each = var.operators

  project = var.project
  role    = "roles/logging.viewAccessor"
  member  = each.key

  condition {
    title      = "only_requests"
    expression = "resource.name == \"projects/${var.project}/locations/${var.region}/buckets/requests/views/_AllLogs\""
  }

  depends_on = [terraform_data.apis]
}
