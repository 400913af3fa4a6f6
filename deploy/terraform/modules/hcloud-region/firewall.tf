# A rule for each port. What no rule names is closed on the public addresses; on the
# private network, which has nodes alone, nothing is.
locals {
  own = concat(
    [for ip in values(hcloud_primary_ip.ipv4) : "${ip.ip_address}/32"],
    [for ip in values(hcloud_primary_ip.ipv6) : ip.ip_network],
  )
  sources = {
    world     = ["0.0.0.0/0", "::/0"]
    nodes     = concat(local.own, var.nodes_cidrs)
    operators = var.operators_cidrs
  }
  ssh = [{ name = "ssh", protocol = "tcp", port = 22, from = "operators" }]
}

resource "hcloud_firewall" "node" {
  name   = "${local.prefix}-node"
  labels = local.labels
  dynamic "rule" {
    for_each = [for f in concat(var.firewall, local.ssh) : f if f.from != "operators" || length(var.operators_cidrs) > 0]
    content {
      direction   = "in"
      protocol    = rule.value.protocol
      port        = tostring(rule.value.port)
      source_ips  = local.sources[rule.value.from]
      description = "${rule.value.name} from ${rule.value.from}"
    }
  }
}
