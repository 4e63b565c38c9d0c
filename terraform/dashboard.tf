# One page for whoever is called at night: is sync well, does work pile up, is the model there, what
# does it cost, whose phone fails.

locals {
  revision = "monitored_resource=\"cloud_run_revision\""
  sync     = "${local.revision},service_name=\"sync\""

  # title, PromQL, unit; two in a row
  charts = [
    ["Syncs a second, by answer", "sum by (response_code_class) (rate(run_googleapis_com:request_count{${local.sync}}[5m]))", "1/s"],
    ["Time of a sync: half, 95 %, 99 %", join(" or ", [
      for share in ["0.5", "0.95", "0.99"] :
      "label_replace(histogram_quantile(${share}, sum by (le) (rate(run_googleapis_com:request_latencies_bucket{${local.sync}}[5m]))), \"share\", \"${share}\", \"\", \"\")"
    ]), "ms"],
    ["Records accepted, conflicts, rejected, an hour", join(" or ", [
      for name in ["sync_accepted", "sync_conflicts", "sync_rejected"] :
      "label_replace(sum(increase(logging_googleapis_com:user_${name}_sum{${local.revision}}[1h])), \"what\", \"${name}\", \"\", \"\")"
    ]), "1"],
    ["Rows sent, and tries to store a push, an hour", join(" or ", [
      for name in ["sync_rows", "sync_attempts"] :
      "label_replace(sum(increase(logging_googleapis_com:user_${name}_sum{${local.revision}}[1h])), \"what\", \"${name}\", \"\", \"\")"
    ]), "1"],
    ["Refused syncs an hour", "sum(increase(logging_googleapis_com:user_syncs_refused{${local.revision}}[1h]))", "1"],
    ["Oldest doorbell", "max by (subscription_id) (pubsub_googleapis_com:subscription_oldest_unacked_message_age{monitored_resource=\"pubsub_subscription\"})", "s"],
    ["Jobs due at the sweeper's round", "sum(increase(logging_googleapis_com:user_sweep_rung_sum{${local.revision}}[5m])) / 5", "1"],
    ["Jobs parked, dead letters, failed attempts, an hour", join(" or ", [
      for name in ["jobs_parked", "dead_letters", "job_attempts_failed"] :
      "label_replace(sum(increase(logging_googleapis_com:user_${name}{${local.revision}}[1h])), \"what\", \"${name}\", \"\", \"\")"
    ]), "1"],
    ["Red cases refused an hour", "sum(increase(logging_googleapis_com:user_red_case_refused{${local.revision}}[1h]))", "1"],
    ["Time of a model's answer: half, 95 %", join(" or ", [
      for share in ["0.5", "0.95"] :
      "label_replace(histogram_quantile(${share}, sum by (le) (rate(logging_googleapis_com:user_model_latency_ms_bucket{${local.revision}}[10m]))), \"share\", \"${share}\", \"\", \"\")"
    ]), "ms"],
    ["From a red case to its reading: half, 95 %", join(" or ", [
      for share in ["0.5", "0.95"] :
      "label_replace(histogram_quantile(${share}, sum by (le) (rate(logging_googleapis_com:user_job_age_ms_bucket{${local.revision},kind=\"analyse\"}[1h]))), \"share\", \"${share}\", \"\", \"\")"
    ]), "ms"],
    ["Photos an hour: asked for, already here, tickets refused", join(" or ", [
      for name in ["files_asked_sum", "files_known_sum", "files_rejected_sum"] :
      "label_replace(sum(increase(logging_googleapis_com:user_${name}{${local.revision}}[1h])), \"what\", \"${name}\", \"\", \"\")"
    ]), "1"],
    ["Photos an hour: pieces taken, uploads that ended, what was removed", join(" or ", [
      for name in ["pieces_taken", "uploads_ended", "sweep_cleaned_sum"] :
      "label_replace(sum(increase(logging_googleapis_com:user_${name}{${local.revision}}[1h])), \"what\", \"${name}\", \"\", \"\")"
    ]), "1"],
    ["Photos refused, and rounds that could not clean, an hour, by reason", join(" or ", [
      for name in ["files_refused", "cleaning_left"] :
      "label_replace(sum by (code) (increase(logging_googleapis_com:user_${name}{${local.revision}}[1h])), \"what\", \"${name}\", \"\", \"\")"
    ]), "1"],
    ["From a photo's last byte to its check: half, 95 %", join(" or ", [
      for share in ["0.5", "0.95"] :
      "label_replace(histogram_quantile(${share}, sum by (le) (rate(logging_googleapis_com:user_job_age_ms_bucket{${local.revision},kind=\"images\"}[1h]))), \"share\", \"${share}\", \"\", \"\")"
    ]), "ms"],
    ["Oldest due job", "max(histogram_quantile(1, sum by (le) (rate(logging_googleapis_com:user_sweep_oldest_ms_bucket{${local.revision}}[5m]))))", "ms"],
    ["Diagnoses that no phone has fetched", "max(histogram_quantile(1, sum by (le) (rate(logging_googleapis_com:user_sweep_unread_bucket{${local.revision}}[5m]))))", "1"],
    ["Jobs an hour, by state reached", "sum by (state) (increase(logging_googleapis_com:user_jobs_moved{${local.revision}}[1h]))", "1"],
    ["Failed attempts and calls an hour, by class", join(" or ", [
      for name in ["job_attempts_failed", "model_calls_failed", "second_look_failed"] :
      "label_replace(sum by (fault) (increase(logging_googleapis_com:user_${name}{${local.revision}}[1h])), \"what\", \"${name}\", \"\", \"\")"
    ]), "1"],
    ["Model left alone, day's budget used up, late red cases, an hour", join(" or ", [
      for name in ["model_rests", "daily_cap_reached", "sweep_late_sum"] :
      "label_replace(sum(increase(logging_googleapis_com:user_${name}{${local.revision}}[1h])), \"what\", \"${name}\", \"\", \"\")"
    ]), "1"],
    ["Tokens a day, asked and answered", join(" or ", [
      for name in ["model_tokens_asked", "model_tokens_answered"] :
      "label_replace(sum(increase(logging_googleapis_com:user_${name}_sum{${local.revision}}[1d])), \"what\", \"${name}\", \"\", \"\")"
    ]), "1"],
    ["Estimated cost of the model in 24 hours (cap: ${var.model_cost.daily_cap})", "sum(increase(logging_googleapis_com:user_model_price_micros_sum{${local.revision}}[1d])) / 1000000", "1"],
    ["Cost of the model an hour (replicas by price)", "sum(aiplatform_googleapis_com:prediction_online_replicas{monitored_resource=\"aiplatform.googleapis.com/Endpoint\"}) * ${try(var.medgemma.replica_hour_price, 0)}", "1"],
    ["Phones told of an analysis, and notices not sent, an hour", join(" or ", [
      for name in ["phones_told_sum", "notices_not_sent"] :
      "label_replace(sum(increase(logging_googleapis_com:user_${name}{${local.revision}}[1h])), \"what\", \"${name}\", \"\", \"\")"
    ]), "1"],
    ["Instances", "sum by (service_name) (run_googleapis_com:container_instance_count{${local.revision}})", "1"],
    ["Documents read and written a second", join(" or ", [
      for name in ["read", "write"] :
      "label_replace(sum(rate(firestore_googleapis_com:document_${name}_ops_count[5m])), \"what\", \"${name}\", \"\", \"\")"
    ]), "1/s"],
  ]

  failing_devices = "${local.from_functions} jsonPayload.message=\"request\" resource.labels.service_name=\"sync\" (jsonPayload.status>=400 OR jsonPayload.rejected>0)"
}

resource "google_monitoring_dashboard" "this" {
  dashboard_json = jsonencode({
    displayName = "${var.name} ${var.environment}"
    mosaicLayout = {
      columns = 48
      tiles = concat(
        [
          for index, chart in local.charts : {
            xPos   = index % 2 * 24
            yPos   = floor(index / 2) * 14
            width  = 24
            height = 14
            widget = {
              title = chart[0]
              xyChart = {
                dataSets = [{
                  plotType        = "LINE"
                  timeSeriesQuery = { prometheusQuery = chart[1], unitOverride = chart[2] }
                }]
              }
            }
          }
        ],
        [
          {
            xPos   = 0
            yPos   = ceil(length(local.charts) / 2) * 14
            width  = 48
            height = 20
            widget = {
              title     = "Failing devices: refused syncs, and syncs with refused records"
              logsPanel = { filter = local.failing_devices, resourceNames = ["projects/${var.project}"] }
            }
          },
        ],
      )
    }
  })

  depends_on = [google_logging_metric.counted, google_logging_metric.measured]
}
