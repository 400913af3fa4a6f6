mock_provider "aws" { alias = "a" }
mock_provider "aws" { alias = "b" }

variables {
  name = "live-eu-us"
  a    = { vpc_id = "vpc-a", cidr = "10.1.0.0/16", region = "eu-central-1", route_tables = { public = "rtb-a1", other = "rtb-a2" } }
  b    = { vpc_id = "vpc-b", cidr = "10.2.0.0/16", region = "us-east-1", route_tables = { public = "rtb-b1" } }
}

run "routes_both_ways_in_every_table" {
  providers = { aws.a = aws.a, aws.b = aws.b }
  assert {
    condition     = aws_vpc_peering_connection.this.peer_region == "us-east-1" && aws_vpc_peering_connection_accepter.this.auto_accept
    error_message = "the connection is not accepted in the other region"
  }
  assert {
    condition     = { for r in values(aws_route.a) : r.route_table_id => r.destination_cidr_block } == { rtb-a1 = "10.2.0.0/16", rtb-a2 = "10.2.0.0/16" }
    error_message = "a's tables lack a route to b: ${jsonencode(aws_route.a)}"
  }
  assert {
    condition     = { for r in values(aws_route.b) : r.route_table_id => r.destination_cidr_block } == { rtb-b1 = "10.1.0.0/16" }
    error_message = "b's table lacks a route to a: ${jsonencode(aws_route.b)}"
  }
}

run "one_network_twice" {
  command   = plan
  providers = { aws.a = aws.a, aws.b = aws.b }
  variables {
    b = { vpc_id = "vpc-b", cidr = "10.1.0.0/16", region = "us-east-1", route_tables = {} }
  }
  expect_failures = [var.b]
}
