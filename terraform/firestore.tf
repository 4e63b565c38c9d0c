# The record store: database, indexes, backups. infra/firestore.indexes.json is the one list of
# indexes; the emulator enforces none, so a query without its index fails here first. Of it are made those of
# the collections that this product has (infra/collections.json).

locals {
  indexes     = jsondecode(file("${path.module}/../infra/firestore.indexes.json"))
  collections = jsondecode(file("${path.module}/../infra/collections.json"))[var.product]

  composite = {
    for index in local.indexes.indexes : join(" ", concat(
      [index.collectionGroup],
      [for field in index.fields : "${field.fieldPath}:${try(field.order, field.arrayConfig, "vector")}"],
    )) => index if contains(local.collections, index.collectionGroup)
  }

  # `*` with no index: every field of the collection is exempt unless it has its own row.
  fields = {
    for field in local.indexes.fieldOverrides : "${field.collectionGroup} ${field.fieldPath}" => field
    if contains(local.collections, field.collectionGroup)
  }
}

resource "google_firestore_database" "this" {
  name        = var.firestore.database
  location_id = coalesce(var.firestore.location, var.region)
  type        = "FIRESTORE_NATIVE"

  # Our writes carry preconditions and hold no locks (docs/decisions/0001-compare-and-set.md).
  concurrency_mode = "OPTIMISTIC"

  point_in_time_recovery_enablement = "POINT_IN_TIME_RECOVERY_ENABLED"
  delete_protection_state           = var.deletion_protection ? "DELETE_PROTECTION_ENABLED" : "DELETE_PROTECTION_DISABLED"

  # `terraform destroy` deletes it only where protection was switched off before.
  deletion_policy = var.deletion_protection ? "ABANDON" : "DELETE"

  dynamic "cmek_config" {
    for_each = var.firestore.customer_key ? [google_kms_crypto_key.this["records"].id] : []

    content {
      kms_key_name = cmek_config.value
    }
  }

  depends_on = [terraform_data.key_grants]
}

resource "google_firestore_index" "this" {
  for_each = local.composite

  database    = google_firestore_database.this.name
  collection  = each.value.collectionGroup
  query_scope = each.value.queryScope

  dynamic "fields" {
    for_each = each.value.fields

    content {
      field_path   = fields.value.fieldPath
      order        = lookup(fields.value, "order", null)
      array_config = lookup(fields.value, "arrayConfig", null)

      dynamic "vector_config" {
        for_each = lookup(fields.value, "vectorConfig", null)[*]

        content {
          dimension = vector_config.value.dimension

          flat {}
        }
      }
    }
  }
}

resource "google_firestore_field" "this" {
  for_each = local.fields

  database   = google_firestore_database.this.name
  collection = each.value.collectionGroup
  field      = each.value.fieldPath

  index_config {
    dynamic "indexes" {
      for_each = each.value.indexes

      content {
        order        = lookup(indexes.value, "order", null)
        array_config = lookup(indexes.value, "arrayConfig", null)
        query_scope  = lookup(indexes.value, "queryScope", "COLLECTION")
      }
    }
  }

  # A row with `"ttl": true` lets Firestore delete documents when this time has come. Receipts have
  # none: their time is a number, and the sweeper removes them.
  dynamic "ttl_config" {
    for_each = lookup(each.value, "ttl", false) ? [true] : []

    content {}
  }
}

resource "google_firestore_backup_schedule" "daily" {
  database  = google_firestore_database.this.name
  retention = "${var.backup.daily_days * 86400}s"

  daily_recurrence {}
}

resource "google_firestore_backup_schedule" "weekly" {
  database  = google_firestore_database.this.name
  retention = "${var.backup.weekly_days * 86400}s"

  weekly_recurrence {
    day = "SUNDAY"
  }
}

# Phones never reach the database themselves: the rules refuse everybody who is no service account.
resource "google_firebaserules_ruleset" "closed" {
  source {
    files {
      name    = "firestore.rules"
      content = file("${path.module}/../infra/firestore.rules")
    }
  }

  lifecycle {
    create_before_destroy = true
  }

  depends_on = [terraform_data.apis]
}

resource "google_firebaserules_release" "closed" {
  name         = var.firestore.database == "(default)" ? "cloud.firestore" : "cloud.firestore/${var.firestore.database}"
  ruleset_name = "projects/${var.project}/rulesets/${google_firebaserules_ruleset.closed.name}"

  depends_on = [google_firestore_database.this]
}
