# Who read and changed what, as Google's services saw it. The functions themselves are exempt in
# Firestore: every request would write several entries, and the application keeps its own record.
# So an entry here is a person, or something that should not be there.

locals {
  function_members = [for name in keys(local.functions) : "serviceAccount:${module.function[name].service_account}"]

  # service → members whose reads and writes are not logged there. Firestore's entries are those of
  # datastore.googleapis.com, signatures those of iam.googleapis.com: their own names are refused here.
  audited = {
    "cloudkms.googleapis.com"      = []
    "datastore.googleapis.com"     = local.function_members
    "iam.googleapis.com"           = []
    "secretmanager.googleapis.com" = []
    "storage.googleapis.com"       = []
  }
}

resource "google_project_iam_audit_config" "this" {
  for_each = local.audited

  project = var.project
  service = each.key

  dynamic "audit_log_config" {
    for_each = toset(["ADMIN_READ", "DATA_READ", "DATA_WRITE"])

    content {
      log_type         = audit_log_config.key
      exempted_members = audit_log_config.key == "ADMIN_READ" ? [] : each.value
    }
  }
}

resource "google_logging_project_bucket_config" "audit" {
  project        = var.project
  location       = var.region
  bucket_id      = "audit"
  description    = "Who read and changed what."
  retention_days = var.audit_log_days

  depends_on = [terraform_data.apis]
}

resource "google_logging_project_sink" "audit" {
  name                   = "audit"
  destination            = "logging.googleapis.com/${google_logging_project_bucket_config.audit.id}"
  filter                 = "log_id(\"cloudaudit.googleapis.com/data_access\") OR log_id(\"cloudaudit.googleapis.com/activity\")"
  unique_writer_identity = true
}
