# Keys are made of names alone; addresses may be known later.
locals {
  a = [for r in var.records : merge(r, { type = "A" })]
  aaaa = [for r in var.records : merge(r, { type = "AAAA" }) if(
    r.policy == "latency" ? length(setintersection(local.members[r.alias], keys(var.ipv6))) > 0 : contains(keys(var.ipv6), r.node)
  )]
  members = { for r in var.records : r.name => r.node... if r.policy == "multivalue" }
  all     = concat(local.a, local.aaaa)

  nodes   = { for r in local.all : "${r.name} ${r.type}" => r if r.policy == "simple" }
  pool    = { for r in local.all : "${r.name} ${r.type} ${r.node}" => r if r.policy == "multivalue" }
  latency = { for r in local.all : "${r.name} ${r.type} ${r.region}" => r if r.policy == "latency" }

  address = { for key, r in merge(local.nodes, local.pool) : key => r.type == "AAAA" ? var.ipv6[r.node] : r.records[0] }

  # A load balancer stands for the edges of its region, with health checks of its own.
  balanced = { for key, r in local.latency : key => contains(keys(var.load_balancers), r.region) && startswith(r.name, "edge.") }
}

# A node is asked as a client asks it, by each of its addresses.
resource "aws_route53_health_check" "node" {
  for_each          = { for key, r in local.pool : key => r if r.health != null }
  ip_address        = local.address[each.key]
  port              = each.value.health.port
  type              = each.value.health.protocol
  resource_path     = each.value.health.protocol == "TCP" ? null : each.value.health.path
  request_interval  = 10
  failure_threshold = 2
  tags              = merge(var.tags, { Name = each.key })
}

resource "aws_route53_record" "node" {
  for_each = local.nodes
  zone_id  = var.zone_id
  name     = each.value.name
  type     = each.value.type
  ttl      = each.value.ttl
  records  = [local.address[each.key]]
}

resource "aws_route53_record" "pool" {
  for_each                         = local.pool
  zone_id                          = var.zone_id
  name                             = each.value.name
  type                             = each.value.type
  ttl                              = each.value.ttl
  records                          = [local.address[each.key]]
  set_identifier                   = each.value.node
  multivalue_answer_routing_policy = true
  health_check_id                  = try(aws_route53_health_check.node[each.key].id, null)
}

# An alias is healthy while one record behind it is, so a region without a healthy node
# is left out and the next nearest one answers.
resource "aws_route53_record" "latency" {
  for_each       = local.latency
  zone_id        = var.zone_id
  name           = each.value.name
  type           = each.value.type
  set_identifier = each.value.region
  latency_routing_policy {
    region = each.value.latency_region
  }
  alias {
    name                   = local.balanced[each.key] ? var.load_balancers[each.value.region].name : each.value.alias
    zone_id                = local.balanced[each.key] ? var.load_balancers[each.value.region].zone_id : var.zone_id
    evaluate_target_health = true
  }
  depends_on = [aws_route53_record.pool]
}
