# Who is told of what. Every alert names the runbook that answers it.

locals {
  channels = [for channel in google_monitoring_notification_channel.email : channel.id]

  subscription = "resource.type=\"pubsub_subscription\" AND"
  by_log       = "resource.type=\"cloud_run_revision\" AND metric.type=\"logging.googleapis.com/user"

  # name → what is measured, aligned over the period, and above which value it alerts.
  # hold: how long it must stay above.
  alerts = {
    dead_letters = {
      title    = "A doorbell became a dead letter"
      filter   = "${local.by_log}/${google_logging_metric.counted["dead_letters"].name}\""
      aligner  = "ALIGN_SUM", reducer = "REDUCE_SUM", period = "300s"
      above    = 0, hold = "0s", severity = "WARNING"
      document = "infra/runbooks/dead-letters.md"
    }
    dead_letters_wait = {
      title    = "Dead letters are not taken"
      filter   = "${local.subscription} metric.type=\"pubsub.googleapis.com/subscription/oldest_unacked_message_age\" AND resource.label.subscription_id=monitoring.regex.full_match(\".*-dead\")"
      aligner  = "ALIGN_MAX", reducer = "REDUCE_MAX", period = "60s"
      above    = 1800, hold = "300s", severity = "ERROR"
      document = "infra/runbooks/dead-letters.md"
    }
    bells_not_understood = {
      title    = "A doorbell cannot be read"
      filter   = "${local.by_log}/${google_logging_metric.counted["bells_not_understood"].name}\""
      aligner  = "ALIGN_SUM", reducer = "REDUCE_SUM", period = "300s"
      above    = 0, hold = "0s", severity = "WARNING"
      document = "infra/runbooks/dead-letters.md"
    }
    oldest_message = {
      title    = "Doorbells wait for more than 20 minutes"
      filter   = "${local.subscription} metric.type=\"pubsub.googleapis.com/subscription/oldest_unacked_message_age\" AND resource.label.subscription_id=one_of(${join(", ", [for kind in local.kinds : "\"${kind}\""])})"
      aligner  = "ALIGN_MAX", reducer = "REDUCE_MAX", period = "60s"
      above    = 1200, hold = "300s", severity = "ERROR"
      document = "infra/runbooks/ai-endpoint-down.md"
    }
    jobs_parked = {
      title    = "A job is parked: no attempts left"
      filter   = "${local.by_log}/${google_logging_metric.counted["jobs_parked"].name}\""
      aligner  = "ALIGN_SUM", reducer = "REDUCE_SUM", period = "300s"
      above    = 0, hold = "0s", severity = "WARNING"
      document = "infra/runbooks/dead-letters.md"
    }
    hooks_disabled = {
      title    = "An endpoint of another system is disabled: it is gone, or failed for days"
      filter   = "${local.by_log}/${google_logging_metric.counted["hooks_disabled"].name}\""
      aligner  = "ALIGN_SUM", reducer = "REDUCE_SUM", period = "300s"
      above    = 0, hold = "0s", severity = "WARNING"
      document = "infra/runbooks/dead-letters.md"
    }
    # Of endpoints: hooks_disabled tells.
    jobs_failed = {
      title    = "Jobs fail: the model's answers cannot be used, again and again"
      filter   = "${local.by_log}/${google_logging_metric.counted["jobs_failed"].name}\" AND metric.label.kind!=\"hooks\""
      aligner  = "ALIGN_SUM", reducer = "REDUCE_SUM", period = "3600s"
      above    = 3, hold = "0s", severity = "ERROR"
      document = "infra/runbooks/ai-endpoint-down.md"
    }
    # The sweeper says every minute how old the oldest job is that it rings for.
    red_case_waits = {
      title    = "A job has been waiting for more than half an hour"
      filter   = "${local.by_log}/${google_logging_metric.measured["sweep_oldest_ms"].name}\""
      aligner  = "ALIGN_PERCENTILE_99", reducer = "REDUCE_MAX", period = "300s"
      above    = 1800000, hold = "0s", severity = "ERROR"
      document = "infra/runbooks/ai-endpoint-down.md"
    }
    diagnoses_unread = {
      title    = "Diagnoses do not reach the health workers who wait for them"
      filter   = "${local.by_log}/${google_logging_metric.measured["sweep_unread"].name}\""
      aligner  = "ALIGN_PERCENTILE_99", reducer = "REDUCE_MAX", period = "3600s"
      above    = 6, hold = "0s", severity = "WARNING" # six lie in the bucket from 6 on, five in the one below
      document = "infra/runbooks/phone-does-not-sync.md"
    }
    deployments_at_fault = {
      title    = "The model's address, name, key or permission is wrong: red cases wait"
      filter   = "${local.by_log}/${google_logging_metric.counted["deployments_at_fault"].name}\""
      aligner  = "ALIGN_SUM", reducer = "REDUCE_SUM", period = "300s"
      above    = 0, hold = "0s", severity = "ERROR"
      document = "infra/runbooks/ai-endpoint-down.md"
    }
    model_rests = {
      title    = "The model failed several times in a row and is left alone"
      filter   = "${local.by_log}/${google_logging_metric.counted["model_rests"].name}\""
      aligner  = "ALIGN_SUM", reducer = "REDUCE_SUM", period = "300s"
      above    = 0, hold = "0s", severity = "WARNING"
      document = "infra/runbooks/ai-endpoint-down.md"
    }
    daily_cap_reached = {
      title    = "The day's budget for the model is used up: red cases wait"
      filter   = "${local.by_log}/${google_logging_metric.counted["daily_cap_reached"].name}\""
      aligner  = "ALIGN_SUM", reducer = "REDUCE_SUM", period = "300s"
      above    = 0, hold = "0s", severity = "WARNING"
      document = "infra/runbooks/cost-spike.md"
    }
    notices_not_sent = {
      title    = "Phones are not told"
      filter   = "${local.by_log}/${google_logging_metric.counted["notices_not_sent"].name}\""
      aligner  = "ALIGN_SUM", reducer = "REDUCE_SUM", period = "300s"
      above    = 5, hold = "300s", severity = "WARNING"
      document = "infra/runbooks/ai-endpoint-down.md"
    }
    red_case_refused = {
      title    = "A red case was refused"
      filter   = "${local.by_log}/${google_logging_metric.counted["red_case_refused"].name}\""
      aligner  = "ALIGN_SUM", reducer = "REDUCE_SUM", period = "300s"
      above    = 0, hold = "0s", severity = "CRITICAL"
      document = "infra/runbooks/phone-does-not-sync.md"
    }
    # A single one is a phone's affair, which sends it again or tells its owner. Many are an app's, or ours.
    photos_refused = {
      title    = "Photos are refused"
      filter   = "${local.by_log}/${google_logging_metric.counted["files_refused"].name}\""
      aligner  = "ALIGN_SUM", reducer = "REDUCE_SUM", period = "3600s"
      above    = 20, hold = "0s", severity = "WARNING"
      document = "infra/runbooks/phone-does-not-sync.md"
    }
    server_errors = {
      title    = "Functions answer with 5xx"
      filter   = "resource.type=\"cloud_run_revision\" AND metric.type=\"run.googleapis.com/request_count\" AND metric.label.response_code_class=\"5xx\""
      aligner  = "ALIGN_SUM", reducer = "REDUCE_SUM", period = "300s"
      above    = 10, hold = "300s", severity = "ERROR"
      document = "infra/runbooks/roll-back.md"
    }
    crashes = {
      title    = "A request crashed: a fault in the code"
      filter   = "${local.by_log}/${google_logging_metric.counted["request_crashed"].name}\""
      aligner  = "ALIGN_SUM", reducer = "REDUCE_SUM", period = "300s"
      above    = 0, hold = "0s", severity = "ERROR"
      document = "infra/runbooks/roll-back.md"
    }
    # What asks such a query gets 503 until the index is there; nothing else sees it before a phone does.
    index_missing = {
      title    = "A query has no index: what asks it is answered 503"
      filter   = "${local.by_log}/${google_logging_metric.counted["index_missing"].name}\""
      aligner  = "ALIGN_SUM", reducer = "REDUCE_SUM", period = "300s"
      above    = 0, hold = "0s", severity = "ERROR"
      document = "infra/runbooks/roll-back.md"
    }
    # Graphics processors for a replica above all: without one MedGemma is not deployed, or does not grow.
    model_quota = {
      title    = "A quota of Vertex AI is used up"
      filter   = "resource.type=\"consumer_quota\" AND resource.label.service=\"aiplatform.googleapis.com\" AND metric.type=\"serviceruntime.googleapis.com/quota/exceeded\""
      aligner  = "ALIGN_COUNT_TRUE", reducer = "REDUCE_SUM", period = "300s"
      above    = 0, hold = "0s", severity = "WARNING"
      document = "infra/runbooks/ai-endpoint-down.md"
    }
    queue_unavailable = {
      title    = "Pub/Sub does not take doorbells"
      filter   = "${local.by_log}/${google_logging_metric.counted["queue_unavailable"].name}\""
      aligner  = "ALIGN_SUM", reducer = "REDUCE_SUM", period = "300s"
      above    = 5, hold = "300s", severity = "WARNING"
      document = "infra/runbooks/dead-letters.md"
    }
    # The reminders that Secret Manager publishes (secrets.tf); taking them ends the alert.
    secret_age = {
      title    = "A secret is due for renewal"
      filter   = "${local.subscription} metric.type=\"pubsub.googleapis.com/subscription/num_undelivered_messages\" AND resource.label.subscription_id=\"${google_pubsub_subscription.secret_age.name}\""
      aligner  = "ALIGN_MAX", reducer = "REDUCE_MAX", period = "300s"
      above    = 0, hold = "0s", severity = "WARNING"
      document = "infra/runbooks/key-rotation.md"
    }
  }

  # Where the public functions answer.
  host = var.load_balancer == null ? trimprefix(module.function["status"].uri, "https://") : var.load_balancer.domain
}

