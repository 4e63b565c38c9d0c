# prod: a tag, after a person approved it.

alert_emails        = ["alerts@example.org"]
artifact_days       = 60
audit_log_days      = 400
backup              = { daily_days = 7, weekly_days = 98 }
budget              = null
deletion_protection = true
environment         = "prod"
load_balancer       = { domain = "api.example.org" }
medgemma            = null
min_instances       = true
operators           = []
project             = "dermadetect-prod"
region              = "europe-west1"
settings            = { LOG_LEVEL = "INFO" }
trigger             = null
