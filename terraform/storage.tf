# Buckets: photos, and the functions' source. No bucket is public, and none has access lists of its own.

resource "google_storage_bucket" "photos" {
  name          = "${var.project}-photos"
  location      = var.region
  force_destroy = !var.deletion_protection

  uniform_bucket_level_access = true
  public_access_prevention    = "enforced"

  encryption {
    default_kms_key_name = google_kms_crypto_key.this["photos"].id
  }

  versioning {
    enabled = true
  }

  # What was deleted or overwritten can be taken back for 30 days, then it is gone for good.
  soft_delete_policy {
    retention_duration_seconds = 604800
  }

  lifecycle_rule {
    action {
      type = "Delete"
    }
    condition {
      days_since_noncurrent_time = 30
      with_state                 = "ARCHIVED"
    }
  }

  # incoming/ is where phones upload to; what passed its checks is under originals/ and derivatives/, and
  # stays. Parts of uploads that a phone never finished:
  lifecycle_rule {
    action {
      type = "AbortIncompleteMultipartUpload"
    }
    condition {
      age            = 2
      matches_prefix = ["incoming/"]
    }
  }

  # Whole uploads that nobody took. The application clears them much sooner; this is for what it forgot,
  # and as late as an outage may last. A deleted version stays for another 30 days.
  lifecycle_rule {
    action {
      type = "Delete"
    }
    condition {
      age            = 30
      matches_prefix = ["incoming/"]
      with_state     = "LIVE"
    }
  }

  # A photo is looked at in its first weeks, if at all.
  lifecycle_rule {
    action {
      type          = "SetStorageClass"
      storage_class = "NEARLINE"
    }
    condition {
      age = 90
    }
  }

  dynamic "cors" {
    for_each = length(var.allowed_origins) > 0 ? [var.allowed_origins] : []

    content {
      origin          = cors.value
      method          = ["GET", "POST", "PUT"]
      response_header = ["Content-Range", "Content-Type", "Location", "Range", "x-goog-content-length-range", "x-goog-if-generation-match", "x-goog-resumable"]
      max_age_seconds = 3600
    }
  }

  # checkov:skip=CKV_GCP_62: Data access audit logs (audit.tf) say who read what; usage logs would say less.

  depends_on = [google_kms_crypto_key_iam_member.agents]
}

resource "google_storage_bucket" "source" {
  name          = "${var.project}-source"
  location      = var.region
  force_destroy = true

  uniform_bucket_level_access = true
  public_access_prevention    = "enforced"

  encryption {
    default_kms_key_name = google_kms_crypto_key.this["build"].id
  }

  versioning {
    enabled = true
  }

  lifecycle_rule {
    action {
      type = "Delete"
    }
    condition {
      days_since_noncurrent_time = var.artifact_days
    }
  }

  # checkov:skip=CKV_GCP_62: It holds source code; audit logs say who changed it.

  depends_on = [google_kms_crypto_key_iam_member.agents]
}

# The name is the content's hash: the same commit is the same object, so a plan after apply is empty,
# and another content deploys. An old release's archive stays as a noncurrent version.
resource "google_storage_bucket_object" "source" {
  bucket = google_storage_bucket.source.name
  name   = "functions/${filesha256(var.source_archive)}.zip"
  source = var.source_archive

  # The functions read the old one until they have the new.
  lifecycle {
    create_before_destroy = true
  }
}
