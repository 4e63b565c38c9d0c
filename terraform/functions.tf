# The functions of infra/functions.yaml. That table is the only list of them; a row that names products is made
# for these alone, and nobody takes dead letters of a topic that is not there.

locals {
  table     = yamldecode(file("${path.module}/../infra/functions.yaml"))
  functions = { for name, row in local.table : name => row if contains(try(row.products, [var.product]), var.product) }

  public = { for name, row in local.functions : name => row if row.trigger == "http" }
  pushed = { for name, row in local.functions : name => row if row.trigger == "push" }
  timed  = { for name, row in local.functions : name => row if row.trigger == "schedule" }

  # topic → its function's name and row
  taken = flatten([for name, row in local.pushed : row.topics])
  topics = merge([
    for name, row in local.pushed : { for topic in row.topics : topic => name if contains(local.taken, trimsuffix(topic, "-dead")) }
  ]...)

  kinds = toset([for topic in keys(local.topics) : topic if !endswith(topic, "-dead")])

  # Of a row's secrets, those that the deployment uses: variable → secret.
  no_model_key = var.model_server == null || !try(var.model_server.key, false)
  no_speech    = lookup(var.settings, "SPEECH", "off") != "openai_compatible"
  no_mail      = lookup(var.settings, "MAILER", "off") == "off"
  secrets_of = {
    for name, row in local.functions : name => {
      for variable, secret in row.secrets : variable => secret
      if !anytrue([
        variable == "MODEL_API_KEY" && local.no_model_key,
        variable == "SPEECH_API_KEY" && local.no_speech,
        variable == "SMTP_PASSWORD" && local.no_mail,
      ])
    }
  }

  # Of a row's rights, those that the deployment uses.
  access_of = {
    for name in keys(local.functions) : name => merge(
      local.nothing,
      local.access[name],
      local.has_notices ? {} : { notifies = false },
    )
  }
}

module "function" {
  source   = "./modules/function"
  for_each = local.functions

  access = local.access_of[each.key]
  build = {
    repository      = google_artifact_registry_repository.functions.id
    service_account = google_service_account.build.id
  }
  custom_roles = {
    asks_model     = google_project_iam_custom_role.asks_model.id
    deletes_photos = google_project_iam_custom_role.deletes_photos.id
    pokes_phones   = one(google_project_iam_custom_role.pokes_phones[*].id)
    signs_links    = google_project_iam_custom_role.signs_links.id
  }
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
    for variable, secret in local.secrets_of[each.key] : variable => {
      id      = google_secret_manager_secret.this[secret].secret_id
      version = lookup(var.secret_versions, secret, google_secret_manager_secret_version.first[secret].version)
    }
  }
  source_archive = {
    bucket = google_storage_bucket.source.name
    object = google_storage_bucket_object.source.name
  }
  token_maker = { push = local.agents.pubsub, schedule = local.agents.cloudscheduler, http = null }[each.value.trigger]
  topics      = { for kind in local.kinds : kind => google_pubsub_topic.jobs[kind].id }

  # An index is built before the code comes that asks by it. Nothing in the module reads data, so that
  # waiting changes nothing that is there.
  depends_on = [
    google_firestore_field.this,
    google_firestore_index.this,
    terraform_data.build_grants,
  ]
}
