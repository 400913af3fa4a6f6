# AWS is mocked, and the hosts are: nothing is made, nobody is spoken to.
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
}

override_resource {
  target = module.origins.aws_eip.node["aws-o1"]
  values = { public_ip = "192.0.2.1" }
}
override_resource {
  target = module.origins.aws_eip.node["aws-o2"]
  values = { public_ip = "192.0.2.2" }
}
override_resource {
  target = module.origins.aws_eip.node["aws-o3"]
  values = { public_ip = "192.0.2.3" }
}
override_module {
  target = module.edge
}

variables {
  domain          = "live.example.com"
  zone_id         = "Z0123456789ABCDEFGHIJ"
  ami             = "ami-12345678"
  binary          = { url = "https://example.com/tmms", sha256 = "0000000000000000000000000000000000000000000000000000000000000000" }
  operators_cidrs = ["198.51.100.0/24"]
  edges = {
    fsn = { latency_region = "eu-central-1", hosts = {
      fsn-e1 = { address = "203.0.113.1", host_key = "ssh-ed25519 AAAA" }
      fsn-e2 = { address = "203.0.113.2", host_key = "ssh-ed25519 AAAA" }
    } }
    ash = { latency_region = "us-east-1", hosts = {
      ash-e1 = { address = "203.0.113.3", host_key = "ssh-ed25519 AAAA" }
    } }
  }
}

run "origins_there_edges_here" {
  assert {
    condition     = jsonencode({ for name, n in output.nodes : name => n.address }) == jsonencode({ ash-e1 = "203.0.113.3", aws-o1 = "192.0.2.1", aws-o2 = "192.0.2.2", aws-o3 = "192.0.2.3", fsn-e1 = "203.0.113.1", fsn-e2 = "203.0.113.2" })
    error_message = "nodes reach each other at public addresses: ${jsonencode({ for name, n in output.nodes : name => n.address })}"
  }
  assert {
    condition     = output.voter_names == tolist(["aws-o1", "aws-o2", "aws-o3"]) && alltrue([for n in values(output.nodes) : n.provider == (n.kind == "origin" ? "aws" : "ssh")])
    error_message = jsonencode(output.nodes)
  }
  assert {
    condition = toset([for r in values(aws_vpc_security_group_ingress_rule.origin) : "${r.ip_protocol} ${r.from_port} ${r.cidr_ipv4}"]) == toset(
    [for x in setproduct(["udp 7400", "tcp 7946", "udp 7946"], ["192.0.2.1/32", "192.0.2.2/32", "192.0.2.3/32"]) : join(" ", x)])
    error_message = "fabric and gossip among origins: ${jsonencode(values(aws_vpc_security_group_ingress_rule.origin)[*].cidr_ipv4)}"
  }
  assert {
    condition = toset([for r in module.origins.rules : "${r.protocol} ${r.port} ${r.source}" if r.from == "nodes"]) == toset(
    [for x in setproduct(["udp 7400", "tcp 7946", "udp 7946"], ["10.1.0.0/16", "203.0.113.1/32", "203.0.113.2/32", "203.0.113.3/32"]) : join(" ", x)])
    error_message = "fabric and gossip: want the nodes alone, not ${jsonencode([for r in module.origins.rules : r if r.from == "nodes"])}"
  }
  assert {
    condition     = length([for r in module.origins.rules : r if r.from == "operators" && r.source != "198.51.100.0/24"]) == 0
    error_message = "the admin API is for operators: ${jsonencode(module.origins.rules)}"
  }
  assert {
    condition     = toset(output.names) == toset([for n in concat(["edge", "ingest", "edge.fsn", "edge.ash", "ingest.aws"], keys(output.nodes)) : "${n}.live.example.com"])
    error_message = jsonencode(output.names)
  }
  assert {
    condition     = alltrue([for f in output.edges_firewall : f.from == (contains([7400, 7946], f.port) ? [for n in values(output.nodes) : n.address] : ["world"])])
    error_message = jsonencode(output.edges_firewall)
  }
  assert {
    condition     = output.cost.by_provider["ssh"].egress_per_hour > 0 && output.cost.by_provider["aws"].egress_per_hour == 0
    error_message = "viewers are to be served where egress is cheap: ${jsonencode(output.cost)}"
  }
}

run "another_edge_moves_nothing" {
  variables {
    edges = {
      fsn = { latency_region = "eu-central-1", hosts = {
        fsn-e1 = { address = "203.0.113.1", host_key = "ssh-ed25519 AAAA" }
        fsn-e2 = { address = "203.0.113.2", host_key = "ssh-ed25519 AAAA" }
        fsn-e3 = { address = "203.0.113.9", host_key = "ssh-ed25519 AAAA" }
      } }
      ash = { latency_region = "us-east-1", hosts = {
        ash-e1 = { address = "203.0.113.3", host_key = "ssh-ed25519 AAAA" }
      } }
    }
    pinned_voters = ["aws-o1", "aws-o2", "aws-o3"]
  }
  assert {
    condition     = alltrue([for name, n in run.origins_there_edges_here.nodes : jsonencode(output.nodes[name]) == jsonencode(n)])
    error_message = jsonencode(output.nodes)
  }
}

run "one_latency_region_for_two" {
  command = plan
  variables {
    edges = {
      fsn = { latency_region = "eu-central-1", hosts = { fsn-e1 = { address = "203.0.113.1", host_key = "ssh-ed25519 AAAA" } } }
      nbg = { latency_region = "eu-central-1", hosts = { nbg-e1 = { address = "203.0.113.2", host_key = "ssh-ed25519 AAAA" } } }
    }
  }
  expect_failures = [var.edges]
}
