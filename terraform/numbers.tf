# Numbers for analysts in BigQuery, of what infra/numbers.sql keeps of the records: ids, times, colours and
# verdicts, no names and no texts. Off by default. docs/decisions/0016-numbers-in-bigquery.md says why an
# export fills them; docs/data-out.md how to switch them on. An owner applies the first time: the deployer may
# see that they are there, and change nothing.

locals {
  # a set, so that everything here is made or not
  numbers = toset(var.analytics == null ? [] : ["weekly"])

  numbers_apis = ["bigquery.googleapis.com", "bigquerydatatransfer.googleapis.com"]

  # The collections that the query reads: BigQuery loads exports that name theirs, and no others.
  numbers_collections = sort(distinct(regexall("kind_([a-z_]+)/", file("${path.module}/../infra/numbers.sql"))[*][0]))
}

# An export is read by BigQuery where it lies. It is of one moment, and gone before the next one comes to the
# same place: what was erased is gone from here with it.
resource "google_storage_bucket" "numbers" {
  for_each = local.numbers

  name          = "${var.project}-numbers"
  location      = var.region
  force_destroy = true

  uniform_bucket_level_access = true
  public_access_prevention    = "enforced"

  encryption {
    # No key of its own: keys refuse to be destroyed, and this may be switched off again.
    default_kms_key_name = google_kms_crypto_key.this["photos"].id
  }

  lifecycle_rule {
    action {
      type = "Delete"
    }
    condition {
      age = 2
    }
  }

  lifecycle {
    precondition {
      condition     = coalesce(var.firestore.location, var.region) == var.region
      error_message = "analytics needs the database in the region: Firestore exports to buckets where it is, and BigQuery reads them where they are."
    }
  }

  # checkov:skip=CKV_GCP_62: Data access audit logs (audit.tf) say who read what; usage logs would say less.
  # checkov:skip=CKV_GCP_78: An export is written once and deleted after two days.

  depends_on = [terraform_data.key_grants]
}

resource "google_storage_bucket_iam_member" "numbers" {
  for_each = length(local.numbers) == 0 ? {} : {
    agent   = { role = "roles/storage.admin", member = local.agents.firestore } # Firestore's agent writes the files
    starter = { role = "roles/storage.legacyBucketWriter", member = "serviceAccount:${google_service_account.numbers["export"].email}" }
    filler  = { role = "roles/storage.objectViewer", member = "serviceAccount:${google_service_account.numbers["query"].email}" }
  }

  bucket = google_storage_bucket.numbers["weekly"].name
  role   = each.value.role
  member = each.value.member
}

# Two accounts: the one that begins exports reads nothing, the one that reads them begins none.
resource "google_service_account" "numbers" {
  for_each = length(local.numbers) == 0 ? {} : {
    export = "Begins the weekly export for BigQuery"
    query  = "Fills BigQuery's numbers from an export"
  }

  account_id   = "numbers-${each.key}"
  display_name = each.value

  depends_on = [terraform_data.apis]
}

resource "google_service_account_iam_member" "numbers" {
  for_each = length(local.numbers) == 0 ? {} : {
    export = local.agents.cloudscheduler
    # made by hand before the first apply (docs/data-out.md): few deployments need it
    query = "serviceAccount:service-${data.google_project.this.number}@gcp-sa-bigquerydatatransfer.iam.gserviceaccount.com"
  }

  service_account_id = google_service_account.numbers[each.key].name
  role               = "roles/iam.serviceAccountTokenCreator"
  member             = each.value
}

resource "google_project_iam_member" "numbers" {
  for_each = length(local.numbers) == 0 ? {} : merge(
    {
      export = { role = google_project_iam_custom_role.exports_records.id, member = "serviceAccount:${google_service_account.numbers["export"].email}" }
      query  = { role = "roles/bigquery.jobUser", member = "serviceAccount:${google_service_account.numbers["query"].email}" }
    },
    { for reader in var.analytics.readers : reader => { role = "roles/bigquery.jobUser", member = reader } },
  )

  project = var.project
  role    = each.value.role
  member  = each.value.member
}

