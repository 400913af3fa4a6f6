output "address" {
  description = "The host's private address; it follows from cidr alone. Put ADDRESS/32 into the operators_cidrs of every region."
  value       = local.address
}

output "public_address" {
  description = "Where the host is reached by SSH; another after a replacement."
  value       = aws_instance.this.public_ip
}

output "targets" {
  description = "What is scraped: /etc/prometheus/tmms/targets/CLUSTER.yaml on the host, which reads it anew by itself."
  value       = module.host.targets
}

output "user_data" {
  description = "What modules/monitoring renders for the host, decoded."
  value       = module.host.cloud_init
}
