output "names" {
  description = "The names of all nodes; they follow from regions alone, so that addresses can be made from them."
  value       = sort(keys(local.nodes_bare))
}

output "zones" {
  description = "Node name to zone, from regions alone too, for addresses that belong to a place."
  value       = { for name, n in local.nodes_bare : name => n.zone }
}

output "nodes" {
  description = "Node name to what it is: name, region, zone, kind (origin or edge), roles, index (from 1), provider, voter, address (for other nodes), private_address, public_address and host (for clients; null while not known), subnet_index."
  value       = local.nodes
}

output "voter_names" {
  description = "The names of the voters; give them to pinned_voters once the group is bootstrapped."
  value       = local.voter_names
}

output "voters" {
  description = "cluster.voters of every node: NAME@ADDRESS:7400."
  value       = [for v in local.voter_names : "${v}@${local.dialled[v]}:${local.ports.fabric}"]
}

output "join" {
  description = "cluster.join of every node: the voters' gossip, ADDRESS:7946."
  value       = [for v in local.voter_names : "${local.dialled[v]}:${local.ports.gossip}"]
}

output "cluster" {
  description = "What modules/user-data takes as cluster: name, voters, join."
  value = {
    name   = var.cluster
    voters = [for v in local.voter_names : "${v}@${local.dialled[v]}:${local.ports.fabric}"]
    join   = [for v in local.voter_names : "${local.dialled[v]}:${local.ports.gossip}"]
  }
}

output "survives" {
  description = "Whether the raft group keeps its majority when any one zone, or any one region, is lost."
  value = {
    zone   = alltrue([for names in local.voters_a_zone : length(names) <= local.spare])
    region = alltrue([for names in local.voters_a_region : length(names) <= local.spare])
  }
}

output "subnets" {
  description = "REGION/ZONE to {region, zone, cidr, fixed, index}: a zone's subnet, and the lower half of it, which is kept for nodes with fixed addresses."
  value       = local.subnets
}

output "firewall" {
  description = "What is let in: {name, protocol, port, from}; from is world, nodes or operators (and the monitoring host)."
  value = [
    { name = "rtmp", protocol = "tcp", port = local.ports.rtmp, from = "world" },
    { name = "rtmps", protocol = "tcp", port = local.ports.rtmps, from = "world" },
    { name = "http", protocol = "tcp", port = local.ports.http, from = "world" },
    { name = "https", protocol = "tcp", port = local.ports.https, from = "world" },
    { name = "http3", protocol = "udp", port = local.ports.https, from = "world" },
    { name = "fabric", protocol = "udp", port = local.ports.fabric, from = "nodes" },
    { name = "gossip-tcp", protocol = "tcp", port = local.ports.gossip, from = "nodes" },
    { name = "gossip-udp", protocol = "udp", port = local.ports.gossip, from = "nodes" },
    { name = "admin", protocol = "tcp", port = local.ports.admin, from = "operators" },
  ]
}

output "dns" {
  description = "Records: {name, type, ttl, policy, region, latency_region, node, records, alias, health}. policy is simple (NODE.DOMAIN), multivalue (SERVICE.REGION.DOMAIN, one a node, with its health check {port, path, protocol}) or latency (SERVICE.DOMAIN, an alias of that)."
  value       = local.dns
}

output "capacity" {
  description = "What the plan carries, autoscaled edges at their least: {viewers, viewers_max (all autoscaled edges there), gbps, by_region}; by_region also says how many edges and which limit comes first."
  value = {
    viewers     = sum(values(local.by_region)[*].viewers)
    viewers_max = sum(values(local.by_region)[*].viewers_max)
    gbps        = sum(values(local.by_region)[*].gbps)
    by_region   = local.by_region
  }
}

output "cost" {
  description = "Roughly, in the prices' unit, with all viewers there: {egress_per_hour, hosts_per_month, by_provider}; by_provider goes by the price's key and has egress_per_viewer_hour too."
  value = {
    egress_per_hour = floor(1e4 * sum(values(local.costs)[*].egress_per_hour) + 0.5) / 1e4
    hosts_per_month = sum(values(local.costs)[*].hosts_per_month)
    by_provider = { for key in distinct(values(local.costs)[*].key) : key => {
      egress_per_hour        = floor(1e4 * sum([for c in values(local.costs) : c.egress_per_hour if c.key == key]) + 0.5) / 1e4
      hosts_per_month        = sum([for c in values(local.costs) : c.hosts_per_month if c.key == key])
      egress_per_viewer_hour = floor(1e8 * var.viewer_mbps * 0.45 * var.prices[key].egress_gb + 0.5) / 1e8
    } }
  }
}
