# The functions of infra/functions.yaml. That table is the only list of them.

locals {
  functions = yamldecode(file("${path.module}/../infra/functions.yaml"))

  public = { for name, row in local.functions : name => row if row.trigger == "http" }
  pushed = { for name, row in local.functions : name => row if row.trigger == "push" }
  timed  = { for name, row in local.functions : name => row if row.trigger == "schedule" }

  # topic → its function's name and row
  topics = merge([
    for name, row in local.pushed : { for topic in row.topics : topic => name }
  ]...)

  kinds = toset([for topic in keys(local.topics) : topic if !endswith(topic, "-dead")])

  endpoint = (
    var.medgemma == null
    ? var.vertex.endpoint
    : google_vertex_ai_endpoint_with_model_garden_deployment.medgemma[0].endpoint
  )
  has_model = var.medgemma != null || var.vertex.endpoint != ""

  # Where the accounts function publishes the public keys of our tokens. Without a load balancer it is
  # the address that Cloud Run gives a service before it is made (deterministic URL).
  jwks_host = (
    var.load_balancer == null
    ? "accounts-${data.google_project.this.number}.${var.region}.run.app"
    : var.load_balancer.domain
  )

  # Names are those of .env.example.
  settings = merge(
    {
      RECORD_STORE         = "firestore"
      JOB_QUEUE            = "pubsub"
      MODEL                = local.has_model ? "vertex" : "scripted"
      GOOGLE_CLOUD_PROJECT = var.project
      HSTS_SECONDS         = "31536000" # Cloud Run answers by https alone
      FIRESTORE_DATABASE   = google_firestore_database.this.name
      SERVICE_VERSION      = var.release
      KEY_STORE            = "secret_manager"
      SIGNING_KEYS_SECRET  = one(local.read_directly)
      TOKEN_JWKS_URL       = "https://${local.jwks_host}/.well-known/jwks.json"
      # Of X-Forwarded-For, the entries that are Google's own: by them log-ins are counted per address.
      TRUSTED_PROXIES = var.load_balancer == null ? "1" : "2"
      TRACE_EXPORTER  = "cloud_trace"
    },
    local.has_model ? {
      VERTEX_ENDPOINT = local.endpoint
      VERTEX_LOCATION = var.vertex.location
    } : {},
    var.settings,
  )
}

module "function" {
  source   = "./modules/function"
  for_each = local.functions

  access = merge(local.nothing, local.access[each.key])
  build = {
    repository      = google_artifact_registry_repository.functions.id
    service_account = google_service_account.build.id
  }
  custom_roles  = { asks_model = google_project_iam_custom_role.asks_model.id }
  database      = google_firestore_database.this.name
  deployer      = google_service_account.deploy.email
  environment   = merge(local.settings, each.value.environment)
  load_balanced = var.load_balancer != null
  min_instances = var.min_instances ? each.value.min_instances : 0
  name          = each.key
  photo_bucket  = google_storage_bucket.photos.name
  project       = var.project
  reads_secrets = {
    for secret in try(each.value.reads_secrets, []) : secret => google_secret_manager_secret.this[secret].id
  }
  region = var.region
  row    = each.value
  # The version's number, not "latest": a new value starts new instances, and a roll-back the old.
  secrets = {
    for variable, secret in each.value.secrets : variable => {
      id      = google_secret_manager_secret.this[secret].secret_id
      version = lookup(var.secret_versions, secret, google_secret_manager_secret_version.first[secret].version)
    }
  }
  source_archive = {
    bucket = google_storage_bucket.source.name
    object = google_storage_bucket_object.source.name
  }
  topics = { for kind in local.kinds : kind => google_pubsub_topic.jobs[kind].id }

  depends_on = [
    google_artifact_registry_repository_iam_member.build,
    google_service_account_iam_member.deploy_as_build,
    google_project_iam_member.build,
    google_storage_bucket_iam_member.build,
  ]
}

check "model" {
  assert {
    condition     = local.has_model || var.environment != "prod"
    error_message = "No MedGemma endpoint: red cases get the scripted model's answer, which has no clinical value and says so."
  }
}

check "tokens" {
  assert {
    condition     = !contains(keys(var.settings), "TOKEN_JWKS") || var.environment != "prod"
    error_message = "settings has TOKEN_JWKS: the functions take only tokens of those keys, none of the accounts function. An outside issuer is OIDC_ISSUER and OIDC_AUDIENCE."
  }

  assert {
    condition     = contains(keys(var.settings), "OIDC_ISSUER") == contains(keys(var.settings), "OIDC_AUDIENCE")
    error_message = "OIDC_ISSUER and OIDC_AUDIENCE belong together; functions refuse to start with one of them."
  }
}
