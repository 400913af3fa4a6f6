locals {
  cidrs = { eu = "10.1.0.0/16", us = "10.2.0.0/16" }
  # Two zones a region; zones are named as AWS names them.
  zones = { for k, region in var.aws_regions : k => ["${region}a", "${region}b"] }
  # The monitoring host asks the nodes' admin API, as operators do.
  operators_cidrs = concat(var.operators_cidrs, [for m in module.monitoring : "${m.address}/32"])
}

module "plan" {
  source  = "../../modules/plan"
  cluster = var.cluster
  domain  = var.domain
  regions = { for k, region in var.aws_regions : k => {
    provider       = "aws"
    zones          = local.zones[k]
    cidr           = local.cidrs[k]
    origins        = var.origins[k]
    edges          = var.edges[k]
    autoscaled     = var.autoscaled
    latency_region = region
  } }
  pinned_voters    = var.pinned_voters
  public_addresses = merge(module.eu.public_addresses, module.us.public_addresses)
}

module "eu" {
  source          = "../../modules/aws-region"
  providers       = { aws = aws.eu }
  region          = "eu"
  names           = module.plan.names
  nodes           = module.plan.nodes
  cluster_name    = var.cluster
  cluster         = module.plan.cluster
  cidr            = local.cidrs.eu
  subnets         = module.plan.subnets
  firewall        = module.plan.firewall
  nodes_cidrs     = values(local.cidrs)
  operators_cidrs = local.operators_cidrs
  ami             = var.amis.eu
  binary          = var.binary
  tokens          = true
  admin_listen    = ":8090"
  autoscaled      = var.autoscaled
  issuer          = var.autoscaled.max > 0
  load_balancer   = var.load_balancer
}

module "us" {
  source          = "../../modules/aws-region"
  providers       = { aws = aws.us }
  region          = "us"
  names           = module.plan.names
  nodes           = module.plan.nodes
  cluster_name    = var.cluster
  cluster         = module.plan.cluster
  cidr            = local.cidrs.us
  subnets         = module.plan.subnets
  firewall        = module.plan.firewall
  nodes_cidrs     = values(local.cidrs)
  operators_cidrs = local.operators_cidrs
  ami             = var.amis.us
  binary          = var.binary
  tokens          = true
  admin_listen    = ":8090"
  autoscaled      = var.autoscaled
  issuer          = var.autoscaled.max > 0
  load_balancer   = var.load_balancer
}

module "eu_us" {
  source    = "../../modules/aws-peering"
  providers = { aws.a = aws.eu, aws.b = aws.us }
  name      = "${var.cluster}-eu-us"
  a         = module.eu.peer
  b         = module.us.peer
  tags      = { "tmms:cluster" = var.cluster }
}

module "monitoring" {
  source          = "../../modules/aws-monitoring"
  providers       = { aws = aws.eu }
  count           = var.monitoring == null ? 0 : 1
  cluster_name    = var.cluster
  nodes           = module.plan.nodes
  autoscaled      = var.autoscaled.max > 0 ? values(var.aws_regions) : []
  peer            = module.eu.peer
  cidr            = local.cidrs.eu
  zone            = local.zones.eu[0]
  operators_cidrs = var.operators_cidrs
  ami             = var.monitoring.ami
  key_name        = var.monitoring.key_name
  grafana         = var.monitoring.grafana
}

module "dns" {
  source         = "../../modules/aws-dns"
  providers      = { aws = aws.eu }
  zone_id        = var.zone_id
  records        = module.plan.dns
  ipv6           = merge(module.eu.ipv6_addresses, module.us.ipv6_addresses)
  load_balancers = var.load_balancer ? { eu = module.eu.load_balancer, us = module.us.load_balancer } : {}
  tags           = { "tmms:cluster" = var.cluster }
}
