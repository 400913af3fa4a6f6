output "public_addresses" {
  description = "Node name to public IPv4 address; made from zones alone, for modules/plan's public_addresses (and addresses, in a hybrid)."
  value       = { for name in keys(local.zones) : name => hcloud_primary_ip.ipv4[name].ip_address }
}

output "ipv6_addresses" {
  description = "Node name to IPv6 address, for the caller's DNS."
  value       = { for name in keys(local.nodes) : name => hcloud_server.node[name].ipv6_address }
}

output "servers" {
  description = "Node name to the server's ID."
  value       = { for name in keys(local.nodes) : name => hcloud_server.node[name].id }
}

output "volumes" {
  description = "Origin's name to its data volume's ID."
  value       = { for name in keys(local.origins) : name => hcloud_volume.data[name].id }
}

output "network_id" {
  description = "The private network's ID."
  value       = hcloud_network.this.id
}

output "user_data" {
  description = "Node name to what modules/user-data renders for it."
  value       = { for name in keys(local.nodes) : name => module.user_data[name].cloud_init }
}
