variable "access" {
  description = "What the function may do; terraform/access.tf says what the words mean."
  type = object({
    model    = bool
    notifies = bool
    photos   = list(string)
    records  = string
    rings    = bool
    signs    = bool
  })

  validation {
    condition     = contains(["none", "read", "write"], var.access.records)
    error_message = "records is none, read or write."
  }

  validation {
    condition     = alltrue([for word in var.access.photos : contains(["add", "clear", "read", "remove"], word)])
    error_message = "photos holds add, clear, read or remove."
  }
}

variable "build" {
  description = "Who builds the function's image, and where it is kept."
  type = object({
    repository      = string
    service_account = string
  })
}

variable "custom_roles" {
  description = "Our own roles, by name. pokes_phones is null where no function notifies."
  type = object({
    asks_model     = string
    deletes_photos = string
    pokes_phones   = string
    signs_links    = string
  })
}

variable "database" {
  description = "Firestore database id."
  type        = string
}

variable "deployer" {
  description = "Account that deploys; it may act as this function's accounts."
  type        = string
}

variable "environment" {
  description = "Environment variables."
  type        = map(string)
}

variable "load_balanced" {
  description = "Whether public requests come through the load balancer only."
  type        = bool
}

variable "min_instances" {
  description = "Instances that are kept warm."
  type        = number
}

variable "name" {
  description = "The function's name in infra/functions.yaml; also its module and callable."
  type        = string
}

variable "photo_bucket" {
  description = "Bucket of photos."
  type        = string
}

variable "project" {
  description = "Project id."
  type        = string
}

variable "reads_secrets" {
  description = "Secrets that the function reads itself: name → secret id."
  type        = map(string)
}

variable "region" {
  description = "Region of the function."
  type        = string
}

variable "row" {
  description = "The function's row in infra/functions.yaml."
  type = object({
    concurrency     = number
    cpu             = number
    description     = string
    max_instances   = number
    memory          = string
    timeout_seconds = number
    trigger         = string
  })
}

variable "secrets" {
  description = "Environment variable → secret and its version."
  type = map(object({
    id      = string
    version = string
  }))
}

variable "source_archive" {
  description = "Where the source is."
  type = object({
    bucket = string
    object = string
  })
}

variable "token_maker" {
  description = "Google's agent that makes the tokens of the caller; null for public functions."
  type        = string
}

variable "topics" {
  description = "Topics of all job kinds, by kind."
  type        = map(string)
}
