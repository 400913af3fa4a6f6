# The viewers' TCP ports of the region's edges behind one name, by IPv4 and IPv6. HTTP/3 is
# not: viewers find it under the nodes' own names.
locals {
  balanced = var.load_balancer ? { for f in var.firewall : tostring(f.port) => "TCP" if f.from == "world" && f.protocol == "tcp" } : {}
  targets  = { for pair in setproduct(keys(local.balanced), keys(local.edges)) : "${pair[1]} ${pair[0]}" => { port = pair[0], node = pair[1] } }
}

resource "aws_lb" "edge" {
  count                            = var.load_balancer ? 1 : 0
  name                             = substr("${local.prefix}-edge", 0, 32)
  load_balancer_type               = "network"
  internal                         = false
  ip_address_type                  = "dualstack"
  subnets                          = [for zone in sort(keys(local.subnets)) : aws_subnet.zone[zone].id]
  enable_cross_zone_load_balancing = true
  tags                             = local.tags
  depends_on                       = [aws_internet_gateway.this]
  lifecycle {
    precondition {
      condition     = length("${local.prefix}-edge") <= 32
      error_message = "load balancer \"${local.prefix}-edge\": its name has ${length("${local.prefix}-edge")} characters, AWS allows 32."
    }
  }
}

resource "aws_lb_target_group" "edge" {
  for_each             = local.balanced
  name                 = "${substr(local.prefix, 0, 26)}-${each.key}"
  port                 = tonumber(each.key)
  protocol             = each.value
  vpc_id               = aws_vpc.this.id
  deregistration_delay = min(3600, var.drain_seconds)
  health_check {
    protocol = "TCP"
    port     = "8080"
    interval = 10
  }
  tags = local.tags
}

resource "aws_lb_listener" "edge" {
  for_each          = local.balanced
  load_balancer_arn = aws_lb.edge[0].arn
  port              = tonumber(each.key)
  protocol          = each.value
  default_action {
    type             = "forward"
    target_group_arn = aws_lb_target_group.edge[each.key].arn
  }
  tags = local.tags
}

resource "aws_lb_target_group_attachment" "edge" {
  for_each         = local.targets
  target_group_arn = aws_lb_target_group.edge[each.value.port].arn
  target_id        = aws_instance.node[each.value.node].id
}
