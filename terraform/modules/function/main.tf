# One function, whole: its service account, what that may do, the function, and who may call it.

terraform {
  required_providers {
    google = {
      source = "hashicorp/google"
    }
  }
}

locals {
  # Cloud Run allows no underscores.
  service = replace(var.name, "_", "-")
  public  = var.row.trigger == "http"
  member  = "serviceAccount:${google_service_account.this.email}"

  record_roles = { none = null, read = "roles/datastore.viewer", write = "roles/datastore.user" }
  photo_roles = {
    add    = "roles/storage.objectCreator"
    clear  = var.custom_roles.deletes_photos
    read   = "roles/storage.objectViewer"
    remove = var.custom_roles.deletes_photos
  }
}

resource "google_service_account" "this" {
  account_id   = "fn-${local.service}"
  display_name = "Function ${var.name}"
  description  = var.row.description
}

resource "google_project_iam_member" "records" {
  count = var.access.records == "none" ? 0 : 1

  project = var.project
  role    = local.record_roles[var.access.records]
  member  = local.member

  # IAM has no narrower place for Firestore than the project, so the database is a condition.
  condition {
    title      = "only_our_database"
    expression = "resource.name == \"projects/${var.project}/databases/${var.database}\""
  }
}

resource "google_project_iam_member" "model" {
  count = var.access.model ? 1 : 0

  project = var.project
  role    = var.custom_roles.asks_model
  member  = local.member
}

resource "google_project_iam_member" "notices" {
  count = var.access.notifies ? 1 : 0

  project = var.project
  role    = var.custom_roles.pokes_phones
  member  = local.member
}

resource "google_pubsub_topic_iam_member" "rings" {
  for_each = var.access.rings ? var.topics : {}

  topic  = each.value
  role   = "roles/pubsub.publisher"
  member = local.member
}

resource "google_storage_bucket_iam_member" "photos" {
  for_each = toset(var.access.photos)

  bucket = var.photo_bucket
  role   = local.photo_roles[each.key]
  member = local.member

  dynamic "condition" {
    for_each = each.key == "clear" ? ["incoming/"] : []

    content {
      title      = "only_what_comes_in"
      expression = "resource.name.startsWith(\"projects/_/buckets/${var.photo_bucket}/objects/${condition.value}\")"
    }
  }
}

resource "google_service_account_iam_member" "signs" {
  count = var.access.signs ? 1 : 0

  service_account_id = google_service_account.this.name
  role               = var.custom_roles.signs_links
  member             = local.member
}

resource "google_secret_manager_secret_iam_member" "reads" {
  for_each = var.secrets

  secret_id = each.value.id
  role      = "roles/secretmanager.secretAccessor"
  member    = local.member
}

# No variable: the function asks Secret Manager, whenever it needs the newest version.
resource "google_secret_manager_secret_iam_member" "reads_directly" {
  for_each = var.reads_secrets

  secret_id = each.value
  role      = "roles/secretmanager.secretAccessor"
  member    = local.member
}

resource "google_project_iam_member" "traces" {
  project = var.project
  role    = "roles/cloudtrace.agent"
  member  = local.member
}

resource "google_cloudfunctions2_function" "this" {
  name        = local.service
  location    = var.region
  description = var.row.description

  build_config {
    runtime           = "python311"
    entry_point       = var.name
    docker_repository = var.build.repository
    service_account   = var.build.service_account

    source {
      storage_source {
        bucket = var.source_archive.bucket
        object = var.source_archive.object
      }
    }

    # Patches of Python itself are put in without a release.
    automatic_update_policy {}
  }

  service_config {
    available_cpu                    = tostring(var.row.cpu)
    available_memory                 = var.row.memory
    timeout_seconds                  = var.row.timeout_seconds
    min_instance_count               = var.min_instances
    max_instance_count               = var.row.max_instances
    max_instance_request_concurrency = var.row.concurrency
    service_account_email            = google_service_account.this.email
    all_traffic_on_latest_revision   = true

    # Pub/Sub and Cloud Scheduler of the same project count as internal at the run.app address.
    ingress_settings = (
      !local.public ? "ALLOW_INTERNAL_ONLY" : var.load_balanced ? "ALLOW_INTERNAL_AND_GCLB" : "ALLOW_ALL"
    )

    environment_variables = merge(var.environment, {
      # As many threads as requests, or requests would wait inside the instance.
      THREADS = tostring(max(2, var.row.concurrency)) # functions.yaml says why two
      # Heaps of the C library: with one for each thread the same load takes a fifth more memory, and more time.
      MALLOC_ARENA_MAX = "2"
    })

    dynamic "secret_environment_variables" {
      for_each = var.secrets

      content {
        key        = secret_environment_variables.key
        project_id = var.project
        secret     = secret_environment_variables.value.id
        version    = secret_environment_variables.value.version
      }
    }
  }

  depends_on = [terraform_data.grants]
}

# The first instance starts during the apply and reads its secrets; a grant takes two minutes to be true
# everywhere (terraform/project.tf).
resource "terraform_data" "grants" {
  triggers_replace = sort(keys(var.secrets))

  provisioner "local-exec" {
    command = "sleep 120"
  }

  depends_on = [
    google_secret_manager_secret_iam_member.reads,
    google_service_account_iam_member.deployer,
  ]
}

# Whoever deploys hands these accounts over, one by one.
resource "google_service_account_iam_member" "deployer" {
  for_each = merge(
    { function = google_service_account.this.name },
    local.public ? {} : { caller = google_service_account.caller[0].name },
  )

  service_account_id = each.value
  role               = "roles/iam.serviceAccountUser"
  member             = "serviceAccount:${var.deployer}"
}

# Phones bring a token that the function itself checks; Cloud Run's own check would need a Google one.
resource "google_cloud_run_service_iam_member" "public" {
  # checkov:skip=CKV_GCP_102: Only functions of trigger http: they check our own tokens, and phones have no others.
  count = local.public ? 1 : 0

  location = var.region
  service  = google_cloudfunctions2_function.this.name
  role     = "roles/run.invoker"
  member   = "allUsers"
}

# Everything else has exactly one caller, with an account that can do nothing but call.
resource "google_service_account" "caller" {
  count = local.public ? 0 : 1

  account_id   = "call-${local.service}"
  display_name = "Calls ${var.name}"
}

# Pub/Sub and Cloud Scheduler make the caller's token. In most projects they may do so already; where an
# organisation takes away what Google grants by itself, every push would be refused.
resource "google_service_account_iam_member" "token" {
  count = local.public ? 0 : 1

  service_account_id = google_service_account.caller[0].name
  role               = "roles/iam.serviceAccountTokenCreator"
  member             = var.token_maker
}

resource "google_cloud_run_service_iam_member" "caller" {
  count = local.public ? 0 : 1

  location = var.region
  service  = google_cloudfunctions2_function.this.name
  role     = "roles/run.invoker"
  member   = "serviceAccount:${google_service_account.caller[0].email}"
}
