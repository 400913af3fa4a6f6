mock_provider "aws" {
  mock_data "aws_region" {
    defaults = { name = "eu-central-1" }
  }
  mock_data "aws_partition" {
    defaults = { partition = "aws" }
  }
  mock_data "aws_caller_identity" {
    defaults = { account_id = "123456789012" }
  }
  mock_resource "aws_vpc" {
    defaults = { ipv6_cidr_block = "2001:db8:0:100::/56" }
  }
  mock_resource "aws_network_interface" {
    defaults = { ipv6_addresses = ["2001:db8::1"] }
  }
  mock_resource "aws_lb" {
    defaults = { arn = "arn:aws:elasticloadbalancing:eu-central-1:123456789012:loadbalancer/net/a/1" }
  }
  mock_resource "aws_lb_target_group" {
    defaults = { arn = "arn:aws:elasticloadbalancing:eu-central-1:123456789012:targetgroup/a/1" }
  }
  mock_resource "aws_launch_template" {
    defaults = { id = "lt-0123456789abcdef0" }
  }
}

run "plan" {
  module {
    source = "../plan"
  }
  variables {
    cluster = "live"
    domain  = "live.example.com"
    regions = {
      eu = { provider = "aws", zones = ["eu-central-1a", "eu-central-1b"], cidr = "10.1.0.0/16", origins = 3, edges = 2 }
      us = { provider = "aws", zones = ["us-east-1a"], cidr = "10.2.0.0/16", origins = 1 }
    }
  }
}

variables {
  region          = "eu"
  cluster_name    = "live"
  cidr            = "10.1.0.0/16"
  nodes_cidrs     = ["10.2.0.0/16"]
  operators_cidrs = ["192.0.2.0/24", "2001:db8:5::/48"]
  ami             = "ami-12345678"
  binary          = { url = "https://example.com/tmms", sha256 = "0000000000000000000000000000000000000000000000000000000000000000" }
}

run "nodes" {
  variables {
    names    = run.plan.names
    nodes    = run.plan.nodes
    cluster  = run.plan.cluster
    subnets  = run.plan.subnets
    firewall = run.plan.firewall
  }
  assert {
    condition     = keys(aws_instance.node) == ["eu-e1", "eu-e2", "eu-o1", "eu-o2", "eu-o3"]
    error_message = "instances ${jsonencode(keys(aws_instance.node))}"
  }
  assert {
    condition     = { for k, i in aws_instance.node : k => i.availability_zone if startswith(k, "eu-o") } == { eu-o1 = "eu-central-1a", eu-o2 = "eu-central-1b", eu-o3 = "eu-central-1a" }
    error_message = "origins are not spread over the zones"
  }
  assert {
    condition     = alltrue([for k, i in aws_network_interface.node : tolist(i.private_ips) == tolist([run.plan.nodes[k].private_address]) && i.ipv6_address_count == 1])
    error_message = "an interface has not the plan's address, or none of IPv6"
  }
  assert {
    condition     = alltrue([for k, i in aws_network_interface.node : i.subnet_id == aws_subnet.zone[run.plan.nodes[k].zone].id])
    error_message = "an interface is not in its zone's subnet"
  }
  assert {
    condition     = alltrue([for i in values(aws_instance.node) : one(i.metadata_options).http_tokens == "required" && one(i.metadata_options).http_put_response_hop_limit == 1])
    error_message = "an instance allows IMDSv1"
  }
  assert {
    condition     = alltrue([for i in values(aws_instance.node) : one(i.root_block_device).encrypted]) && alltrue([for v in values(aws_ebs_volume.data) : v.encrypted])
    error_message = "a disk is not encrypted"
  }
  assert {
    condition     = keys(aws_ebs_volume.data) == ["eu-o1", "eu-o2", "eu-o3"] && alltrue([for k, v in aws_ebs_volume.data : v.availability_zone == aws_instance.node[k].availability_zone])
    error_message = "want a volume for each origin in its zone"
  }
  assert {
    condition     = keys(aws_eip.node) == keys(aws_instance.node) && keys(output.public_addresses) == keys(aws_instance.node)
    error_message = "want an elastic address for each node"
  }
  assert {
    condition     = length(aws_autoscaling_group.edge) + length(aws_lb.edge) + length(aws_launch_template.edge) == 0
    error_message = "what was not asked for is made"
  }
  assert {
    condition     = aws_subnet.zone["eu-central-1b"].ipv6_cidr_block == "2001:db8:0:101::/64" && aws_route.ipv6.destination_ipv6_cidr_block == "::/0"
    error_message = "a zone has no IPv6"
  }
  assert {
    condition = toset([for r in values(aws_vpc_security_group_ingress_rule.node) : "${r.ip_protocol} ${r.from_port}" if r.cidr_ipv4 == "0.0.0.0/0"]) == toset(
    ["tcp 1935", "tcp 1936", "tcp 8080", "tcp 8443", "udp 8443"])
    error_message = "open to the world by IPv4: ${jsonencode([for r in values(aws_vpc_security_group_ingress_rule.node) : "${r.ip_protocol} ${r.from_port}" if r.cidr_ipv4 == "0.0.0.0/0"])}"
  }
  assert {
    condition = toset([for r in values(aws_vpc_security_group_ingress_rule.node) : "${r.ip_protocol} ${r.from_port}" if r.cidr_ipv6 == "::/0"]) == toset(
    ["tcp 1935", "tcp 1936", "tcp 8080", "tcp 8443", "udp 8443"])
    error_message = "open to the world by IPv6 is not what is by IPv4"
  }
  assert {
    condition = toset([for r in values(aws_vpc_security_group_ingress_rule.node) : "${r.ip_protocol} ${r.from_port} ${r.cidr_ipv4}" if contains([7400, 7946], r.from_port)]) == toset(
    [for x in setproduct(["udp 7400", "tcp 7946", "udp 7946"], ["10.1.0.0/16", "10.2.0.0/16"]) : join(" ", x)])
    error_message = "fabric and gossip: want the nodes' networks alone"
  }
  assert {
    condition = toset([for r in values(aws_vpc_security_group_ingress_rule.node) : r.cidr_ipv4 == null ? r.cidr_ipv6 : r.cidr_ipv4 if r.from_port == 8090]) == toset(
    ["192.0.2.0/24", "2001:db8:5::/48"])
    error_message = "admin: want the operators' networks alone"
  }
  assert {
    condition     = alltrue([for r in values(aws_vpc_security_group_ingress_rule.node) : r.from_port == r.to_port && r.from_port != 22])
    error_message = "a range of ports, or SSH without a key"
  }
  assert {
    condition = jsondecode(aws_iam_role_policy.node["eu-o1"].policy).Statement == [{
      Action = "ssm:GetParameter", Effect = "Allow", Resource = "arn:aws:ssm:eu-central-1:123456789012:parameter/live/nodes/eu-o1/*"
    }]
    error_message = "a node may do more than read its own parameters: ${aws_iam_role_policy.node["eu-o1"].policy}"
  }
  assert {
    condition     = alltrue([for r in concat(values(aws_vpc_security_group_ingress_rule.node), values(aws_vpc_security_group_egress_rule.node)) : r.tags["tmms:cluster"] == "live"])
    error_message = "a rule of the security group has no tags"
  }
  assert {
    condition     = alltrue([for k, i in aws_instance.node : one(i.root_block_device).tags == tomap({ "tmms:cluster" = "live", "tmms:region" = "eu", Name = "live-${k}" })])
    error_message = "a root volume has no tags"
  }
  assert {
    condition     = !anytrue([for data in values(output.user_data) : strcontains(data, "issuer.key")])
    error_message = "a node has an issuer's key that nobody has asked for"
  }
}

