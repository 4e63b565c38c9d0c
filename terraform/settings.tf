# What functions are told: one value for every setting that is neither the table's nor a secret. Names
# and defaults are those of .env.example, which is made from shared/settings.py; what is not said here
# keeps its default.

locals {
  known_settings = toset(flatten(regexall("(?m)^#([A-Z][A-Z_]+)=", file("${path.module}/../.env.example"))))

  # How long an upload may rest: its own default, unless `settings` says otherwise.
  upload_days = tonumber(lookup(
    var.settings, "UPLOAD_DAYS", regex("(?m)^#UPLOAD_DAYS=(\\d+)", file("${path.module}/../.env.example"))[0]
  ))

  # Where the model is: an endpoint of Vertex AI, or a server of one's own.
  endpoint = (
    var.medgemma == null
    ? var.vertex.endpoint
    : google_vertex_ai_endpoint_with_model_garden_deployment.medgemma[0].endpoint
  )
  has_vertex = var.medgemma != null || var.vertex.endpoint != ""
  has_model  = local.has_vertex || var.model_server != null

  # Where the accounts function publishes the public keys of our tokens. Without a load balancer it is
  # the address that Cloud Run gives a service before it is made (deterministic URL).
  jwks_host = (
    var.load_balancer == null
    ? "accounts-${data.google_project.this.number}.${var.region}.run.app"
    : var.load_balancer.domain
  )

  # `settings` may say otherwise.
  usual = {
    HSTS_SECONDS   = "31536000" # Cloud Run answers by https alone
    TRACE_EXPORTER = "cloud_trace"
    # Of X-Forwarded-For, the entries that are Google's own: by them log-ins are counted per address.
    TRUSTED_PROXIES = var.load_balancer == null ? "1" : "2"
  }

  # Other variables decide these: they go with a resource, a right or a price. Without null: unset.
  decided = {
    PRODUCT              = var.product
    RECORD_STORE         = "firestore"
    JOB_QUEUE            = "pubsub"
    KEY_STORE            = "secret_manager"
    SIGNING_KEYS_SECRET  = one(local.read_directly)
    GOOGLE_CLOUD_PROJECT = var.project
    FIRESTORE_DATABASE   = var.firestore.database
    SOURCE_COMMIT        = var.release
    TOKEN_JWKS_URL       = "https://${local.jwks_host}/.well-known/jwks.json"

    FILE_STORE   = "gcs"
    FILES_BUCKET = local.photo_bucket
    # Who may call from a browser may follow its links there, too (storage.tf).
    CORS_ORIGINS = length(var.allowed_origins) > 0 ? join(",", var.allowed_origins) : null

    MODEL              = local.has_vertex ? "vertex" : var.model_server != null ? "openai_compatible" : "scripted"
    MODEL_URL          = try(var.model_server.url, null)
    MODEL_NAME         = try(var.model_server.name, null)
    VERTEX_LOCATION    = var.vertex.location
    VERTEX_DEDICATED   = var.medgemma == null ? tostring(var.vertex.dedicated) : "true"
    DAILY_COST_CAP     = tostring(var.model_cost.daily_cap)
    PRICE_ASKED        = tostring(var.model_cost.million_asked)
    PRICE_ANSWERED     = tostring(var.model_cost.million_answered)
    PRICE_HOUR         = tostring(var.model_cost.hour)
    SIGLIP_ENDPOINT    = try(var.second_look.endpoint, null)
    TRIAGE_RED_FROM    = try(tostring(var.second_look.red_from), null)
    TRIAGE_YELLOW_FROM = try(tostring(var.second_look.yellow_from), null)
    NOTIFIER           = var.notifier
  }

  # Of no use in a deployment, and why.
  local_only = {
    AUDIT_HEADS                 = "Functions keep nothing on a disk: the heads are in the logs."
    CLOCK_FILE                  = "For demos that move the clock; refused on Cloud Run."
    DATA_FOLDER                 = "Functions keep nothing on a disk."
    LEAST_FREE_MEGABYTES        = "Functions keep nothing on a disk."
    FCM_CREDENTIALS             = "For a test server: functions call as themselves."
    FCM_URL                     = "For a test server."
    FILES_ENDPOINT              = "For an emulator of Cloud Storage."
    FILES_SECRET                = "For a folder: links into the bucket are signed by the function's own account."
    KILL_FOLDER                 = "For tests that kill a process; refused on Cloud Run."
    K_SERVICE                   = "Cloud Run sets it."
    OTEL_EXPORTER_OTLP_ENDPOINT = "Functions send to Cloud Trace; the exporter is not installed there."
    OTEL_EXPORTER_OTLP_HEADERS  = "Goes with OTEL_EXPORTER_OTLP_ENDPOINT."
    OPERATOR                    = "For people at a command line."
    SECRET_MANAGER_ENDPOINT     = "For a test server."
    TOPIC_PREFIX                = "For tests that share an emulator; jobs.tf names topics without one."
    VERTEX_CREDENTIALS          = "For a test server: functions call as themselves."
  }

  # What `settings` may hold: the rest.
  free_settings = setsubtract(local.known_settings, concat(
    keys(local.decided),
    keys(local.local_only),
    ["VERTEX_ENDPOINT"],
    flatten([for row in local.functions : concat(keys(row.secrets), keys(row.environment))]),
  ))

  settings = merge(
    local.usual,
    var.settings,
    { for name, value in local.decided : name => value if value != null },
    # Apart: it is known only after the endpoint was made, and the rest of a plan should not wait.
    local.has_vertex ? { VERTEX_ENDPOINT = local.endpoint } : {},
  )
}

check "model" {
  assert {
    condition     = local.has_model || var.environment != "prod"
    error_message = "No model: red cases get the scripted model's answer, which has no clinical value and says so."
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