resource "google_monitoring_notification_channel" "email" {
  for_each = var.alert_emails

  display_name = each.key
  type         = "email"
  labels       = { email_address = each.key }

  depends_on = [terraform_data.apis]
}

resource "google_monitoring_alert_policy" "this" {
  for_each = local.alerts

  display_name          = each.value.title
  combiner              = "OR"
  severity              = each.value.severity
  notification_channels = local.channels

  conditions {
    display_name = each.value.title

    condition_threshold {
      filter          = each.value.filter
      comparison      = "COMPARISON_GT"
      threshold_value = each.value.above
      duration        = each.value.hold

      aggregations {
        alignment_period     = each.value.period
        per_series_aligner   = each.value.aligner
        cross_series_reducer = each.value.reducer
      }
    }
  }

  documentation {
    content   = "What to do: ${each.value.document}"
    mime_type = "text/markdown"
  }

  depends_on = [terraform_data.metrics]
}

# The sweeper runs every minute. If it is silent, jobs wait for bells that nobody rings.
resource "google_monitoring_alert_policy" "sweeper" {
  display_name          = "The sweeper is silent"
  combiner              = "OR"
  severity              = "ERROR"
  notification_channels = local.channels

  conditions {
    display_name = "No round in ten minutes"

    condition_absent {
      filter   = "resource.type=\"cloud_run_revision\" AND resource.label.service_name=\"${module.function["sweeper"].service}\" AND metric.type=\"run.googleapis.com/request_count\" AND metric.label.response_code_class=\"2xx\""
      duration = "600s"

      aggregations {
        alignment_period     = "60s"
        per_series_aligner   = "ALIGN_SUM"
        cross_series_reducer = "REDUCE_SUM"
      }
    }
  }

  documentation {
    content   = "What to do: infra/runbooks/dead-letters.md"
    mime_type = "text/markdown"
  }
}