run "autoscaled" {
  variables {
    names         = run.plan.names
    nodes         = run.plan.nodes
    cluster       = run.plan.cluster
    subnets       = run.plan.subnets
    firewall      = run.plan.firewall
    autoscaled    = { min = 1, max = 5 }
    issuer        = true
    config        = { cluster = { lease = "20s" } }
    load_balancer = true
    key_name      = "ops"
  }
  assert {
    condition = { for k, data in output.user_data : k => [for f in yamldecode(data).write_files : try(yamldecode(f.content).cluster.ca_key_file, "") if f.path == "/etc/tmms/node.yaml"][0] } == {
      eu-e1 = "", eu-e2 = "", eu-o1 = "/etc/tmms/pki/issuer.key", eu-o2 = "/etc/tmms/pki/issuer.key", eu-o3 = "/etc/tmms/pki/issuer.key"
    }
    error_message = "nobody gives autoscaled edges their certificates, or an edge would"
  }
  assert {
    condition     = alltrue([for k, data in output.user_data : strcontains(data, "get issuer.key") == startswith(k, "eu-o") && strcontains(data, "lease")])
    error_message = "an issuer's key is not fetched by the origins alone"
  }
  assert {
    condition     = one(one(aws_launch_template.edge).metadata_options).http_tokens == "required" && tobool(one(one(one(aws_launch_template.edge).block_device_mappings).ebs).encrypted)
    error_message = "an autoscaled edge allows IMDSv1, or its disk is not encrypted"
  }
  assert {
    condition     = one(one(aws_autoscaling_group.edge).initial_lifecycle_hook).lifecycle_transition == "autoscaling:EC2_INSTANCE_TERMINATING"
    error_message = "an edge is ended without a drain"
  }
  assert {
    condition = alltrue([for s in jsondecode(one(aws_iam_role_policy.scaled).policy).Statement : contains([
      "arn:aws:ssm:eu-central-1:123456789012:parameter/live/join/eu/*",
      "arn:aws:autoscaling:eu-central-1:123456789012:autoScalingGroup:*:autoScalingGroupName/live-eu-edges",
    ], s.Resource)])
    error_message = "an autoscaled edge may do too much"
  }
  assert {
    condition     = keys(aws_lb_listener.edge) == ["1935", "1936", "8080", "8443"] && length(aws_lb_target_group_attachment.edge) == 8
    error_message = "the load balancer's listeners are not the viewers' ports"
  }
  assert {
    condition     = toset([for r in values(aws_vpc_security_group_ingress_rule.node) : r.cidr_ipv4 == null ? r.cidr_ipv6 : r.cidr_ipv4 if r.from_port == 22]) == toset(["192.0.2.0/24", "2001:db8:5::/48"])
    error_message = "SSH: want the operators' networks alone"
  }
}

run "world_open_fabric" {
  command = plan
  variables {
    names       = run.plan.names
    nodes       = run.plan.nodes
    cluster     = run.plan.cluster
    subnets     = run.plan.subnets
    firewall    = run.plan.firewall
    nodes_cidrs = ["0.0.0.0/0"]
  }
  expect_failures = [var.nodes_cidrs]
}

run "world_open_admin" {
  command = plan
  variables {
    names           = run.plan.names
    nodes           = run.plan.nodes
    cluster         = run.plan.cluster
    subnets         = run.plan.subnets
    firewall        = run.plan.firewall
    operators_cidrs = ["::/0"]
  }
  expect_failures = [var.operators_cidrs]
}
