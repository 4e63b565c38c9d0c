# What a deployment can choose. environments/ holds the values; nothing else differs between them.

variable "alert_emails" {
  description = "Who is told when an alert fires."
  type        = set(string)

  validation {
    condition     = length(var.alert_emails) > 0
    error_message = "Somebody must be told: give at least one address."
  }
}

variable "allowed_origins" {
  description = "Origins of web apps that may use the API (CORS_ORIGINS), and up- and download photos at the bucket; phones need none."
  type        = list(string)
  default     = []

  validation {
    condition     = !contains(var.allowed_origins, "*")
    error_message = "Name the origins."
  }
}

variable "analytics" {
  description = "Numbers without names or texts in BigQuery, made anew each Sunday, and who may read them (IAM members: people, groups); null: none. Reads each case, diagnosis and photo's document once a week."
  type = object({
    readers = optional(list(string), [])
  })
  default = null
}

variable "artifact_days" {
  description = "How long images of old releases are kept, in days. The last ten stay in any case."
  type        = number
  default     = 60
}

variable "audit_log_days" {
  description = "How long records of who read or changed data are kept, in days."
  type        = number
  default     = 400
}

variable "backup" {
  description = "How long daily and weekly backups of Firestore are kept, in days (Firestore's bounds: 7 and 98). When records are exported to another place (cron, UTC; empty: never), and for how many days exports are kept. An export reads every document."
  type = object({
    daily_days      = optional(number, 7)
    export_days     = optional(number, 14)
    export_schedule = optional(string, "30 1 * * *")
    weekly_days     = optional(number, 98)
  })
  default = {}

  validation {
    condition     = var.backup.daily_days <= 7 && var.backup.weekly_days <= 98
    error_message = "Firestore keeps daily backups for 7 days at most, weekly ones for 98."
  }
}

variable "budget" {
  description = "Monthly budget in units of the billing account's currency; null: no budget."
  type = object({
    amount          = number
    billing_account = string
  })
  default = null
}

variable "deletion_protection" {
  description = "Whether the database refuses to be deleted, and buckets with objects in them too."
  type        = bool
  default     = true
}

variable "environment" {
  description = "Name of the environment, as logs and labels show it."
  type        = string

  validation {
    condition     = can(regex("^[a-z][a-z0-9]{1,9}$", var.environment))
    error_message = "Two to ten small letters or digits."
  }
}

variable "firestore" {
  description = "Database id and location; location null: the region. customer_key needs Google's allow-list for the project."
  type = object({
    customer_key = optional(bool, false)
    database     = optional(string, "(default)")
    location     = optional(string)
  })
  default = {}
}

variable "load_balancer" {
  description = "One host with certificate and rate limits before all functions; null: none, one URL per function."
  type = object({
    domain = string
    # Requests a minute and address. A clinic behind one router shares an address.
    requests_per_minute = optional(number, 600)
    # For paths that take passwords.
    log_ins_per_minute = optional(number, 30)
  })
  default = null
}

variable "medgemma" {
  description = "A MedGemma endpoint of our own on Vertex AI; null: none. It bills by the hour from the first apply."
  type = object({
    accept_eula       = bool
    accelerator_count = optional(number, 2)
    accelerator_type  = optional(string, "NVIDIA_L4")
    machine_type      = optional(string, "g2-standard-24")
    max_replicas      = optional(number, 1)
    model             = optional(string, "publishers/google/models/medgemma@medgemma-4b-it")
    # What a replica costs an hour, for the dashboard: from the price page of the location.
    replica_hour_price = optional(number, 0)
  })
  default = null

  validation {
    condition     = var.medgemma == null || try(var.medgemma.accept_eula, false)
    error_message = "Read the model's terms of use, then set accept_eula."
  }
}

variable "min_instances" {
  description = "Whether instances are kept warm as infra/functions.yaml says; false: every function scales to zero."
  type        = bool
  default     = true
}

variable "model_cost" {
  description = "What the model may cost a day (0: no cap), and prices to estimate it by: of a million tokens asked and answered, of an hour of answering. One currency."
  type = object({
    daily_cap        = optional(number, 0)
    hour             = optional(number, 0)
    million_answered = optional(number, 0)
    million_asked    = optional(number, 0)
  })
  default = {}

  validation {
    condition     = var.model_cost.daily_cap == 0 || var.model_cost.hour + var.model_cost.million_answered + var.model_cost.million_asked > 0
    error_message = "A cap needs prices, or nothing is ever counted."
  }
}

