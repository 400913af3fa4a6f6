output "public_addresses" {
  description = "Node name to elastic address; made from names alone, for modules/plan's public_addresses (and addresses, in a hybrid)."
  value       = { for name in local.names : name => aws_eip.node[name].public_ip }
}

output "ipv6_addresses" {
  description = "Node name to IPv6 address, for modules/aws-dns."
  value       = { for name in keys(local.nodes) : name => one(aws_network_interface.node[name].ipv6_addresses) }
}

output "instances" {
  description = "Node name to the instance's ID."
  value       = { for name in keys(local.nodes) : name => aws_instance.node[name].id }
}

output "volumes" {
  description = "Origin's name to its data volume's ID."
  value       = { for name in keys(local.origins) : name => aws_ebs_volume.data[name].id }
}

output "peer" {
  description = "What modules/aws-peering takes as a side: vpc_id, cidr, region, route_tables."
  value = {
    vpc_id       = aws_vpc.this.id
    cidr         = var.cidr
    region       = data.aws_region.here.name
    route_tables = { public = aws_route_table.public.id }
  }
}

output "security_group_id" {
  description = "The nodes' security group."
  value       = aws_security_group.node.id
}

output "load_balancer" {
  description = "The load balancer's {name, zone_id} for modules/aws-dns; null: there is none."
  value       = var.load_balancer ? { name = aws_lb.edge[0].dns_name, zone_id = aws_lb.edge[0].zone_id } : null
}

output "autoscaling_group" {
  description = "The name of the autoscaled edges' group; null: there is none."
  value       = var.autoscaled == null ? null : aws_autoscaling_group.edge[0].name
}

output "user_data" {
  description = "Node name to what modules/user-data renders for it, decoded."
  value       = { for name in keys(local.nodes) : name => module.user_data[name].cloud_init }
}

output "rules" {
  description = "What is let in, each {name, protocol, port, from, source}: the firewall with its networks."
  value       = values(local.rules)
}
