# From a commit to a release: who builds functions, who deploys, where images are, what starts it.

resource "google_artifact_registry_repository" "functions" {
  repository_id = "functions"
  description   = "Images of the functions, made by Cloud Build from the source archive."
  format        = "DOCKER"
  location      = var.region
  kms_key_name  = google_kms_crypto_key.this["build"].id

  cleanup_policies {
    id     = "old"
    action = "DELETE"

    condition {
      older_than = "${var.artifact_days * 86400}s"
    }
  }

  cleanup_policies {
    id     = "keep-ten"
    action = "KEEP"

    most_recent_versions {
      keep_count = 10
    }
  }

  depends_on = [terraform_data.key_grants]
}

# The image in which cloudbuild.yaml runs its steps; infra/ci/builder.yaml makes it.
resource "google_artifact_registry_repository" "builder" {
  repository_id = "builder"
  description   = "The image in which tests and deployments run."
  format        = "DOCKER"
  location      = var.region
  kms_key_name  = google_kms_crypto_key.this["build"].id

  cleanup_policies {
    id     = "old"
    action = "DELETE"

    condition {
      older_than = "${var.artifact_days * 86400}s"
    }
  }

  cleanup_policies {
    id     = "keep-three"
    action = "KEEP"

    most_recent_versions {
      keep_count = 3
    }
  }

  depends_on = [terraform_data.key_grants]
}

# --- builds the functions' images: reads source, writes images and logs

resource "google_service_account" "build" {
  account_id   = "build-images" # Google wants six characters at least
  display_name = "Builds the functions' images"

  depends_on = [terraform_data.apis]
}

resource "google_project_iam_member" "build" {
  for_each = {
    "roles/logging.logWriter" = null
    # Cloud Run functions copies the archive into a bucket of its own, whose name begins like this.
    "roles/storage.objectViewer" = "resource.name.startsWith(\"projects/_/buckets/gcf-v2-\")"
  }

  project = var.project
  role    = each.key
  member  = "serviceAccount:${google_service_account.build.email}"

  dynamic "condition" {
    for_each = each.value == null ? [] : [each.value]

    content {
      title      = "only_source_of_functions"
      expression = condition.value
    }
  }
}

resource "google_storage_bucket_iam_member" "build" {
  bucket = google_storage_bucket.source.name
  role   = "roles/storage.objectViewer"
  member = "serviceAccount:${google_service_account.build.email}"
}

resource "google_artifact_registry_repository_iam_member" "build" {
  repository = google_artifact_registry_repository.functions.repository_id
  location   = var.region
  role       = "roles/artifactregistry.writer"
  member     = "serviceAccount:${google_service_account.build.email}"
}

# --- deploys: runs cloudbuild.yaml
#
# It reads no patient's record and no secret, but who may change everything can let himself in: what
# runs as this account must have been looked at. That is what the gate before prod is for.

locals {
  # Roles that functions get on the project. The deployer may give these, and no others.
  grantable = [
    "projects/${var.project}/roles/asksModel",
    "projects/${var.project}/roles/exportsRecords",
    "projects/${var.project}/roles/pokesPhones",
    "roles/cloudtrace.agent",
    "roles/datastore.user",
    "roles/datastore.viewer",
    "roles/logging.logWriter",
    "roles/storage.objectViewer",
  ]

  deployer_roles = toset([
    "roles/aiplatform.admin",
    "roles/artifactregistry.admin",
    "roles/browser",
    "roles/cloudbuild.builds.viewer",
    "roles/cloudfunctions.developer",
    "roles/cloudkms.admin", # manages keys; encrypts and decrypts nothing
    "roles/cloudscheduler.admin",
    "roles/compute.loadBalancerAdmin",
    "roles/compute.securityAdmin",
    "roles/datastore.backupSchedulesAdmin",
    "roles/datastore.indexAdmin",
    "roles/firebaserules.admin",
    "roles/iam.roleViewer", # to change a role of ours is to give rights: an owner does that
    "roles/logging.configWriter",
    "roles/logging.logWriter",
    "roles/monitoring.editor",
    "roles/pubsub.admin",
    "roles/run.admin",
    "roles/serviceusage.serviceUsageAdmin",
    "roles/storage.admin", # the one that could read photos; audit logs would show it
  ])
}