variable "model_server" {
  description = "A server of one's own that speaks OpenAI's chat completions (vLLM, Ollama), instead of Vertex AI: where, the model's name there, and whether it wants the key in the secret model-api-key. null: none."
  type = object({
    key  = optional(bool, false)
    name = string
    url  = string
  })
  default = null

  validation {
    condition     = var.model_server == null || can(regex("^https://", var.model_server.url))
    error_message = "Patients' answers go there: https only."
  }

  validation {
    condition     = var.model_server == null || (var.medgemma == null && var.vertex.endpoint == "")
    error_message = "Choose one model: model_server, or medgemma or vertex."
  }

  validation {
    condition     = !try(var.model_server.key, false) || contains(keys(var.secret_versions), "model-api-key")
    error_message = "First add the key to the secret model-api-key (infra/runbooks/key-rotation.md), then name its version in secret_versions: the first one is random."
  }
}

variable "name" {
  description = "Name of the deployment: put before names that are not the project's alone."
  type        = string
  default     = "dermadetect"

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{2,19}$", var.name))
    error_message = "3 to 20 small letters, digits or hyphens."
  }
}

variable "notifier" {
  description = "Who pokes phones when an analysis is there: nobody (log), or Firebase Cloud Messaging (fcm), which needs Firebase in the project (infra/runbooks/deploy.md)."
  type        = string
  default     = "log"

  validation {
    condition     = contains(["fcm", "log"], var.notifier)
    error_message = "log or fcm."
  }
}

variable "operators" {
  description = "IAM members who run the runbooks (group:…, user:…). Empty: owners of the project only."
  type        = set(string)
  default     = []
}

variable "product" {
  description = "Which product this deployment serves: only its functions, indexes and collections are made."
  type        = string
  default     = "dermadetect"

  validation {
    condition     = contains(keys(jsondecode(file("${path.module}/../infra/collections.json"))), var.product)
    error_message = "A name that the setting PRODUCT may have."
  }
}

variable "project" {
  description = "Project id. One environment is one project."
  type        = string
}

variable "region" {
  # Some projects, new ones above all, may use Cloud Build only in us-central1, us-west2, europe-west1, asia-east1,
  # australia-southeast1 and southamerica-east1 (cloud.google.com/build/docs/locations).
  description = "Where functions, queues, buckets and keys are. In other regions than those in which Cloud Build always builds, ask for its quota first (infra/bootstrap.sh says so)."
  type        = string
  default     = "europe-west1"
}

variable "release" {
  description = "Name of the release, as `/version` and the logs show it: the commit."
  type        = string
  default     = "dev"
}

variable "second_look" {
  description = "A MedSigLIP endpoint in vertex.location for photos that the phone did not score, and the calibrated scores from which it says red or yellow (0: says nothing); null: none."
  type = object({
    endpoint    = string
    red_from    = optional(number, 0)
    yellow_from = optional(number, 0)
  })
  default = null
}

variable "secret_days" {
  description = "Age of a secret, in days, at which operators are told to renew it."
  type        = number
  default     = 90
}

variable "secret_versions" {
  description = "Which version of a secret the functions read, by name; the first, random one unless given. Values are added with gcloud, never here. Signing keys are not among them: their newest version counts."
  type        = map(string)
  default     = {}
}

variable "settings" {
  description = "Other settings of .env.example that differ from their defaults, for every function."
  type        = map(string)
  default     = {}

  validation {
    condition     = length(setsubtract(keys(var.settings), local.free_settings)) == 0
    error_message = "Not for `settings` (unknown, a secret, or another variable's: terraform/settings.tf): ${join(", ", setsubtract(keys(var.settings), local.free_settings))}."
  }
}

variable "slo" {
  description = "What is promised of sync: share of requests without a server's error, and share within the time."
  type = object({
    availability    = optional(number, 0.995)
    latency         = optional(number, 0.95)
    latency_seconds = optional(number, 5)
  })
  default = {}
}

variable "source_archive" {
  description = "The functions' source, made by `python -m infra.ci.package`."
  type        = string
  default     = "../.build/source.zip"
}

variable "trigger" {
  description = "When Cloud Build runs for this environment: a connected repository and a branch or tag; null: never."
  type = object({
    approval   = bool
    branch     = optional(string)
    repository = string
    tag        = optional(string)
  })
  default = null

  validation {
    condition     = var.trigger == null || try((var.trigger.branch == null) != (var.trigger.tag == null), false)
    error_message = "Give a branch or a tag."
  }
}

variable "vertex" {
  description = "A MedGemma endpoint that exists already: its full name, and whether it has a DNS name of its own. Ignored with `medgemma`. location is used by both, and by second_look."
  type = object({
    dedicated = optional(bool, true)
    endpoint  = optional(string, "")
    location  = optional(string, "europe-west4")
  })
  default = {}
}
