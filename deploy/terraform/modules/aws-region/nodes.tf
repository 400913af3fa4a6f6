# An origin's data lives on a volume of its own. Its name on the host follows from its ID.
resource "aws_ebs_volume" "data" {
  for_each          = local.origins
  availability_zone = each.value.zone
  size              = var.data_gb
  type              = "gp3"
  encrypted         = true
  kms_key_id        = local.kms
  tags              = merge(local.tags, { Name = "${var.cluster_name}-${each.key}-data" })
}

# Who has a join token gets its certificate from an origin that has an issuer's key.
locals {
  configs = {
    edge = var.config
    origin = merge(var.config, {
      cluster = merge({ for key, path in { ca_key_file = "/etc/tmms/pki/issuer.key" } : key => path if var.issuer }, try(var.config.cluster, {}))
    })
  }
}

module "user_data" {
  source   = "../user-data"
  for_each = local.nodes
  node     = each.value
  cluster  = var.cluster
  config   = local.configs[each.value.kind]
  binary   = var.binary
  secrets = {
    method = "command"
    command = templatefile("${path.module}/fetch.sh.tftpl", {
      region = data.aws_region.here.name
      path   = "/${var.cluster_name}/nodes/${each.key}"
      files = merge(
        { for f in ["ca.crt", "node.crt", "gossip.key", "node.key"] : f => "$PKI/${f}" },
        var.issuer && each.value.kind == "origin" ? { "issuer.key" = "$PKI/issuer.key" } : {},
        var.tokens ? { "tokens.yaml" = "$ETC/tokens.yaml" } : {},
      )
    })
  }
  data_disk      = each.value.kind == "origin" ? "/dev/disk/by-id/nvme-Amazon_Elastic_Block_Store_${replace(aws_ebs_volume.data[each.key].id, "-", "")}" : ""
  tokens         = var.tokens
  admin_listen   = var.admin_listen
  tls_certs      = var.tls_certs
  logs           = var.logs
  extra_files    = var.extra_files
  extra_commands = var.extra_commands
}

# The addresses belong to the interface and the interface to nobody's life: a new
# instance takes it, the name's old addresses and the rules with it.
resource "aws_network_interface" "node" {
  for_each           = local.nodes
  subnet_id          = aws_subnet.zone[each.value.zone].id
  private_ips        = [each.value.private_address]
  ipv6_address_count = 1
  security_groups    = [aws_security_group.node.id]
  tags               = merge(local.tags, { Name = "${var.cluster_name}-${each.key}" })
  depends_on         = [aws_ec2_subnet_cidr_reservation.fixed]
}

resource "aws_eip" "node" {
  for_each = local.names
  domain   = "vpc"
  tags     = merge(local.tags, { Name = "${var.cluster_name}-${each.key}" })
}

resource "aws_eip_association" "node" {
  for_each             = local.nodes
  allocation_id        = aws_eip.node[each.key].id
  network_interface_id = aws_network_interface.node[each.key].id
  depends_on           = [aws_internet_gateway.this]
}

# Neither a new image nor new user data touches a node that runs: it would touch all
# voters at a time. A node takes them when it is replaced, one by one, by
#   terraform apply -replace='module.MODULE.aws_instance.node["NAME"]'
resource "aws_instance" "node" {
  for_each             = local.nodes
  ami                  = local.ami
  instance_type        = each.value.kind == "origin" ? var.origin_type : var.edge_type
  availability_zone    = each.value.zone
  iam_instance_profile = aws_iam_instance_profile.node[each.key].name
  key_name             = var.key_name == "" ? null : var.key_name
  user_data_base64     = module.user_data[each.key].cloud_init_gzip
  network_interface {
    device_index         = 0
    network_interface_id = aws_network_interface.node[each.key].id
  }
  metadata_options {
    http_endpoint               = "enabled"
    http_tokens                 = "required"
    http_put_response_hop_limit = 1
  }
  root_block_device {
    encrypted             = true
    kms_key_id            = local.kms
    volume_type           = "gp3"
    volume_size           = 8 # GiB
    delete_on_termination = true
    tags                  = merge(local.tags, { Name = "${var.cluster_name}-${each.key}" })
  }
  tags = merge(local.tags, {
    Name         = "${var.cluster_name}-${each.key}"
    "tmms:node"  = each.key
    "tmms:roles" = join(" ", each.value.roles)
  })
  # The network and the rights are there before the first start.
  depends_on = [aws_eip_association.node, aws_route.ipv4, aws_route.ipv6, aws_route_table_association.zone, aws_iam_role_policy.node, aws_vpc_security_group_egress_rule.node]
  lifecycle {
    ignore_changes = [ami, user_data, user_data_base64]
  }
}

resource "aws_volume_attachment" "data" {
  for_each                       = local.origins
  device_name                    = "/dev/sdf"
  volume_id                      = aws_ebs_volume.data[each.key].id
  instance_id                    = aws_instance.node[each.key].id
  stop_instance_before_detaching = true # so that the node drains and unmounts
}
