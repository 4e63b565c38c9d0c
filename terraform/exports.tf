# A copy of the records that outlives the region. Backups do not: they are stored where the database is, and
# are restored into the same project and location only. An export is files, which any database may import.
#
# Firestore exports to "buckets spanning" its own location and to no other: the same region, or the
# multi-region of its continent. So the copy is in a multi-region, and is read where the other region is.
# Where Cloud Storage has no multi-region (Africa, Australia, South America, the Middle East) there is none,
# and infra/runbooks/region-outage.md says what that means.

locals {
  # the first word of a region → where its continent's buckets and keys are
  continents = {
    asia   = { buckets = "ASIA", keys = "asia" }
    europe = { buckets = "EU", keys = "europe" }
    us     = { buckets = "US", keys = "us" }
  }
  continent = lookup(local.continents, split("-", var.region)[0], null)

  exports = toset(var.backup.export_schedule == "" || local.continent == null ? [] : ["records"])
}

# A key of the region would be out of reach with it. The key itself is in keys.tf.
resource "google_kms_key_ring" "exports" {
  for_each = local.exports

  name     = "${var.name}-exports"
  location = local.continent.keys

  depends_on = [terraform_data.apis]
}

resource "google_storage_bucket" "exports" {
  for_each = local.exports

  name          = "${var.project}-exports"
  location      = local.continent.buckets
  force_destroy = !var.deletion_protection

  uniform_bucket_level_access = true
  public_access_prevention    = "enforced"

  encryption {
    default_kms_key_name = google_kms_crypto_key.this["exports"].id
  }

  # What was erased is gone from here, too, when the last export with it is.
  lifecycle_rule {
    action {
      type = "Delete"
    }
    condition {
      age = var.backup.export_days
    }
  }

  # checkov:skip=CKV_GCP_62: Data access audit logs (audit.tf) say who read what; usage logs would say less.
  # checkov:skip=CKV_GCP_78: Each export has a name of its own; nothing is written over.

  depends_on = [terraform_data.key_grants]
}

# Firestore's agent writes the files.
resource "google_storage_bucket_iam_member" "exports" {
  for_each = {
    for who in ["agent", "starter"] : who => {
      role   = who == "agent" ? "roles/storage.admin" : "roles/storage.legacyBucketWriter"
      member = who == "agent" ? local.agents.firestore : "serviceAccount:${google_service_account.exports["records"].email}"
    } if length(local.exports) > 0
  }

  bucket = google_storage_bucket.exports["records"].name
  role   = each.value.role
  member = each.value.member
}

# datastore.importExportAdmin may import, too, and so write over records.
resource "google_project_iam_custom_role" "exports_records" {
  role_id     = "exportsRecords"
  title       = "Exports records"
  description = "Begins exports of the database, and imports nothing."
  permissions = ["datastore.databases.export", "datastore.databases.getMetadata"]

  depends_on = [terraform_data.apis]
}

resource "google_service_account" "exports" {
  for_each = local.exports

  account_id   = "exports-${each.key}"
  display_name = "Begins the daily export"

  depends_on = [terraform_data.apis]
}

resource "google_project_iam_member" "exports" {
  for_each = local.exports

  project = var.project
  role    = google_project_iam_custom_role.exports_records.id
  member  = "serviceAccount:${google_service_account.exports[each.key].email}"
}

resource "google_service_account_iam_member" "exports" {
  for_each = length(local.exports) == 0 ? {} : {
    "roles/iam.serviceAccountTokenCreator" = local.agents.cloudscheduler
    "roles/iam.serviceAccountUser"         = "serviceAccount:${google_service_account.deploy.email}"
  }

  service_account_id = google_service_account.exports["records"].name
  role               = each.key
  member             = each.value
}

resource "google_cloud_scheduler_job" "exports" {
  for_each = local.exports

  name             = "export-${each.key}"
  description      = "Copies all records to a place that outlives the region."
  schedule         = var.backup.export_schedule
  time_zone        = "Etc/UTC"
  attempt_deadline = "180s"

  http_target {
    uri         = "https://firestore.googleapis.com/v1/projects/${var.project}/databases/${google_firestore_database.this.name}:exportDocuments"
    http_method = "POST"
    headers     = { "Content-Type" = "application/json" }
    # Without a path each export gets a name of its own: its time.
    body = base64encode(jsonencode({ outputUriPrefix = "gs://${google_storage_bucket.exports[each.key].name}" }))

    oauth_token {
      service_account_email = google_service_account.exports[each.key].email
    }
  }

  # It only begins the export; to begin it twice is a copy too many.
  retry_config {
    retry_count          = 3
    min_backoff_duration = "60s"
  }

  depends_on = [google_storage_bucket_iam_member.exports, google_project_iam_member.exports]
}

# That an export begins is seen by its schedule; that it ended, by the drill of the runbook.
resource "google_monitoring_alert_policy" "exports" {
  for_each = local.exports

  display_name          = "The daily export did not begin"
  combiner              = "OR"
  severity              = "ERROR"
  notification_channels = local.channels

  conditions {
    display_name = "Firestore refused it"

    condition_matched_log {
      filter = "resource.type=\"cloud_scheduler_job\" resource.labels.job_id=\"${google_cloud_scheduler_job.exports[each.key].name}\" severity>=ERROR"
    }
  }

  alert_strategy {
    notification_rate_limit {
      period = "86400s"
    }
    auto_close = "604800s"
  }

  documentation {
    content   = "What to do: infra/runbooks/region-outage.md"
    mime_type = "text/markdown"
  }
}

check "exports" {
  assert {
    condition     = var.environment != "prod" || length(local.exports) > 0
    error_message = "No copy of the records outlives the region: infra/runbooks/region-outage.md, \"Without exports\"."
  }
}
