# What a mobile team needs to point an app at this deployment, and what operators look for.

output "address" {
  description = "IP address for the domain's A record; null without a load balancer."
  value       = one(google_compute_global_address.edge[*].address)
}

output "api_urls" {
  description = "Base URL by public path. With a load balancer all are the same."
  value = merge([
    for name, row in local.public : {
      for path in row.paths : path => var.load_balancer == null ? module.function[name].uri : "https://${var.load_balancer.domain}"
    }
  ]...)
}

output "base_url" {
  description = "The one URL of the API; null without a load balancer: then use api_urls."
  value       = var.load_balancer == null ? null : "https://${var.load_balancer.domain}"
}

output "model_endpoint" {
  description = "The MedGemma endpoint in use; empty: the scripted model, without clinical value."
  value       = local.endpoint
}

output "openapi_url" {
  description = "The API's description, for generators."
  value       = "https://${local.host}/openapi.json"
}

output "photo_bucket" {
  description = "Bucket of photos."
  value       = google_storage_bucket.photos.name
}

output "release" {
  description = "The release that is deployed, as /version answers."
  value       = var.release
}

output "status_url" {
  description = "Where /health, /ready and /version answer; the smoke test asks here."
  value       = "https://${local.host}"
}

output "token_audience" {
  description = "The `aud` that access tokens must carry."
  value       = lookup(var.settings, "TOKEN_AUDIENCE", "dermadetect-api")
}

output "token_issuer" {
  description = "The `iss` that access tokens must carry."
  value       = lookup(var.settings, "TOKEN_ISSUER", "dermadetect")
}
