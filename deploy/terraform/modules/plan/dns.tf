# A name that follows latency is an alias of one name in each region, and that is of all
# nodes there with a health check each: a name has one latency record a region. Records
# are of type A; who gives nodes IPv6 addresses adds AAAA.
locals {
  services = {
    edge   = { nodes = local.edges, health = { port = local.ports.http, path = "/", protocol = "HTTP" } }
    ingest = { nodes = local.origins, health = { port = local.ports.rtmp, path = "", protocol = "TCP" } }
  }

  dns_nodes = [for name, n in local.nodes : {
    name   = "${name}.${var.domain}", type = "A", ttl = 300, policy = "simple"
    region = n.region, latency_region = null, node = name, records = [n.public_address], alias = null, health = null
  } if contains(keys(local.public), name)]

  dns_members = flatten([for service, s in local.services : [for name, n in s.nodes : {
    name   = "${service}.${n.region}.${var.domain}", type = "A", ttl = 30, policy = "multivalue"
    region = n.region, latency_region = null, node = name, records = [n.public_address], alias = null, health = s.health
  } if contains(keys(local.public), name)]])

  dns_latency = flatten([for service, s in local.services : [for k, r in var.regions : {
    name   = "${service}.${var.domain}", type = "A", ttl = null, policy = "latency"
    region = k, latency_region = coalesce(r.latency_region, k), node = null, records = [], alias = "${service}.${k}.${var.domain}", health = null
  } if length([for name, n in s.nodes : name if n.region == k && contains(keys(local.public), name)]) > 0]])

  dns = [for record in concat(local.dns_nodes, local.dns_members, local.dns_latency) : record if var.domain != ""]
}
