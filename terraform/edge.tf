# One host before all public functions: certificate, path rules, rate limits. `load_balancer = null`
# leaves it out (about 20 dollars a month): then each function has an address of its own, without
# rate limits but its own.

locals {
  balanced = { for name, row in local.public : name => row if var.load_balancer != null }
  edge     = var.load_balancer == null ? 0 : 1
}

resource "google_compute_region_network_endpoint_group" "functions" {
  for_each = local.balanced

  name                  = "${var.name}-${module.function[each.key].service}"
  region                = var.region
  network_endpoint_type = "SERVERLESS"

  cloud_run {
    service = module.function[each.key].service
  }

  lifecycle {
    create_before_destroy = true
  }
}

resource "google_compute_backend_service" "functions" {
  for_each = local.balanced

  name                  = "${var.name}-${module.function[each.key].service}"
  load_balancing_scheme = "EXTERNAL_MANAGED"
  protocol              = "HTTPS"
  security_policy       = google_compute_security_policy.edge[0].id

  backend {
    group = google_compute_region_network_endpoint_group.functions[each.key].id
  }

  # No CDN: answers are patients' data.
  enable_cdn = false

  log_config {
    enable      = true
    sample_rate = 1
  }
}

resource "google_compute_url_map" "edge" {
  count = local.edge

  name            = var.name
  default_service = google_compute_backend_service.functions["status"].id

  host_rule {
    hosts        = [var.load_balancer.domain]
    path_matcher = "functions"
  }

  path_matcher {
    name            = "functions"
    default_service = google_compute_backend_service.functions["status"].id

    dynamic "path_rule" {
      for_each = local.balanced

      content {
        paths   = path_rule.value.paths
        service = google_compute_backend_service.functions[path_rule.key].id
      }
    }
  }
}

resource "google_compute_security_policy" "edge" {
  count = local.edge

  name        = var.name
  description = "Rate limits per address. The functions limit per account themselves."
  type        = "CLOUD_ARMOR"

  rule {
    description = "Known holes of logging libraries."
    action      = "deny(403)"
    priority    = 100

    match {
      expr {
        expression = "evaluatePreconfiguredWaf('cve-canary')"
      }
    }
  }

  rule {
    description = "Passwords: slow down guessing."
    action      = "throttle"
    priority    = 200

    match {
      expr {
        expression = "request.path.startsWith('/api/v1/auth/')"
      }
    }

    rate_limit_options {
      conform_action = "allow"
      exceed_action  = "deny(429)"
      enforce_on_key = "IP"

      rate_limit_threshold {
        count        = var.load_balancer.log_ins_per_minute
        interval_sec = 60
      }
    }
  }

  rule {
    description = "Everything else."
    action      = "throttle"
    priority    = 300

    match {
      versioned_expr = "SRC_IPS_V1"

      config {
        src_ip_ranges = ["*"]
      }
    }

    rate_limit_options {
      conform_action = "allow"
      exceed_action  = "deny(429)"
      enforce_on_key = "IP"

      rate_limit_threshold {
        count        = var.load_balancer.requests_per_minute
        interval_sec = 60
      }
    }
  }

  rule {
    description = "Cloud Armor wants a last rule; the one before takes everything."
    action      = "allow"
    priority    = 2147483647

    match {
      versioned_expr = "SRC_IPS_V1"

      config {
        src_ip_ranges = ["*"]
      }
    }
  }

  depends_on = [terraform_data.apis]
}

resource "google_compute_managed_ssl_certificate" "edge" {
  count = local.edge

  # A changed domain needs a new certificate, and the old one is in use until then.
  name = "${var.name}-${substr(sha256(var.load_balancer.domain), 0, 8)}"

  managed {
    domains = [var.load_balancer.domain]
  }

  lifecycle {
    create_before_destroy = true
  }

  depends_on = [terraform_data.apis]
}

resource "google_compute_ssl_policy" "edge" {
  count = local.edge

  name            = var.name
  profile         = "MODERN"
  min_tls_version = "TLS_1_2"

  depends_on = [terraform_data.apis]
}

resource "google_compute_global_address" "edge" {
  count = local.edge

  name = var.name

  depends_on = [terraform_data.apis]
}

resource "google_compute_target_https_proxy" "edge" {
  count = local.edge

  name             = var.name
  url_map          = google_compute_url_map.edge[0].id
  ssl_certificates = [google_compute_managed_ssl_certificate.edge[0].id]
  ssl_policy       = google_compute_ssl_policy.edge[0].id
}

resource "google_compute_global_forwarding_rule" "https" {
  count = local.edge

  name                  = "${var.name}-https"
  load_balancing_scheme = "EXTERNAL_MANAGED"
  ip_address            = google_compute_global_address.edge[0].id
  port_range            = "443"
  target                = google_compute_target_https_proxy.edge[0].id
}

# Port 80 answers nothing but the way to 443.
resource "google_compute_url_map" "redirect" {
  count = local.edge

  name = "${var.name}-redirect"

  default_url_redirect {
    https_redirect         = true
    redirect_response_code = "MOVED_PERMANENTLY_DEFAULT"
    strip_query            = false
  }

  depends_on = [terraform_data.apis]
}

resource "google_compute_target_http_proxy" "redirect" {
  count = local.edge

  name    = "${var.name}-redirect"
  url_map = google_compute_url_map.redirect[0].id
}

resource "google_compute_global_forwarding_rule" "http" {
  count = local.edge

  name                  = "${var.name}-http"
  load_balancing_scheme = "EXTERNAL_MANAGED"
  ip_address            = google_compute_global_address.edge[0].id
  port_range            = "80"
  target                = google_compute_target_http_proxy.redirect[0].id
}
