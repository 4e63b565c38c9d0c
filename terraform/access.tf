# Who may do what: one line per function of infra/functions.yaml, each with a service account of its
# own. What is not here is not allowed. A function without a line stops the plan.
#
# records  read or write in the database (IAM knows no collections)
# rings    publishes to the topics of all job kinds
# model    asks the Vertex AI endpoint
# photos   add: create objects, change none; read; clear: delete what is under incoming/; remove: list and
#          delete everything, read nothing
# signs    signs links for phones, as itself and without a key
# notifies sends through Firebase Cloud Messaging; nothing unless `notifier` is "fcm"
#
# Secrets are given by the table's own columns: `secrets`, `reads_secrets`. Every function may send traces.

locals {
  nothing = { records = "none", rings = false, model = false, photos = [], signs = false, notifies = false }

  has_notices = var.notifier == "fcm"

  access = {
    # Patients' phones.
    sync    = { records = "write", rings = true }
    support = { records = "write", rings = true }
    status  = { records = "read" }
    # Accounts, photos and the doctors' desk.
    accounts = { records = "write" }
    files    = { records = "write", rings = true, photos = ["add", "clear", "read"], signs = true }
    review   = { records = "write", rings = true, photos = ["add", "clear", "read"], signs = true }
    # Pages: what the routes do that they ask.
    console = { records = "write", rings = true, photos = ["add", "read"], signs = true }
    # Jobs.
    analyse      = { records = "write", rings = true, model = true, photos = ["read"], notifies = true }
    summaries    = { records = "write", rings = true, model = true }
    voice        = { records = "write", rings = true, model = true, photos = ["clear", "read"], notifies = true }
    ocr          = { records = "write", rings = true, photos = ["read"] }
    diff         = { records = "write", rings = true, photos = ["add", "read"] }
    summary      = { records = "write", rings = true, model = true }
    images       = { records = "write", rings = true, photos = ["add", "read"] }
    hooks        = { records = "write", rings = true }
    dead_letters = { records = "write" }
    sweeper      = { records = "write", rings = true, photos = ["remove"], notifies = true }
  }
}

locals {
  # Functions that ask Speech-to-Text.
  hears = lookup(var.settings, "SPEECH", "off") == "google" ? toset([for name in keys(local.functions) : name if name == "voice"]) : toset([])
}

resource "google_project_iam_member" "hears" {
  for_each = local.hears

  project = var.project
  role    = "roles/speech.client"
  member  = "serviceAccount:${module.function[each.key].service_account}"
}

# aiplatform.user may also train, deploy and read data sets; a function asks one endpoint.
resource "google_project_iam_custom_role" "asks_model" {
  role_id     = "asksModel"
  title       = "Asks a model"
  description = "Sends predictions to endpoints of Vertex AI, and looks up where they are."
  permissions = ["aiplatform.endpoints.get", "aiplatform.endpoints.predict"]

  depends_on = [terraform_data.apis]
}

# roles/storage.objectUser may also read photos and write over them; who tidies up does neither.
resource "google_project_iam_custom_role" "deletes_photos" {
  role_id     = "deletesPhotos"
  title       = "Deletes photos"
  description = "Lists objects of a bucket by name, and deletes them."
  permissions = ["storage.objects.delete", "storage.objects.list"]

  depends_on = [terraform_data.apis]
}

# roles/firebasecloudmessaging.admin may also change who hears of which topic; a notice is one message.
resource "google_project_iam_custom_role" "pokes_phones" {
  count = local.has_notices ? 1 : 0

  role_id     = "pokesPhones"
  title       = "Pokes phones"
  description = "Sends messages through Firebase Cloud Messaging."
  permissions = ["cloudmessaging.messages.create"]

  depends_on = [terraform_data.apis]
}

# iam.serviceAccountTokenCreator may also make access tokens; a link needs a signature.
resource "google_project_iam_custom_role" "signs_links" {
  role_id     = "signsLinks"
  title       = "Signs links"
  description = "Signs as an account, without its key. Given to an account on itself alone."
  permissions = ["iam.serviceAccounts.signBlob"]

  depends_on = [terraform_data.apis]
}

# Operators look, and do what the runbooks say is theirs (infra/runbooks/README.md). They read no secret
# and no photo, but can delete photos; records only with infra.cli or in the console, and the audit log
# keeps that.
resource "google_project_iam_member" "operators" {
  for_each = {
    for pair in setproduct(var.operators, [
      "roles/aiplatform.viewer",
      "roles/cloudbuild.builds.approver",
      "roles/cloudscheduler.admin", # pause, resume and run the sweeper
      "roles/cloudtrace.user",
      "roles/datastore.user", # infra.cli: jobs, memberships, epoch
      "roles/logging.viewer",
      "roles/monitoring.viewer",
      "roles/pubsub.subscriber", # take reminders, move past dead letters; messages hold ids only
      "roles/pubsub.viewer",
      "roles/run.viewer",
      "roles/secretmanager.secretVersionAdder", # add a value, not read one
      "roles/secretmanager.viewer",
    ]) : "${pair[0]} ${pair[1]}" => { member = pair[0], role = pair[1] }
  }

  project = var.project
  role    = each.value.role
  member  = each.value.member

  depends_on = [terraform_data.apis]
}

# infra.cli erase: a patient's photos go at once.
resource "google_storage_bucket_iam_member" "operators" {
  for_each = var.operators

  bucket = google_storage_bucket.photos.name
  role   = google_project_iam_custom_role.deletes_photos.id
  member = each.key
}
