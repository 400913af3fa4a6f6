# A rule for each port and each network that it is open to. What no rule names is closed.
locals {
  sources = {
    world     = ["0.0.0.0/0", "::/0"]
    nodes     = distinct(concat([var.cidr], var.nodes_cidrs))
    operators = distinct(var.operators_cidrs)
  }
  ssh = var.key_name == "" ? [] : [{ name = "ssh", protocol = "tcp", port = 22, from = "operators" }]
  rules = merge([for f in concat(var.firewall, local.ssh) : {
    for source in local.sources[f.from] : "${f.name} ${source}" => merge(f, { source = source })
  }]...)
}

resource "aws_security_group" "node" {
  name        = "${local.prefix}-node"
  description = "Nodes of ${var.cluster_name}"
  vpc_id      = aws_vpc.this.id
  tags        = merge(local.tags, { Name = "${local.prefix}-node" })
  lifecycle {
    ignore_changes = [ingress, egress] # the rules below
  }
}

resource "aws_vpc_security_group_ingress_rule" "node" {
  for_each          = local.rules
  security_group_id = aws_security_group.node.id
  description       = "${each.value.name} from ${each.value.from}"
  ip_protocol       = each.value.protocol
  from_port         = each.value.port
  to_port           = each.value.port
  cidr_ipv4         = strcontains(each.value.source, ":") ? null : each.value.source
  cidr_ipv6         = strcontains(each.value.source, ":") ? each.value.source : null
  tags              = local.tags
}

resource "aws_vpc_security_group_egress_rule" "node" {
  for_each          = toset(local.sources.world)
  security_group_id = aws_security_group.node.id
  description       = "anything out"
  ip_protocol       = "-1"
  cidr_ipv4         = strcontains(each.key, ":") ? null : each.key
  cidr_ipv6         = strcontains(each.key, ":") ? each.key : null
  tags              = local.tags
}