resource "google_service_account" "deploy" {
  account_id   = "deploy"
  display_name = "Deploys from Cloud Build"

  depends_on = [terraform_data.apis]
}

resource "google_project_iam_member" "deploy" {
  for_each = local.deployer_roles

  project = var.project
  role    = each.key
  member  = "serviceAccount:${google_service_account.deploy.email}"
}

# Giving rights is the right to everything, so it ends at a list.
resource "google_project_iam_member" "deploy_grants" {
  project = var.project
  role    = "roles/resourcemanager.projectIamAdmin"
  member  = "serviceAccount:${google_service_account.deploy.email}"

  condition {
    title       = "only_roles_of_functions"
    description = "What functions need. New roles of people, or of the deployer itself, are applied by an owner."
    expression = format(
      "api.getAttribute('iam.googleapis.com/modifiedGrantsByRole', []).hasOnly([%s])",
      join(", ", [for role in local.grantable : "'${role}'"]),
    )
  }
}

# What ready-made roles give only together with more: secrets without reading them, the database
# without its documents, service accounts without acting as any of them.
resource "google_project_iam_custom_role" "deploys" {
  role_id     = "deploys"
  title       = "Deploys"
  description = "Makes secrets, the database and service accounts, without reading or using them."
  permissions = [
    "bigquery.datasets.get",
    "bigquery.datasets.getIamPolicy",
    "bigquery.transfers.get",
    "datastore.databases.create",
    "datastore.databases.getMetadata",
    "datastore.databases.list",
    "datastore.databases.update",
    "iam.serviceAccounts.create",
    "iam.serviceAccounts.delete",
    "iam.serviceAccounts.get",
    "iam.serviceAccounts.getIamPolicy",
    "iam.serviceAccounts.list",
    "iam.serviceAccounts.setIamPolicy",
    "iam.serviceAccounts.update",
    "secretmanager.secrets.create",
    "secretmanager.secrets.delete",
    "secretmanager.secrets.get",
    "secretmanager.secrets.getIamPolicy",
    "secretmanager.secrets.list",
    "secretmanager.secrets.setIamPolicy",
    "secretmanager.secrets.update",
    "secretmanager.versions.add",
    "secretmanager.versions.disable",
    "secretmanager.versions.enable",
    "secretmanager.versions.get",
    "secretmanager.versions.list",
  ]

  depends_on = [terraform_data.apis]
}

resource "google_project_iam_member" "deploy_own" {
  project = var.project
  role    = google_project_iam_custom_role.deploys.id
  member  = "serviceAccount:${google_service_account.deploy.email}"
}

# Functions run as their own accounts, so the deployer must be allowed to hand over exactly these
# (modules/function does it for theirs).
resource "google_service_account_iam_member" "deploy_as_build" {
  service_account_id = google_service_account.build.name
  role               = "roles/iam.serviceAccountUser"
  member             = "serviceAccount:${google_service_account.deploy.email}"
}

# --- what starts it

resource "google_cloudbuild_trigger" "release" {
  count = var.trigger == null ? 0 : 1

  name            = "release"
  description     = "Checks a commit and deploys it to ${var.environment}."
  location        = var.region
  filename        = "cloudbuild.yaml"
  service_account = google_service_account.deploy.id

  repository_event_config {
    repository = var.trigger.repository

    push {
      branch = var.trigger.branch
      tag    = var.trigger.tag
    }
  }

  # The gate: a person looks at what dev did with the same commit, then approves.
  approval_config {
    approval_required = var.trigger.approval
  }

  substitutions = {
    _ENVIRONMENT = var.environment
    _PRODUCT     = var.product
    _REGION      = var.region
  }

  depends_on = [google_project_iam_member.deploy]
}
