# Secrets of infra/functions.yaml in Secret Manager. Values are in no state and no plan. The first one of
# those that become variables is random, so that functions can start; later ones, and those that come
# from outside, are added with gcloud and chosen by `secret_versions` (infra/runbooks/key-rotation.md).
# What functions read themselves (`reads_secrets`) has no value until an owner makes it: the ring of
# signing keys is made by `python -m infra.cli keys rotate`.

locals {
  # become variables of functions
  variables = toset(flatten([for row in local.functions : values(row.secrets)]))
  # are read by the function itself, always the newest version
  read_directly = toset(flatten([for row in local.functions : try(row.reads_secrets, [])]))

  secrets = setunion(local.variables, local.read_directly)

  # Those that this deployment uses. The key of a model's server is kept ready, but is nobody's business
  # until there is one.
  used = setunion(local.read_directly, toset(flatten([for secrets in local.secrets_of : values(secrets)])))
}

resource "google_secret_manager_secret" "this" {
  for_each = local.secrets

  secret_id           = each.key
  deletion_protection = var.deletion_protection

  replication {
    user_managed {
      replicas {
        location = var.region

        customer_managed_encryption {
          kms_key_name = google_kms_crypto_key.this["secrets"].id
        }
      }
    }
  }

  # Secret Manager renews nothing by itself: it publishes a reminder, and an alert fires on it.
  dynamic "rotation" {
    for_each = contains(local.used, each.key) ? [var.secret_days] : []

    content {
      rotation_period    = "${rotation.value * 86400}s"
      next_rotation_time = timeadd(plantimestamp(), "${rotation.value * 24}h")
    }
  }

  topics {
    name = google_pubsub_topic.secret_age.id
  }

  lifecycle {
    # Secret Manager moves it on by itself.
    ignore_changes = [rotation[0].next_rotation_time]
  }

  depends_on = [
    terraform_data.key_grants,
    google_pubsub_topic_iam_member.secret_age,
  ]
}

resource "google_secret_manager_secret_version" "first" {
  for_each = local.variables

  secret = google_secret_manager_secret.this[each.key].id

  # Write-only: sent once, stored nowhere else. Two uuids are 244 random bits.
  secret_data_wo         = "${uuid()}${uuid()}"
  secret_data_wo_version = 1

  # Page tokens and sessions of a living system may still depend on it.
  deletion_policy = "DISABLE"
}

resource "google_pubsub_topic" "secret_age" {
  name         = "secret-age"
  kms_key_name = google_kms_crypto_key.this["queue"].id

  message_storage_policy {
    allowed_persistence_regions = [var.region]
  }

  depends_on = [terraform_data.key_grants]
}

resource "google_pubsub_topic_iam_member" "secret_age" {
  topic  = google_pubsub_topic.secret_age.id
  role   = "roles/pubsub.publisher"
  member = local.agents.secretmanager
}

# Nobody takes these messages but an operator, by hand: that they are there is the alert.
resource "google_pubsub_subscription" "secret_age" {
  name                       = "secret-age"
  topic                      = google_pubsub_topic.secret_age.id
  ack_deadline_seconds       = 60
  message_retention_duration = "2678400s"

  expiration_policy {
    ttl = ""
  }

  retry_policy {
    minimum_backoff = "10s"
    maximum_backoff = "600s"
  }
}