resource "google_monitoring_uptime_check_config" "public" {
  for_each = { health = "/health", ready = "/ready" }

  display_name = each.key
  timeout      = "10s"
  period       = "300s"

  http_check {
    path         = each.value
    port         = 443
    use_ssl      = true
    validate_ssl = true
  }

  monitored_resource {
    type   = "uptime_url"
    labels = { project_id = var.project, host = local.host }
  }

  # A changed host makes a new check; the alert goes over to it before the old one is deleted, which Monitoring
  # refuses as long as an alert names it.
  lifecycle {
    create_before_destroy = true
  }
}

resource "google_monitoring_alert_policy" "uptime" {
  for_each = google_monitoring_uptime_check_config.public

  display_name          = "No answer at ${each.value.http_check[0].path}"
  combiner              = "OR"
  severity              = "CRITICAL"
  notification_channels = local.channels

  conditions {
    display_name = "Fails from more than one place"

    condition_threshold {
      filter          = "resource.type=\"uptime_url\" AND metric.type=\"monitoring.googleapis.com/uptime_check/check_passed\" AND metric.label.check_id=\"${each.value.uptime_check_id}\""
      comparison      = "COMPARISON_GT"
      threshold_value = 1
      duration        = "300s"

      aggregations {
        alignment_period     = "300s"
        per_series_aligner   = "ALIGN_NEXT_OLDER"
        cross_series_reducer = "REDUCE_COUNT_FALSE"
      }
    }
  }

  documentation {
    content   = "What to do: infra/runbooks/phone-does-not-sync.md"
    mime_type = "text/markdown"
  }
}
