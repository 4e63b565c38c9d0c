# What is promised of sync, and alerts when the promise is being used up too fast: 14.4 times the
# even rate uses 2 % of the month in an hour, 6 times 5 % in six hours (Google's SRE workbook, 5).

locals {
  sync_requests = join(" AND ", [
    "resource.type=\"cloud_run_revision\"",
    "resource.label.\"service_name\"=\"${module.function["sync"].service}\"",
  ])

  burns = {
    fast = { long = "3600s", short = "300s", rate = 14.4, severity = "CRITICAL" }
    slow = { long = "21600s", short = "1800s", rate = 6, severity = "WARNING" }
  }

  slos = {
    availability = google_monitoring_slo.availability.name
    latency      = google_monitoring_slo.latency.name
  }

  burn_alerts = merge([
    for slo, name in local.slos : {
      for speed, burn in local.burns : "${slo} ${speed}" => merge(burn, { slo = slo, name = name, speed = speed })
    }
  ]...)
}

resource "google_monitoring_custom_service" "sync" {
  service_id   = "sync"
  display_name = "Sync"

  depends_on = [terraform_data.apis]
}

resource "google_monitoring_slo" "availability" {
  service             = google_monitoring_custom_service.sync.service_id
  slo_id              = "availability"
  display_name        = "Syncs without a server's error"
  goal                = var.slo.availability
  rolling_period_days = 28

  request_based_sli {
    good_total_ratio {
      total_service_filter = "metric.type=\"run.googleapis.com/request_count\" AND ${local.sync_requests}"
      bad_service_filter   = "metric.type=\"run.googleapis.com/request_count\" AND ${local.sync_requests} AND metric.label.\"response_code_class\"=\"5xx\""
    }
  }
}

resource "google_monitoring_slo" "latency" {
  service             = google_monitoring_custom_service.sync.service_id
  slo_id              = "latency"
  display_name        = "Syncs within ${var.slo.latency_seconds} seconds"
  goal                = var.slo.latency
  rolling_period_days = 28

  request_based_sli {
    distribution_cut {
      distribution_filter = "metric.type=\"run.googleapis.com/request_latencies\" AND ${local.sync_requests}"

      range {
        max = var.slo.latency_seconds * 1000
      }
    }
  }
}

resource "google_monitoring_alert_policy" "burn" {
  for_each = local.burn_alerts

  display_name          = "Sync ${each.value.slo}: burning ${each.value.speed}"
  combiner              = "AND"
  severity              = each.value.severity
  notification_channels = local.channels

  # The long window says that it matters, the short one that it still goes on.
  dynamic "conditions" {
    for_each = { long = each.value.long, short = each.value.short }

    content {
      display_name = "over ${conditions.value}"

      condition_threshold {
        filter          = "select_slo_burn_rate(\"${each.value.name}\", \"${conditions.value}\")"
        comparison      = "COMPARISON_GT"
        threshold_value = each.value.rate
        duration        = "0s"
      }
    }
  }

  documentation {
    content   = "Phones keep their data and try again. Look at the dashboard, then infra/runbooks/phone-does-not-sync.md; after a release infra/runbooks/roll-back.md."
    mime_type = "text/markdown"
  }
}
