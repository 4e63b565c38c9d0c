# Numbers out of the functions' log lines (shared/web.py, functions/): what Cloud Run cannot know.
# The lines carry counts and ids, never clinical content.

locals {
  from_functions = "resource.type=\"cloud_run_revision\""

  # Lines that are counted.
  counted = {
    bells_not_understood = "jsonPayload.message=(\"bell not understood\" OR \"dead letter not understood\")"
    dead_letters         = "jsonPayload.message=\"dead letter\""
    job_attempts_failed  = "jsonPayload.message=\"job attempt failed\""
    # `states` maps job ids to states; the bare word finds the state wherever it stands.
    jobs_parked       = "jsonPayload.message=\"jobs\" \"parked\""
    queue_unavailable = "jsonPayload.message=(\"queue unavailable\" OR \"bells left to the sweeper\")"
    red_case_refused  = "jsonPayload.message=\"red case refused\""
    request_crashed   = "jsonPayload.message=\"request crashed\""
    syncs_refused     = "jsonPayload.message=\"request\" resource.labels.service_name=\"sync\" jsonPayload.status>=400"
  }

  # Numbers in lines, with their distribution.
  measured = {
    sweep_rung     = { field = "rung", filter = "resource.labels.service_name=\"sweeper\"" }
    sync_accepted  = { field = "accepted", filter = "resource.labels.service_name=\"sync\"" }
    sync_attempts  = { field = "attempts", filter = "resource.labels.service_name=\"sync\"" }
    sync_conflicts = { field = "conflicts", filter = "resource.labels.service_name=\"sync\"" }
    sync_rejected  = { field = "rejected", filter = "resource.labels.service_name=\"sync\"" }
    sync_rows      = { field = "rows", filter = "resource.labels.service_name=\"sync\"" }
  }
}

resource "google_logging_metric" "counted" {
  for_each = local.counted

  name   = each.key
  filter = "${local.from_functions} ${each.value}"

  metric_descriptor {
    metric_kind = "DELTA"
    value_type  = "INT64"
    unit        = "1"
  }

  depends_on = [google_project_service.this]
}

resource "google_logging_metric" "measured" {
  for_each = local.measured

  name            = each.key
  filter          = "${local.from_functions} jsonPayload.message=\"request\" ${each.value.filter} jsonPayload.${each.value.field}>=0"
  value_extractor = "EXTRACT(jsonPayload.${each.value.field})"

  metric_descriptor {
    metric_kind = "DELTA"
    value_type  = "DISTRIBUTION"
    unit        = "1"
  }

  bucket_options {
    exponential_buckets {
      num_finite_buckets = 20
      growth_factor      = 2
      scale              = 1
    }
  }

  depends_on = [google_project_service.this]
}
