output "nodes" {
  description = "The nodes and their addresses."
  value       = module.plan.nodes
}

output "voter_names" {
  description = "The voters; make them pinned_voters."
  value       = module.plan.voter_names
}

output "names" {
  description = "Where publishers and viewers go."
  value       = module.dns.names
}

output "edges_firewall" {
  description = "The ports that the rented hosts' firewalls must let in, and from where."
  value = [for f in module.plan.firewall : merge(f, { from = f.from == "nodes" ? [for n in values(module.plan.nodes) : n.address] : [f.from] })
  if f.from != "operators" && !contains(["rtmps", "https", "http3"], f.name)]
}

output "capacity" {
  description = "What the plan carries."
  value       = module.plan.capacity
}

output "cost" {
  description = "Roughly what it costs."
  value       = module.plan.cost
}
