# Buckets: photos, and the functions' source. No bucket is public, and none has access lists of its own.

locals {
  # A value, not the resource's: the settings name it too.
  photo_bucket = "${var.project}-photos"
}

resource "google_storage_bucket" "photos" {
  name          = local.photo_bucket
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

  # What was deleted can be taken back for 30 days as an older version, and for 7 more as soft-deleted; then
  # it is gone for good.
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

  # incoming/ holds pieces of uploads; what passed its checks is under originals/ and derived/, and stays.
  # The sweeper removes pieces when the file is checked, or when UPLOAD_DAYS have passed since the last one;
  # this is for what it forgot, and as late as an outage may last. A piece may be older than the last one: an
  # upload that goes on for longer than this is sent again (`upload_lost`).
  lifecycle_rule {
    action {
      type = "Delete"
    }
    condition {
      age            = local.upload_days + 30
      matches_prefix = ["incoming/"]
      with_state     = "LIVE"
    }
  }

  # Nobody takes back a piece: the whole file was checked, or the phone sends it again.
  lifecycle_rule {
    action {
      type = "Delete"
    }
    condition {
      days_since_noncurrent_time = 1
      matches_prefix             = ["incoming/"]
      with_state                 = "ARCHIVED"
    }
  }

  # Of the application's own making there are none: uploads in parts of the XML interface.
  lifecycle_rule {
    action {
      type = "AbortIncompleteMultipartUpload"
    }
    condition {
      age = 2
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
      origin = cors.value
      # Links are followed, and sessions sent to; they are begun by the function `files`.
      method          = ["GET", "PUT"]
      response_header = ["Content-Disposition", "Content-Range", "Content-Type", "Range"]
      max_age_seconds = 3600
    }
  }

  # checkov:skip=CKV_GCP_62: Data access audit logs (audit.tf) say who read what; usage logs would say less.

  depends_on = [terraform_data.key_grants]
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

  depends_on = [terraform_data.key_grants]
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
