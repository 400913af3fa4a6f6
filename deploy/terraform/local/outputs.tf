output "nodes" {
  description = "Node name to {namespace, region, zone, kind, address, voter}; its admin API is at 127.0.0.1:8090 in its namespace."
  value = { for name, n in module.plan.nodes : name => {
    namespace = "${var.cluster}-${name}", region = n.region, zone = n.zone, kind = n.kind, address = n.address, voter = n.voter
  } }
}

output "regions" {
  description = "Region to the namespace in which its clients run."
  value       = { for k in keys(var.regions) : k => "${var.cluster}-${k}" }
}

output "voter_names" {
  description = "The voters; give them to pinned_voters once the group is bootstrapped."
  value       = module.plan.voter_names
}

output "capacity" {
  description = "What such a plan carries on hosts as modules/plan assumes them."
  value       = module.plan.capacity
}
