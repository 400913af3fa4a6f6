terraform {
  required_version = ">= 1.9"
  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = "~> 5.0"
    }
  }
}

# A provider for each region: Terraform has no for_each over them, so a further region is
# a provider, a module "region_..." and a peering with each of the others.
provider "aws" {
  alias  = "eu"
  region = var.aws_regions.eu
}

provider "aws" {
  alias  = "us"
  region = var.aws_regions.us
}
