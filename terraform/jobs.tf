# Doorbells: a topic per job kind with its dead letters, push subscriptions, and the sweeper's minute.
# Jobs themselves are in the record store; a lost message costs a minute, not a job.

resource "google_pubsub_topic" "jobs" {
  for_each = local.topics

  name         = each.key
  kms_key_name = google_kms_crypto_key.this["queue"].id

  message_storage_policy {
    allowed_persistence_regions = [var.region]
  }

  depends_on = [terraform_data.key_grants]
}

resource "google_pubsub_subscription" "jobs" {
  for_each = local.topics

  name  = each.key
  topic = google_pubsub_topic.jobs[each.key].id

  # Also how long a push may take, so never less than the function's own timeout.
  ack_deadline_seconds       = local.functions[each.value].ack_deadline_seconds
  message_retention_duration = "604800s"

  push_config {
    # The functions framework reads the topic out of the path.
    push_endpoint = "${module.function[each.value].uri}/${google_pubsub_topic.jobs[each.key].id}"

    oidc_token {
      service_account_email = module.function[each.value].caller
      audience              = module.function[each.value].uri
    }
  }

  retry_policy {
    minimum_backoff = "${local.functions[each.value].min_backoff_seconds}s"
    maximum_backoff = "${local.functions[each.value].max_backoff_seconds}s"
  }

  # A dead letter that cannot be handled is tried for seven days, and an alert says so.
  dynamic "dead_letter_policy" {
    for_each = endswith(each.key, "-dead") ? [] : ["${each.key}-dead"]

    content {
      dead_letter_topic     = google_pubsub_topic.jobs[dead_letter_policy.value].id
      max_delivery_attempts = local.functions[each.value].max_delivery_attempts
    }
  }

  # Never: a quiet month must not delete it.
  expiration_policy {
    ttl = ""
  }

  lifecycle {
    precondition {
      condition     = local.functions[each.value].ack_deadline_seconds > local.functions[each.value].timeout_seconds
      error_message = "A push must be allowed to take longer than the function."
    }
  }
}

# Pub/Sub itself moves dead letters: it takes them from the subscription and publishes them.
resource "google_pubsub_subscription_iam_member" "dead_letters" {
  for_each = local.kinds

  subscription = google_pubsub_subscription.jobs[each.key].id
  role         = "roles/pubsub.subscriber"
  member       = local.agents.pubsub
}

resource "google_pubsub_topic_iam_member" "dead_letters" {
  for_each = local.kinds

  topic  = google_pubsub_topic.jobs["${each.key}-dead"].id
  role   = "roles/pubsub.publisher"
  member = local.agents.pubsub
}

resource "google_cloud_scheduler_job" "this" {
  for_each = local.timed

  name             = each.key
  description      = each.value.description
  schedule         = each.value.schedule
  time_zone        = "Etc/UTC"
  attempt_deadline = "${each.value.timeout_seconds}s"

  http_target {
    uri         = "${module.function[each.key].uri}/"
    http_method = "POST"

    oidc_token {
      service_account_email = module.function[each.key].caller
      audience              = module.function[each.key].uri
    }
  }

  # The next round comes in any case.
  retry_config {
    retry_count = 0
  }
}
