#!/usr/bin/env bash
# What Terraform cannot make for itself, in an empty project with billing: the APIs that it needs first,
# the bucket of its state, and the accounts that Google's services act as. May be repeated.
#
#     bash infra/bootstrap.sh PROJECT REGION
set -euo pipefail
project=${1:?usage: bash infra/bootstrap.sh PROJECT REGION} region=${2:?usage: bash infra/bootstrap.sh PROJECT REGION}

gcloud services enable --project="$project" serviceusage.googleapis.com cloudresourcemanager.googleapis.com storage.googleapis.com pubsub.googleapis.com secretmanager.googleapis.com artifactregistry.googleapis.com firestore.googleapis.com
if ! gcloud storage buckets describe "gs://$project-terraform" >/dev/null 2>&1; then
  gcloud storage buckets create "gs://$project-terraform" --project="$project" --location="$region" --uniform-bucket-level-access --public-access-prevention
fi
gcloud storage buckets update "gs://$project-terraform" --versioning
for service in pubsub secretmanager artifactregistry firestore; do
  gcloud beta services identity create --project="$project" --service="$service.googleapis.com"
done
echo "now: values in terraform/environments/, then make deploy-check"
