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

output "capacity" {
  description = "What the plan carries."
  value       = module.plan.capacity
}

output "cost" {
  description = "Roughly what it costs."
  value       = module.plan.cost
}

output "monitoring" {
  description = "The monitoring host's public address; null: there is none."
  value       = one(module.monitoring[*].public_address)
}
