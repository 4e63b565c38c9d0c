# dev: every push to main. Small, and may be deleted.

alert_emails        = ["dev-alerts@example.org"]
artifact_days       = 14
audit_log_days      = 30
backup              = { daily_days = 3, weekly_days = 14 }
budget              = null
deletion_protection = false
environment         = "dev"
load_balancer       = null
medgemma            = null
min_instances       = false
operators           = []
project             = "dermadetect-dev"
region              = "europe-west1"
settings            = { LOG_LEVEL = "DEBUG" }
trigger             = null
