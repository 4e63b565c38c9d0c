# Terraform, the provider and where the state is kept.

terraform {
  # 1.11: write-only arguments, so that no secret is ever in a state or a plan.
  required_version = ">= 1.11, < 2.0"

  required_providers {
    google = {
      source = "hashicorp/google"
      # One major: what is checked here is the schema of 6.50.
      version = ">= 6.50, < 7.0"
    }
  }

  # Bucket and prefix come from environments/<name>/backend.config.
  backend "gcs" {}
}

provider "google" {
  project = var.project
  region  = var.region

  # Budgets are billed to a project of the caller; without these two they are refused.
  billing_project       = var.project
  user_project_override = true

  default_labels = {
    application = var.name
    environment = var.environment
  }
}
