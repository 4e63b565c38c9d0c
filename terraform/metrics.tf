# Numbers out of the functions' log lines: what Cloud Run cannot know. The lines carry counts, ids and
# codes, never clinical content. tests/infra/test_metrics.py makes the real lines and holds them against
# these filters.

locals {
  from_functions = "resource.type=\"cloud_run_revision\""

  # Lines that are counted, apart by the values of `labels`: fields with few values.
  counted = {
    bells_not_understood = { filter = "jsonPayload.message=(\"bell not understood\" OR \"dead letter not understood\")" }
    cleaning_left        = { filter = "jsonPayload.message=\"files are cleaned later\"", labels = ["code"] }
    daily_cap_reached    = { filter = "jsonPayload.message=\"daily cap reached\"" }
    dead_letters         = { filter = "jsonPayload.message=\"dead letter\"" }
    deployments_at_fault = { filter = "jsonPayload.message=\"deployment at fault\"", labels = ["fault"] }
    files_refused        = { filter = "jsonPayload.message=\"file refused\"", labels = ["code"] }
    hooks_disabled       = { filter = "jsonPayload.message=\"hook disabled\"", labels = ["reason"] }
    index_missing        = { filter = "jsonPayload.message=\"index missing\"", labels = ["collection"] }
    job_attempts_failed  = { filter = "jsonPayload.message=\"job attempt failed\"", labels = ["fault"] }
    jobs_failed          = { filter = "jsonPayload.message=\"job moved\" jsonPayload.state=\"failed\"", labels = ["fault", "kind"] }
    jobs_moved           = { filter = "jsonPayload.message=\"job moved\"", labels = ["kind", "state"] }
    jobs_parked          = { filter = "jsonPayload.message=\"job moved\" jsonPayload.state=\"parked\"", labels = ["fault", "kind"] }
    model_calls_failed   = { filter = "jsonPayload.message=\"model call failed\"", labels = ["fault"] }
    model_rests          = { filter = "jsonPayload.message=\"model rests\"" }
    notices_not_sent     = { filter = "jsonPayload.message=(\"phone not notified\" OR \"notices left to the sweeper\")", labels = ["code"] }
    pieces_taken         = { filter = "${local.files_request} jsonPayload.received>0" }
    queue_unavailable    = { filter = "jsonPayload.message=(\"queue unavailable\" OR \"bells left to the sweeper\")" }
    red_case_refused     = { filter = "jsonPayload.message=\"red case refused\"" }
    request_crashed      = { filter = "jsonPayload.message=\"request crashed\"" }
    second_look_failed   = { filter = "jsonPayload.message=\"no second look\"", labels = ["fault"] }
    uploads_ended        = { filter = "${local.files_request} jsonPayload.check=(\"done\" OR \"rung\" OR \"queued\")", labels = ["check"] }
    syncs_refused        = { filter = "jsonPayload.message=\"request\" resource.labels.service_name=\"sync\" jsonPayload.status>=400" }
  }

  sync_request  = "jsonPayload.message=\"request\" resource.labels.service_name=\"sync\""
  files_request = "jsonPayload.message=\"request\" resource.labels.service_name=\"files\""
  sweep_request = "jsonPayload.message=\"request\" resource.labels.service_name=\"sweeper\""
  model_call    = "jsonPayload.message=\"model call\""

  # Numbers in lines, with their distribution.
  measured = {
    # Tickets for photos: asked for, of bytes that are here already, and refused.
    files_asked    = { field = "asked", filter = local.files_request }
    files_known    = { field = "ready", filter = local.files_request }
    files_rejected = { field = "rejected", filter = local.files_request }
    # From the push of a red case to its reading, from a photo's last byte to its check.
    job_age_ms            = { field = "age_ms", filter = "jsonPayload.message=\"job moved\" jsonPayload.state=\"done\"", unit = "ms", labels = ["kind"] }
    model_latency_ms      = { field = "latency_ms", filter = local.model_call, unit = "ms" }
    model_price_micros    = { field = "price_micros", filter = local.model_call }
    model_tokens_answered = { field = "completion_tokens", filter = local.model_call }
    model_tokens_asked    = { field = "prompt_tokens", filter = local.model_call }
    phones_told           = { field = "phones", filter = "jsonPayload.message=\"notice\"" }
    # Red cases that nobody had looked at after 20 seconds.
    sweep_late    = { field = "rounds.late", filter = local.sweep_request }
    sweep_cleaned = { field = "rounds.cleaned", filter = local.sweep_request }
    # An alert stands at half an hour. Monitoring reckons a percentile within its bucket, so a threshold that is
    # no bound fires for what is well below it: at powers of two half an hour began at 17 minutes.
    sweep_oldest_ms = { field = "oldest_ms", filter = local.sweep_request, unit = "ms", bounds = [for minutes in [1, 5, 10, 20, 30, 60, 120, 360, 1440] : minutes * 60000] }
    sweep_rung      = { field = "rung", filter = local.sweep_request }
    # Diagnosed cases whose health worker was not given the diagnosis within UNREAD_HOURS: a state, every minute.
    sweep_unread   = { field = "rounds.unread", filter = local.sweep_request, bounds = [1, 2, 3, 4, 5, 6, 10, 20, 50, 100, 200] }
    sync_accepted  = { field = "accepted", filter = local.sync_request }
    sync_attempts  = { field = "attempts", filter = local.sync_request }
    sync_conflicts = { field = "conflicts", filter = local.sync_request }
    sync_rejected  = { field = "rejected", filter = local.sync_request }
    sync_rows      = { field = "rows", filter = local.sync_request }
  }
}

resource "google_logging_metric" "counted" {
  for_each = local.counted

  name             = each.key
  filter           = "${local.from_functions} ${each.value.filter}"
  label_extractors = { for label in try(each.value.labels, []) : label => "EXTRACT(jsonPayload.${label})" }

  metric_descriptor {
    metric_kind = "DELTA"
    value_type  = "INT64"
    unit        = "1"

    dynamic "labels" {
      for_each = try(each.value.labels, [])

      content {
        key = labels.value
      }
    }
  }

  depends_on = [terraform_data.apis]
}

resource "google_logging_metric" "measured" {
  for_each = local.measured

  name             = each.key
  filter           = "${local.from_functions} ${each.value.filter} jsonPayload.${each.value.field}>=0"
  value_extractor  = "EXTRACT(jsonPayload.${each.value.field})"
  label_extractors = { for label in try(each.value.labels, []) : label => "EXTRACT(jsonPayload.${label})" }

  metric_descriptor {
    metric_kind = "DELTA"
    value_type  = "DISTRIBUTION"
    unit        = try(each.value.unit, "1")

    dynamic "labels" {
      for_each = try(each.value.labels, [])

      content {
        key = labels.value
      }
    }
  }

  # Up to 2^32: seven weeks in milliseconds.
  bucket_options {
    dynamic "exponential_buckets" {
      for_each = can(each.value.bounds) ? [] : [32]

      content {
        num_finite_buckets = exponential_buckets.value
        growth_factor      = 2
        scale              = 1
      }
    }

    dynamic "explicit_buckets" {
      for_each = can(each.value.bounds) ? [each.value.bounds] : []

      content {
        bounds = explicit_buckets.value
      }
    }
  }

  depends_on = [terraform_data.apis]
}
