output "nodes" {
  description = "The nodes and their addresses."
  value       = module.plan.nodes
}

output "voter_names" {
  description = "The voters; make them pinned_voters."
  value       = module.plan.voter_names
}

output "firewall" {
  description = "The ports that the servers' firewalls must let in, and from whom."
  value       = module.plan.firewall
}

output "urls" {
  description = "Node name to where publishers and viewers go: {publish, watch}."
  value = { for name, n in module.plan.nodes : name => {
    publish = "rtmp://${n.host}/"
    watch   = "http://${n.host}:8080/"
  } }
}

output "survives" {
  description = "Whether the cluster outlives the loss of any one zone."
  value       = module.plan.survives.zone
}
