# What the test has beside the example.
resource "aws_route53_zone" "test" {
  provider = aws.eu
  name     = var.domain
}

output "instances" {
  description = "Node name to {id, region}."
  value = merge(
    { for name, id in module.eu.instances : name => { id = id, region = var.aws_regions.eu } },
    { for name, id in module.us.instances : name => { id = id, region = var.aws_regions.us } },
  )
}

output "user_data" {
  description = "Node name to what was rendered."
  value       = merge(module.eu.user_data, module.us.user_data)
}

output "zone_id" {
  description = "The zone."
  value       = aws_route53_zone.test.id
}
