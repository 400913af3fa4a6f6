# What is the region's of the plan. Keys follow from the plan's regions alone; addresses
# may be known later.
locals {
  nodes   = { for name, n in var.nodes : name => n if n.region == var.region }
  names   = toset([for name in var.names : name if can(regex("^${var.region}-[oe][0-9]+$", name))])
  origins = { for name, n in local.nodes : name => n if n.kind == "origin" }
  edges   = { for name, n in local.nodes : name => n if n.kind == "edge" }
  subnets = { for s in values(var.subnets) : s.zone => s if s.region == var.region }

  # Other clusters may stand in the same account and region.
  prefix = "${var.cluster_name}-${var.region}"
  tags   = merge(var.tags, { "tmms:cluster" = var.cluster_name, "tmms:region" = var.region })
  kms    = var.kms_key_arn == "" ? null : var.kms_key_arn

  arch = { amd64 = "x86_64", arm64 = "arm64" }[var.architecture]
  ami  = var.ami != "" ? var.ami : one(data.aws_ami.debian[*].id)
}

data "aws_region" "here" {}
data "aws_partition" "here" {}
data "aws_caller_identity" "here" {}

data "aws_ami" "debian" {
  count       = var.ami == "" ? 1 : 0
  most_recent = true
  owners      = ["136693071363"] # Debian's account
  filter {
    name   = "name"
    values = ["debian-12-${var.architecture}-*"]
  }
  filter {
    name   = "architecture"
    values = [local.arch]
  }
}
