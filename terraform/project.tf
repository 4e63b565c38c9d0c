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
  ], local.has_notices ? ["fcm.googleapis.com"] : []))

  # These accounts exist once the service was used, or `gcloud beta services identity create` made
  # them (infra/runbooks/deploy.md): the provider's own resource for it is in beta.
  agents = {
    artifactregistry = "serviceAccount:service-${data.google_project.this.number}@gcp-sa-artifactregistry.iam.gserviceaccount.com"
    firestore        = "serviceAccount:service-${data.google_project.this.number}@gcp-sa-firestore.iam.gserviceaccount.com"
    pubsub           = "serviceAccount:service-${data.google_project.this.number}@gcp-sa-pubsub.iam.gserviceaccount.com"
    secretmanager    = "serviceAccount:service-${data.google_project.this.number}@gcp-sa-secretmanager.iam.gserviceaccount.com"
    storage          = "serviceAccount:${data.google_storage_project_service_account.this.email_address}"
  }
}

resource "google_project_service" "this" {
  for_each = local.apis

  service = each.key

  # Taking a deployment down must not switch off what others in the project use.
  disable_on_destroy = false
}

# Read before anything is made: what it needs is switched on by hand (infra/runbooks/deploy.md, step 1),
# and the plan shows names with the project's number.
data "google_project" "this" {
  project_id = var.project
}

# Reading it makes it.
data "google_storage_project_service_account" "this" {
  depends_on = [google_project_service.this]
}
