# APIs of the project, and the accounts that Google's services act as.

locals {
  apis = toset(concat([
    "aiplatform.googleapis.com",
    "artifactregistry.googleapis.com",
    "billingbudgets.googleapis.com",
    "cloudbuild.googleapis.com",
    "cloudfunctions.googleapis.com",
    "cloudkms.googleapis.com",
    "cloudresourcemanager.googleapis.com",
    "cloudscheduler.googleapis.com",
    "cloudtrace.googleapis.com",
    "compute.googleapis.com",
    "containeranalysis.googleapis.com", # Cloud Build's statements of where images come from
    "firebaserules.googleapis.com",
    "firestore.googleapis.com",
    "iam.googleapis.com",
    "iamcredentials.googleapis.com",
    "logging.googleapis.com",
    "monitoring.googleapis.com",
    "pubsub.googleapis.com",
    "run.googleapis.com",
    "secretmanager.googleapis.com",
    "serviceusage.googleapis.com",
    "storage.googleapis.com",
  ], local.has_notices ? ["fcm.googleapis.com"] : [], length(local.hears) > 0 ? ["speech.googleapis.com"] : [], length(local.numbers) > 0 ? local.numbers_apis : []))

  # The accounts that Google's services act as. infra/bootstrap.sh makes them: the provider's own resource
  # for it is in beta, and a data source that waits for an API is read anew, and its grants are taken away
  # and given back, whenever an API is added.
  agents = {
    for service, host in {
      artifactregistry = "gcp-sa-artifactregistry"
      cloudscheduler   = "gcp-sa-cloudscheduler"
      firestore        = "gcp-sa-firestore"
      pubsub           = "gcp-sa-pubsub"
      secretmanager    = "gcp-sa-secretmanager"
      storage          = "gs-project-accounts"
    } : service => "serviceAccount:service-${data.google_project.this.number}@${host}.iam.gserviceaccount.com"
  }
}

resource "google_project_service" "this" {
  for_each = local.apis

  service = each.key

  # Taking a deployment down must not switch off what others in the project use.
  disable_on_destroy = false
}

# Read before anything is made, so it waits for nothing: what it needs is switched on by infra/bootstrap.sh,
# and the plan shows names with the project's number.
data "google_project" "this" {
  project_id = var.project
}

# --- Google says that something is there before it is there everywhere. Each wait is for the first time, and
# for what is added later: a second apply waits for nothing.

# An API answers "has not been used before or it is disabled" for up to a few minutes.
resource "terraform_data" "apis" {
  triggers_replace = sort(local.apis)

  provisioner "local-exec" {
    command = "sleep 60"
  }

  depends_on = [google_project_service.this]
}

# Grants take two minutes, sometimes seven (iam/docs/access-change-propagation). What is encrypted with a key
# needs its agent's grant at once.
resource "terraform_data" "key_grants" {
  triggers_replace = sort(keys(local.key_grants))

  provisioner "local-exec" {
    command = "sleep 120"
  }

  depends_on = [google_kms_crypto_key_iam_member.agents]
}

# The build of a function fails for good if its account may not read the source yet
# (hashicorp/terraform-provider-google, issue 20571).
resource "terraform_data" "build_grants" {
  triggers_replace = [google_service_account.build.account_id]

  provisioner "local-exec" {
    command = "sleep 120"
  }

  depends_on = [
    google_artifact_registry_repository_iam_member.build,
    google_project_iam_member.build,
    google_service_account_iam_member.deploy_as_build,
    google_storage_bucket_iam_member.build,
  ]
}

# "If a metric was created recently, it could take up to 10 minutes to become available": until then a policy
# that names it is refused with 404 (hashicorp/terraform-provider-google, issue 11102).
resource "terraform_data" "metrics" {
  triggers_replace = sort(concat(keys(local.counted), keys(local.measured)))

  provisioner "local-exec" {
    command = "sleep 600"
  }

  depends_on = [google_logging_metric.counted, google_logging_metric.measured]
}
