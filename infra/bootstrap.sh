#!/usr/bin/env bash
# What Terraform cannot make for itself, in an empty project with billing: the APIs, the bucket of its state,
# and the accounts that Google's services act as. Then it looks for what would stop an apply later: a region
# in which Cloud Build does not build, policies of an organisation. May be repeated.
#
#     bash infra/bootstrap.sh PROJECT REGION
set -euo pipefail
project=${1:?usage: bash infra/bootstrap.sh PROJECT REGION} region=${2:?usage: bash infra/bootstrap.sh PROJECT REGION}

# The list of terraform/project.tf; at most twenty in one call.
gcloud services enable --project="$project" \
  serviceusage.googleapis.com cloudresourcemanager.googleapis.com iam.googleapis.com iamcredentials.googleapis.com \
  compute.googleapis.com storage.googleapis.com pubsub.googleapis.com secretmanager.googleapis.com \
  artifactregistry.googleapis.com firestore.googleapis.com cloudkms.googleapis.com orgpolicy.googleapis.com
gcloud services enable --project="$project" \
  aiplatform.googleapis.com billingbudgets.googleapis.com cloudbuild.googleapis.com cloudfunctions.googleapis.com \
  cloudscheduler.googleapis.com cloudtrace.googleapis.com containeranalysis.googleapis.com \
  firebaserules.googleapis.com logging.googleapis.com monitoring.googleapis.com run.googleapis.com

if ! gcloud storage buckets describe "gs://$project-terraform" >/dev/null 2>&1; then
  gcloud storage buckets create "gs://$project-terraform" --project="$project" --location="$region" --uniform-bucket-level-access --public-access-prevention
fi
gcloud storage buckets update "gs://$project-terraform" --versioning

for service in artifactregistry cloudbuild cloudfunctions cloudscheduler firestore pubsub run secretmanager; do
  gcloud beta services identity create --project="$project" --service="$service.googleapis.com"
done
gcloud storage service-agent --project="$project"

# --- what would stop an apply later

wrong=0
say() {
  echo "! $1" >&2
  wrong=1
}

# Some projects, new ones above all, build in these regions only (cloud.google.com/build/docs/locations).
case $region in
  us-central1 | us-west2 | europe-west1 | asia-east1 | australia-southeast1 | southamerica-east1) ;;
  *) say "Cloud Build may be restricted in $region: the functions' builds would fail with 'quota restrictions'. Ask for quota of Cloud Build in $region first, or take another region" ;;
esac

# Phones bring our own tokens, so public functions are open to allUsers.
if gcloud org-policies describe iam.allowedPolicyMemberDomains --effective --project="$project" 2>/dev/null | grep -q 'allowedValues'; then
  say "the organisation restricts sharing to domains (iam.allowedPolicyMemberDomains): allow all for this project, or allUsers is refused on the public functions"
fi
if gcloud org-policies describe gcp.resourceLocations --effective --project="$project" 2>/dev/null | grep -q 'allowedValues'; then
  say "the organisation restricts locations (gcp.resourceLocations): $region, the export's location and global must be among them"
fi

[[ $wrong == 0 ]] || echo "the lines with ! are warnings: terraform apply would stop there" >&2
echo "now: values in terraform/environments/, then make deploy-check"
