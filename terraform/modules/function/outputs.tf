output "caller" {
  description = "Account that calls the function; null for public ones."
  value       = one(google_service_account.caller[*].email)
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
