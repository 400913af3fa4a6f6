# What is the region's of the plan. Keys follow from the plan's regions alone; addresses
# may be known later.
locals {
  nodes   = { for name, n in var.nodes : name => n if n.region == var.region }
  zones   = { for name, zone in var.zones : name => zone if can(regex("^${var.region}-[oe][0-9]+$", name)) }
  origins = { for name, n in local.nodes : name => n if n.kind == "origin" }
  subnets = { for s in values(var.subnets) : s.zone => s if s.region == var.region }

  # Other clusters may stand in the same project.
  prefix = "${var.cluster_name}-${var.region}"
  labels = merge(var.labels, { "tmms-cluster" = var.cluster_name, "tmms-region" = var.region })

  # Ten servers fit into a group, which keeps them on different hosts. An origin's follows
  # from its number alone, so that it stays there when others come.
  groups = { for name, n in local.origins : name => "${n.zone}-${floor((n.index - 1) / 10)}" }
}

resource "hcloud_network" "this" {
  name     = local.prefix
  ip_range = var.cidr
  labels   = local.labels
}

resource "hcloud_network_subnet" "zone" {
  for_each     = local.subnets
  network_id   = hcloud_network.this.id
  type         = "cloud"
  network_zone = var.network_zone
  ip_range     = each.value.cidr
}

# The addresses are nobody's life: a new server takes its name's old ones.
resource "hcloud_primary_ip" "ipv4" {
  for_each    = local.zones
  name        = "${var.cluster_name}-${each.key}"
  type        = "ipv4"
  location    = each.value
  auto_delete = false
  labels      = local.labels
}

resource "hcloud_primary_ip" "ipv6" {
  for_each    = local.zones
  name        = "${var.cluster_name}-${each.key}-ipv6"
  type        = "ipv6"
  location    = each.value
  auto_delete = false
  labels      = local.labels
}

resource "hcloud_placement_group" "origins" {
  for_each = toset(values(local.groups))
  name     = "${local.prefix}-origins-${each.key}"
  type     = "spread"
  labels   = local.labels
}

# An origin's data lives on a volume of its own. Its name on the host follows from its ID.
resource "hcloud_volume" "data" {
  for_each          = local.origins
  name              = "${var.cluster_name}-${each.key}-data"
  size              = var.data_gb
  location          = each.value.zone
  delete_protection = true
  labels            = local.labels
}

module "user_data" {
  source         = "../user-data"
  for_each       = local.nodes
  node           = each.value
  cluster        = var.cluster
  config         = var.config
  binary         = var.binary
  secrets        = var.secrets
  data_disk      = each.value.kind == "origin" ? "/dev/disk/by-id/scsi-0HC_Volume_${hcloud_volume.data[each.key].id}" : ""
  tokens         = var.tokens
  admin_listen   = var.admin_listen
  tls_certs      = var.tls_certs
  logs           = var.logs
  extra_files    = var.extra_files
  extra_commands = var.extra_commands
}

# Neither a new image nor new user data touches a node that runs: it would touch all
# voters at a time. A node takes them when it is replaced, one by one, by
#   terraform apply -replace='module.MODULE.hcloud_server.node["NAME"]'
resource "hcloud_server" "node" {
  for_each                 = local.nodes
  name                     = "${var.cluster_name}-${each.key}"
  server_type              = each.value.kind == "origin" ? var.origin_type : var.edge_type
  image                    = var.image
  location                 = each.value.zone
  ssh_keys                 = var.ssh_keys
  user_data                = module.user_data[each.key].cloud_init
  firewall_ids             = [hcloud_firewall.node.id]
  placement_group_id       = each.value.kind == "origin" ? hcloud_placement_group.origins[local.groups[each.key]].id : null
  shutdown_before_deletion = true # so that the node drains and unmounts
  labels                   = merge(local.labels, { "tmms-node" = each.key, "tmms-kind" = each.value.kind })
  public_net {
    ipv4_enabled = true
    ipv4         = hcloud_primary_ip.ipv4[each.key].id
    ipv6_enabled = true
    ipv6         = hcloud_primary_ip.ipv6[each.key].id
  }
  network {
    subnet_id = hcloud_network_subnet.zone[each.value.zone].id
    ip        = each.value.private_address
    alias_ips = [] # else it is taken off and put on again by every apply
  }
  lifecycle {
    ignore_changes = [image, user_data, ssh_keys]
    precondition {
      condition     = length(module.user_data[each.key].cloud_init) <= 32768
      error_message = "${each.key}: ${length(module.user_data[each.key].cloud_init)} characters of user data: Hetzner takes 32 KiB."
    }
  }
}

resource "hcloud_volume_attachment" "data" {
  for_each  = local.origins
  volume_id = hcloud_volume.data[each.key].id
  server_id = hcloud_server.node[each.key].id
  automount = false # install.sh mounts it
}