resource "google_cloud_scheduler_job" "numbers" {
  for_each = local.numbers

  name             = "export-numbers"
  description      = "Copies what analysts' numbers are made of to where BigQuery reads it."
  schedule         = "30 2 * * 0" # Sundays; the query below comes two hours later
  time_zone        = "Etc/UTC"
  attempt_deadline = "180s"

  http_target {
    uri         = "https://firestore.googleapis.com/v1/projects/${var.project}/databases/${google_firestore_database.this.name}:exportDocuments"
    http_method = "POST"
    headers     = { "Content-Type" = "application/json" }
    body = base64encode(jsonencode({
      collectionIds   = local.numbers_collections
      outputUriPrefix = "gs://${google_storage_bucket.numbers[each.key].name}/${each.key}"
    }))

    oauth_token {
      service_account_email = google_service_account.numbers["export"].email
    }
  }

  retry_config {
    retry_count          = 3
    min_backoff_duration = "60s"
  }

  depends_on = [google_project_iam_member.numbers, google_service_account_iam_member.numbers, google_storage_bucket_iam_member.numbers]
}

# `numbers` is what analysts see. `numbers_raw` has no data: it says where the export is.
resource "google_bigquery_dataset" "numbers" {
  for_each = length(local.numbers) == 0 ? {} : {
    numbers     = "Numbers of ${var.name}, without names or texts, as of the last Sunday."
    numbers_raw = "Where the last export is."
  }

  dataset_id                 = each.key
  description                = each.value
  location                   = var.region
  delete_contents_on_destroy = true

  # checkov:skip=CKV_GCP_81: The numbers have no names; Google's own encryption is enough for them.

  depends_on = [terraform_data.apis]
}

resource "google_bigquery_dataset_iam_member" "numbers" {
  for_each = length(local.numbers) == 0 ? {} : merge(
    {
      for dataset in ["numbers", "numbers_raw"] : "query ${dataset}" => {
        dataset = dataset, role = "roles/bigquery.dataEditor", member = "serviceAccount:${google_service_account.numbers["query"].email}"
      }
    },
    {
      for reader in var.analytics.readers : reader => { dataset = "numbers", role = "roles/bigquery.dataViewer", member = reader }
    },
  )

  dataset_id = google_bigquery_dataset.numbers[each.value.dataset].dataset_id
  role       = each.value.role
  member     = each.value.member
}

resource "google_bigquery_data_transfer_config" "numbers" {
  for_each = local.numbers

  display_name         = "Fills the numbers"
  data_source_id       = "scheduled_query"
  location             = var.region
  schedule             = "every sunday 04:30"
  service_account_name = google_service_account.numbers["query"].email

  params = {
    query = templatefile("${path.module}/../infra/numbers.sql", { bucket = google_storage_bucket.numbers[each.key].name })
  }

  depends_on = [
    google_bigquery_dataset_iam_member.numbers,
    google_project_iam_member.numbers,
    google_service_account_iam_member.numbers,
    google_storage_bucket_iam_member.numbers,
  ]
}

resource "google_monitoring_alert_policy" "numbers" {
  for_each = local.numbers

  display_name          = "The weekly numbers were not made"
  combiner              = "OR"
  severity              = "WARNING"
  notification_channels = local.channels

  conditions {
    display_name = "Firestore or BigQuery refused it"

    condition_matched_log {
      filter = "severity>=ERROR (resource.type=\"bigquery_dts_config\" OR (resource.type=\"cloud_scheduler_job\" resource.labels.job_id=\"${google_cloud_scheduler_job.numbers[each.key].name}\"))"
    }
  }

  alert_strategy {
    notification_rate_limit {
      period = "86400s"
    }
    auto_close = "604800s"
  }

  documentation {
    content   = "What to do: docs/data-out.md, \"When the numbers are old\""
    mime_type = "text/markdown"
  }
}
