# MedGemma on Vertex AI. Off unless `medgemma` is given: a replica bills by the hour from the moment
# it is deployed, asked or not, and Vertex AI keeps at least one.
#
# Drift: the provider reads neither model nor replicas back, so what was changed by hand, or undeployed beneath
# the endpoint, is in no plan. And it changes nothing in place: another machine, model or number of replicas
# deletes the endpoint and makes another one, half an hour or more in which red cases wait.
# infra/runbooks/ai-endpoint-down.md has the way round.

resource "google_vertex_ai_endpoint_with_model_garden_deployment" "medgemma" {
  count = var.medgemma == null ? 0 : 1

  location             = var.vertex.location
  publisher_model_name = var.medgemma.model

  model_config {
    accept_eula = var.medgemma.accept_eula
  }

  endpoint_config {
    endpoint_display_name      = "${var.name}-medgemma"
    dedicated_endpoint_enabled = true
  }

  deploy_config {
    dedicated_resources {
      min_replica_count = 1
      max_replica_count = var.medgemma.max_replicas

      machine_spec {
        machine_type      = var.medgemma.machine_type
        accelerator_type  = var.medgemma.accelerator_type
        accelerator_count = var.medgemma.accelerator_count
      }
    }
  }

  depends_on = [terraform_data.apis]
}
