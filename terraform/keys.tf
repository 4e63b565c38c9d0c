# Our keys in Cloud KMS, one per kind of data, renewed every 90 days. Old versions still decrypt.

locals {
  # kind of data → who encrypts with its key
  key_users = merge(
    {
      build   = ["storage", "artifactregistry"]
      photos  = ["storage"]
      queue   = ["pubsub"]
      secrets = ["secretmanager"]
    },
    var.firestore.customer_key ? { records = ["firestore"] } : {},
    length(local.exports) > 0 ? { exports = ["storage"] } : {},
  )

  key_grants = merge([
    for kind, agents in local.key_users : {
      for agent in agents : "${kind} ${agent}" => { kind = kind, agent = agent }
    }
  ]...)
}

resource "google_kms_key_ring" "this" {
  name     = var.name
  location = var.region

  depends_on = [terraform_data.apis]
}

resource "google_kms_crypto_key" "this" {
  for_each = local.key_users

  name            = each.key
  key_ring        = each.key == "exports" ? google_kms_key_ring.exports["records"].id : google_kms_key_ring.this.id
  rotation_period = "7776000s"

  # A destroyed version can be taken back for 30 days; after that, what it encrypted is lost.
  destroy_scheduled_duration = "2592000s"

  lifecycle {
    prevent_destroy = true
  }
}

resource "google_kms_crypto_key_iam_member" "agents" {
  for_each = local.key_grants

  crypto_key_id = google_kms_crypto_key.this[each.value.kind].id
  role          = "roles/cloudkms.cryptoKeyEncrypterDecrypter"
  member        = local.agents[each.value.agent]
}
