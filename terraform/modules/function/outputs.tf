output "caller" {
  description = "Account that calls the function; null for public ones."
  value       = one(google_service_account.caller[*].email)
}

output "rights" {
  description = "Roles of the function's account, each with what it is on."
  value = sort(concat(
    [for one in google_project_iam_member.records : "${one.role} on records"],
    [for one in google_project_iam_member.model : "asksModel"],
    [for one in google_project_iam_member.notices : "pokesPhones"],
    ["${google_project_iam_member.traces.role} on project"],
    [for topic in keys(google_pubsub_topic_iam_member.rings) : "roles/pubsub.publisher on topic ${topic}"],
    [
      for word, one in google_storage_bucket_iam_member.photos :
      word == "clear" ? "deletesPhotos that come in" : word == "remove" ? "deletesPhotos" : "${one.role} on photos"
    ],
    [for one in google_service_account_iam_member.signs : "signsLinks on itself"],
    [for name in keys(var.reads_secrets) : "${google_secret_manager_secret_iam_member.reads_directly[name].role} on secret ${name}"],
    [for variable in keys(var.secrets) : "${google_secret_manager_secret_iam_member.reads[variable].role} on variable ${variable}"],
  ))
}

output "service" {
  description = "Name of the Cloud Run service."
  value       = google_cloudfunctions2_function.this.name
}

output "service_account" {
  description = "Account that the function runs as."
  value       = google_service_account.this.email
}

output "uri" {
  description = "The service's own address (run.app)."
  value       = google_cloudfunctions2_function.this.service_config[0].uri
}
