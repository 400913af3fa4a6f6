locals {
  cidr  = "10.1.0.0/16"
  zones = [for z in ["a", "b", "c"] : "${var.aws_region}${z}"]
  hosts = merge(values(var.edges)[*].hosts...)
}

# Nodes reach each other at public addresses: the origins' are elastic, and follow from
# the names alone.
module "plan" {
  source  = "../../modules/plan"
  cluster = var.cluster
  domain  = var.domain
  regions = merge(
    { aws = { provider = "aws", zones = local.zones, cidr = local.cidr, origins = var.origins, latency_region = var.aws_region } },
    { for k, r in var.edges : k => {
      provider = "ssh", edges = length(r.hosts), edge_gbps = r.gbps, latency_region = r.latency_region
      hosts    = { for name, h in r.hosts : name => { address = h.address } }
    } },
  )
  pinned_voters    = var.pinned_voters
  addresses        = module.origins.public_addresses
  public_addresses = module.origins.public_addresses
}

module "origins" {
  source          = "../../modules/aws-region"
  region          = "aws"
  names           = module.plan.names
  nodes           = module.plan.nodes
  cluster_name    = var.cluster
  cluster         = module.plan.cluster
  cidr            = local.cidr
  subnets         = module.plan.subnets
  firewall        = module.plan.firewall
  nodes_cidrs     = [for name in sort(keys(local.hosts)) : "${local.hosts[name].address}/32"]
  operators_cidrs = var.operators_cidrs
  ami             = var.ami
  binary          = var.binary
  tokens          = true
  admin_listen    = ":8090"
}

# The origins too reach each other at their elastic addresses, by the Internet's gateway,
# and come from those.
locals {
  origins = [for name, n in module.plan.nodes : name if n.kind == "origin"]
  inner   = { for pair in setproduct(local.origins, [for f in module.plan.firewall : f if f.from == "nodes"]) : "${pair[1].name} ${pair[0]}" => merge(pair[1], { node = pair[0] }) }
}

resource "aws_vpc_security_group_ingress_rule" "origin" {
  for_each          = local.inner
  security_group_id = module.origins.security_group_id
  description       = "${each.value.name} from ${each.value.node}"
  ip_protocol       = each.value.protocol
  from_port         = each.value.port
  to_port           = each.value.port
  cidr_ipv4         = "${module.origins.public_addresses[each.value.node]}/32"
}

module "edge" {
  source      = "../../modules/ssh-host"
  for_each    = local.hosts
  node        = module.plan.nodes[each.key]
  cluster     = module.plan.cluster
  pki_dir     = var.pki_dir
  binary      = var.binary
  tokens_file = var.tokens_file
  host_key    = each.value.host_key
  ssh = {
    host     = each.value.address
    port     = each.value.ssh_port
    user     = var.ssh_user
    key_file = var.ssh_key_file
    bastion  = each.value.bastion
  }
}

module "dns" {
  source  = "../../modules/aws-dns"
  zone_id = var.zone_id
  records = module.plan.dns
  ipv6    = module.origins.ipv6_addresses
  tags    = { "tmms:cluster" = var.cluster }
}
